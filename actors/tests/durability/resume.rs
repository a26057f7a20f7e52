//! The next model request after a resume is, byte for byte, the one that an uncrashed run makes.

use std::time::Duration;

use actors::model::{Event, EventBody, ModelRequest, TaskStatus};
use actors::testing::sim::{Accident, Moments, Stage, settle};
use serde_json::{Value, json};

use crate::support::causes;
use crate::support::trace::{Fate, Trace, requests};
use crate::support::{expect_panics, virtual_time};

/// What the models were asked on a stage, each request once where it was repeated, and how many moments passed.
pub(super) struct Asked {
    pub(super) requests: Vec<String>,
    pub(super) moments: u64,
    /// Snapshots that were there when they were asked for.
    pub(super) served: usize,
}

/// Plays a task of these agents through one accident, with a new node after a power failure.
pub(super) fn asked(
    stage: &Stage,
    agents: &[&str],
    accident: Option<(u64, Accident)>,
    fate: Fate,
) -> Asked {
    expect_panics();
    let trace = Trace::of(stage).snapshots(fate);
    let mut accident = accident;
    let mut moments_passed = 0;
    for life in 0..3 {
        let moments = Moments::with(accident.take());
        let mut stage = stage.clone();
        stage.seed += life;
        let is_over = virtual_time(async {
            let work = async {
                let system = stage.open_with(&moments, |deps| trace.watch(deps)).await;
                let task = loop {
                    match stage.store_task().await {
                        Some(task) => break task,
                        None => drop(system.create_task(stage.task(agents)).await),
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                let status = settle(&system, task, Duration::from_secs(600)).await;
                assert_eq!(status, Some(TaskStatus::Completed), "{accident:?}");
                system.shutdown().await;
            };
            tokio::select! {
                biased;
                () = moments.power_off() => false,
                () = work => true,
            }
        });
        moments_passed += moments.passed();
        if is_over {
            break;
        }
    }
    let events = virtual_time(async {
        let task = stage.store_task().await.expect("a task");
        causes::journal(stage, task).await
    });
    let facts = trace.all();
    let mut texts: Vec<_> = requests(&facts)
        .map(|(_, request)| by_name(request, &events))
        .collect();
    texts.dedup();
    Asked {
        requests: texts,
        moments: moments_passed,
        served: trace.served(),
    }
}

/// A request as it is sent, with runs named by their briefs: a node that was started again gives out other ids.
fn by_name(request: &ModelRequest, events: &[Event]) -> String {
    let mut text = serde_json::to_string(request).expect("json");
    for event in events {
        if let (EventBody::RunQueued { spec }, Some(run)) = (&event.body, event.run_id) {
            let minted = format!("{:012x}", run.0.as_u128() & 0xffff_ffff_ffff);
            text = text.replace(&run.to_string(), &spec.input);
            text = text.replace(&minted, &spec.input);
        }
    }
    text
}

fn stage() -> Stage {
    let pay = |tool: &str, what: &str| json!({ "tool": tool, "args": { "what": what } });
    let delegate = |agent: &str, context: &str| -> Value {
        let (input, snippets) = (format!("what {agent} does"), ["a word for it"]);
        let mut args = json!({ "agent": agent, "input": input, "context": context });
        if context == "scoped" {
            args["snippets"] = json!(snippets);
        }
        json!({ "call": "create_run", "args": args, "say": format!("{agent}, do it.") })
    };
    let post = json!({ "tool": "post_message", "args": { "content": "rent is paid" } });
    let scripts = json!({ "latency": "20ms", "scripts": {
        "lead": [
            { "say": "Let us see.", "calls": [pay("pay_pure", "price"), pay("pay_keyed", "rent"), post] },
            delegate("ada", "none"), delegate("ben", "scoped"), delegate("cyd", "full"),
            { "say": "All paid: {{last}}" }
        ],
        "ada": [ { "calls": [pay("pay_queryable", "water"), pay("pay_pure", "tax")] }, { "say": "ada: {{last}}" } ],
        "ben": [ { "calls": [pay("pay_keyed", "post")] }, { "calls": [pay("pay_queryable", "gas")] }, { "say": "ben: {{last}}" } ],
        "cyd": [ { "calls": [pay("pay_keyed", "phone")] }, { "say": "cyd: {{last}}" } ]
    } });
    Stage::new(serde_json::from_value(scripts).expect("scripts"), 6)
}

const AGENTS: [&str; 4] = ["lead", "ada", "ben", "cyd"];

#[test]
fn the_next_request_after_a_resume_is_the_one_an_uncrashed_run_makes_byte_for_byte() {
    let calm = asked(&stage(), &AGENTS, None, Fate::Kept);
    assert_eq!(calm.requests.len(), 12);
    for moment in 1..=calm.moments {
        for accident in [Accident::Crash, Accident::PowerOff] {
            let asked = asked(&stage(), &AGENTS, Some((moment, accident)), Fate::Kept);
            assert_eq!(
                asked.requests, calm.requests,
                "{accident:?} at moment {moment}"
            );
        }
    }
}
