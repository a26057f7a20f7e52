//! Fencing: an incarnation that was taken for dead and was not writes nothing, and what comes late is kept and not applied.

use std::time::Duration;

use actors::model::{EventBody, Step, TaskStatus};
use actors::store::Draft;
use actors::testing::sim::{Moments, Stage};
use serde_json::json;

use crate::support::examples;
use crate::support::plays::text;
use crate::support::trace::Did;
use crate::support::{check, virtual_time};

#[test]
fn every_append_of_a_run_carries_its_epoch() {
    let appends = examples().iter().flat_map(|played| &played.facts);
    let mut fenced = 0;
    for append in appends.filter_map(|fact| match &fact.did {
        Did::Wrote(append) => Some(append),
        _ => None,
    }) {
        let is_of_run = |draft: &&Draft| draft.epoch > 0;
        let Some(first) = append.drafts.iter().find(is_of_run) else {
            continue;
        };
        let before = first.epoch - u64::from(first.body.is_claim());
        let run = first.run.expect("an epoch is a run's");
        assert_eq!(append.fence, Some((run, before)), "{append:?}");
        fenced += 1;
    }
    assert!(fenced > 3_000, "{fenced}");
}

fn stage() -> Stage {
    let pay = |tool: &str, what: &str, ms: u64| json!({ "tool": tool, "args": { "what": what, "ms": ms } });
    let delegate =
        json!({ "tool": "create_run", "args": { "agent": "worker", "input": "the rest" } });
    let scripts = json!({ "latency": "40ms", "scripts": {
        "lead": [
            { "calls": [pay("pay_once", "stamp", 300), pay("pay_keyed", "rent", 100)] },
            { "calls": [delegate] },
            { "calls": [pay("pay_ledgered", "power", 200)] },
            { "say": "All paid." }
        ],
        "worker": [
            { "calls": [pay("pay_once", "tax", 200), pay("pay_pure", "price", 500)] },
            { "say": "The rest is paid." }
        ]
    } });
    Stage::new(serde_json::from_value(scripts).expect("scripts"), 9)
}

/// A second node over the same store, opened after so long because the first was taken for dead. The late results.
async fn two_nodes(after: Duration) -> usize {
    let stage = stage();
    stage.manners.slow(1, Duration::from_millis(20));
    let first = stage.open(&Moments::calm()).await;
    let task = first.create_task(stage.task(&["lead", "worker"])).await;
    let task = task.expect("a task");
    tokio::time::sleep(after).await;
    let mut other = stage.clone();
    other.seed = 10;
    let second = other.open(&Moments::calm()).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let status = second.task(task).await.expect("the task").status;
    let events = stage.journal(task).await;
    let what = || format!("{after:?}\n{}", text(&events));
    assert_eq!(status, TaskStatus::Completed, "{}", what());
    check::journal(&stage.store, &events).await;
    check::payments(&events, &stage.outside);
    let mut late = 0;
    for event in &events {
        let EventBody::ToolCallLate {
            step,
            started_epoch,
            ..
        } = &event.body
        else {
            continue;
        };
        let (run, row) = (event.run_id.expect("a run"), event.epoch);
        assert!(*started_epoch < row, "{event:?}");
        let others = events.iter().filter(|other| other.run_id == Some(run));
        let is_result = |at: &Step| at == step;
        let results = others.filter(|other| matches!(&other.body, EventBody::ToolCallCompleted { step, .. } if is_result(step)));
        assert_eq!(results.count(), 1, "{step} of {run}: {}", what());
        late += 1;
    }
    first.shutdown().await;
    second.shutdown().await;
    late
}

#[test]
fn a_late_result_of_an_older_epoch_is_kept_as_evidence_and_not_applied() {
    let mut late = 0;
    for after in (0..1_800).step_by(23) {
        late += virtual_time(two_nodes(Duration::from_millis(after)));
    }
    assert!(late > 10, "{late}");
}
