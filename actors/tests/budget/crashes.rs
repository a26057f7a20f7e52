//! A tight budget and several runs at once, with a crash or a power failure at every moment there is.

use std::time::Duration;

use actors::model::{Event, EventBody, OnExceeded, TaskStatus};
use actors::testing::sim::{Accident, Moments, Stage, settle};
use serde_json::{Value, json};

use super::{agent, small, tokens};
use crate::support::{check, expect_panics, virtual_time};

/// What the task may use up.
const LIMIT: u64 = 1_500;

fn scripts() -> Value {
    let turn = |n: usize| json!({ "call": "pay_pure", "args": { "n": n }, "usage": { "input": 30, "output": 60 } });
    let mut worker: Vec<_> = (0..6).map(turn).collect();
    worker.push(json!({ "say": "Counted.", "usage": { "input": 30, "output": 60 } }));
    let delegate = |n: usize| json!({ "tool": "create_run", "args": { "agent": "worker", "input": format!("part {n}"), "mode": "background" } });
    let calls: Vec<_> = (0..3).map(delegate).collect();
    json!({
        "lead": [{ "calls": calls, "usage": { "input": 50, "output": 60 } }, { "say": "All in." }, { "say": "All in." }],
        "worker": worker
    })
}

struct Played {
    status: Option<TaskStatus>,
    events: Vec<Event>,
    moments: u64,
}

fn play(accidents: Vec<(u64, Accident)>) -> Played {
    let settings = json!({ "latency": "20ms", "scripts": scripts() });
    let stage = Stage::new(serde_json::from_value(settings).expect("scripts"), 3);
    let (mut accidents, mut passed) = (accidents, 0);
    for life in 0..10 {
        let moments = Moments::with(std::mem::take(&mut accidents));
        let mut seeded = stage.clone();
        seeded.seed += life;
        let status = virtual_time(async {
            tokio::select! {
                biased;
                () = moments.power_off() => None,
                status = live(&seeded, &moments) => Some(status),
            }
        });
        passed += moments.passed();
        if let Some(status) = status {
            let events = virtual_time(async {
                let task = stage.store_task().await.expect("a task");
                let events = stage.journal(task).await;
                check::journal(&stage.store, &events).await;
                events
            });
            return Played {
                status,
                events,
                moments: passed,
            };
        }
    }
    panic!("it did not come to an end");
}

async fn live(stage: &Stage, moments: &Moments) -> Option<TaskStatus> {
    let system = stage.open(moments).await;
    let task = loop {
        if let Some(task) = stage.store_task().await {
            break task;
        }
        let mut task = stage.task(&["lead", "worker"]);
        small(&mut task);
        agent(&mut task, "lead").tools = vec!["create_run".to_owned()];
        agent(&mut task, "lead").on_exceeded = Some(OnExceeded::Fail);
        task.limits.budget = tokens(LIMIT);
        if system.create_task(task).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let status = settle(&system, task, Duration::from_secs(3_600)).await;
    system.shutdown().await;
    status
}

/// At no moment of a journal is more used up than allowed. Answers of this play use less than was set aside for them, so there is
/// nothing to be forgiven; and no call was made that had not been set aside for.
fn never_passed(events: &[Event], what: &str) {
    let mut used = std::collections::BTreeMap::<_, u64>::new();
    let mut open = std::collections::BTreeMap::new();
    for event in events {
        let Some(run) = event.run_id else { continue };
        match &event.body {
            EventBody::ModelCallStarted { reserved, .. } => {
                open.insert(run, reserved.amount().tokens);
            }
            EventBody::ModelCallCompleted { usage, .. } => {
                let reserved = open.remove(&run).expect("set aside before");
                assert!(
                    usage.tokens() <= reserved,
                    "{what}: {usage:?} of {reserved}"
                );
                *used.entry(run).or_default() += usage.tokens();
            }
            EventBody::RunCompleted { usage, .. }
            | EventBody::RunFailed { usage, .. }
            | EventBody::RunCancelled { usage, .. } => {
                open.remove(&run);
                used.insert(run, usage.tokens() + usage.wasted_tokens);
            }
            _ => {}
        }
        let all: u64 = used.values().sum();
        assert!(all <= LIMIT, "{what}: {all} tokens at event {}", event.id);
    }
}

#[test]
fn no_crash_makes_a_tree_pass_its_budget() {
    expect_panics();
    let calm = play(Vec::new());
    let is_refused = |event: &&Event| matches!(event.body, EventBody::BudgetExceeded { .. });
    assert!(
        calm.events.iter().any(|event| is_refused(&event)),
        "the budget is tight"
    );
    never_passed(&calm.events, "calm");
    for moment in (0..calm.moments).step_by(3) {
        for accident in [Accident::PowerOff, Accident::Crash, Accident::Kill(moment)] {
            let what = format!("{accident:?} at moment {moment}");
            let played = play(vec![(moment, accident)]);
            assert!(
                played.status.is_some_and(TaskStatus::is_terminal),
                "{what}: {:?}",
                played.status
            );
            never_passed(&played.events, &what);
        }
    }
}
