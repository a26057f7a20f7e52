//! Crashes at every moment there is: before and after each append and each effect.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::journal::JournalError;
use actors::model::{Event, EventBody, TaskId, TaskStatus};
use actors::provider::scripted::ScriptedSettings;
use actors::system::{System, SystemError};
use actors::testing::sim::{Accident, Moments, Stage, settle};
use serde_json::json;

use crate::support::causes;

fn scripts() -> ScriptedSettings {
    let pay = |tool: &str, what: &str| json!({ "tool": tool, "args": { "what": what } });
    serde_json::from_value(json!({ "latency": "20ms", "scripts": {
        "lead": [
            { "say": "Let us see.", "calls": [pay("pay_pure", "price"), pay("pay_once", "stamp")] },
            { "say": "You.", "calls": [
                { "tool": "create_run", "args": { "agent": "worker", "input": "pay the rest" } },
                { "tool": "create_run", "args": { "agent": "clerk", "input": "pay the tax", "mode": "background" } } ] },
            { "say": "All paid." },
            { "say": "All paid." }
        ],
        "worker": [
            { "say": "Rent.", "calls": [pay("pay_keyed", "rent"), pay("pay_ledgered", "power")] },
            { "say": "Post.", "call": "post_message", "args": { "content": "rent and power are paid" } },
            { "say": "Water.", "calls": [pay("pay_queryable", "water")] },
            { "say": "The rest is paid." }
        ],
        "clerk": [ { "say": "Tax.", "calls": [pay("pay_once", "tax")] }, { "say": "The tax is paid." } ]
    } }))
    .expect("scripts")
}

struct Outcome {
    status: Option<TaskStatus>,
    result: Option<String>,
    payments: BTreeMap<String, u32>,
    doubts: Vec<String>,
    journal: Vec<String>,
    moments: u64,
    paths: BTreeMap<String, Vec<String>>,
}

/// The task, created unless it is there: a caller whose creation was cut off looks before it tries again.
async fn create(stage: &Stage, system: &System) -> TaskId {
    loop {
        if let Some(task) = stage.store_task().await {
            return task;
        }
        let created = system
            .create_task(stage.task(&["lead", "worker", "clerk"]))
            .await;
        if let Err(error) = created {
            assert!(
                matches!(error, SystemError::Journal(JournalError::Lost)),
                "{error}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Plays a task in runtimes of its own, one after each power failure, all over the same store and the same world.
fn play(accidents: &[(u64, Accident)]) -> Outcome {
    let stage = Stage::new(scripts(), 7);
    let mut accidents: Vec<_> = accidents.to_vec();
    let mut moments_passed = 0;
    for life in 0.. {
        assert!(life < 10, "the task did not come to an end in {life} lives");
        let moments = Moments::with(std::mem::take(&mut accidents));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let mut seeded = stage.clone();
        seeded.seed += life;
        let status = runtime.block_on(async {
            let work = async {
                let system = seeded.open(&moments).await;
                let id = create(&seeded, &system).await;
                let status = settle(&system, id, Duration::from_secs(600)).await;
                system.shutdown().await;
                status
            };
            tokio::select! {
                biased;
                () = moments.power_off() => None,
                status = work => Some(status),
            }
        });
        moments_passed += moments.passed();
        drop(runtime);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.build().expect("a runtime");
        let task = runtime.block_on(stage.store_task());
        if let Some(status) = status {
            let events = runtime.block_on(causes::journal(&stage, task.expect("a task")));
            let doubts = events.iter().filter_map(|event| match &event.body {
                EventBody::ToolCallInDoubt { tool, .. } => Some(tool.clone()),
                _ => None,
            });
            return Outcome {
                status,
                result: events.iter().find_map(|event| match &event.body {
                    EventBody::TaskCompleted { result } => Some(format!("{result:?}")),
                    _ => None,
                }),
                payments: stage.outside.payments(),
                doubts: doubts.collect(),
                journal: events
                    .iter()
                    .map(|event| serde_json::to_string(event).expect("json"))
                    .collect(),
                moments: moments_passed,
                paths: paths(&events),
            };
        }
    }
    unreachable!()
}

/// How each agent's first tool call came about, before others say anything, without what a crash adds to it.
fn paths(events: &[Event]) -> BTreeMap<String, Vec<String>> {
    let name = |event: &Event| event.agent.as_ref().map(ToString::to_string);
    let is_start = |event: &&Event| matches!(event.body, EventBody::ToolCallStarted { .. });
    let is_doubt = |event: &&&Event| {
        matches!(
            event.body,
            EventBody::ToolCallInDoubt { .. } | EventBody::ToolCallResolved { .. }
        )
    };
    let path = |event: &Event| {
        let chain = causes::chain(events, event);
        let calm = chain.iter().filter(|event| !is_doubt(event));
        let step = |event: &&Event| format!("{:?} {}", name(event), event.body.kind());
        calm.map(step).collect()
    };
    let starts = events.iter().rev().filter(is_start);
    let of = |event: &Event| (name(event).unwrap_or_default(), path(event));
    starts.map(of).collect()
}

fn check(calm: &Outcome, outcome: &Outcome, what: &str) {
    let journal = || outcome.journal.join("\n");
    assert_eq!(
        outcome.status,
        Some(TaskStatus::Completed),
        "{what}\n{}",
        journal()
    );
    assert_eq!(outcome.paths, calm.paths, "{what}\n{}", journal());
    assert_eq!(outcome.result, calm.result, "{what}\n{}", journal());
    let doubted = |tool: &str| outcome.doubts.iter().any(|doubt| doubt == tool);
    for (payment, tool) in [("rent", "pay_keyed"), ("water", "pay_queryable")] {
        assert_eq!(
            outcome.payments.get(payment),
            Some(&1),
            "{what}: {payment} by {tool}\n{}",
            journal()
        );
    }
    for (payment, tool) in [
        ("stamp", "pay_once"),
        ("tax", "pay_once"),
        ("power", "pay_ledgered"),
    ] {
        let times = outcome.payments.get(payment).copied().unwrap_or_default();
        assert!(
            times == 1 || times == 0 && doubted(tool),
            "{what}: {payment} by {tool} {times} times\n{}",
            journal()
        );
    }
}

#[test]
fn a_crash_at_any_moment_changes_nothing_outside() {
    let calm = play(&[]);
    assert!(calm.doubts.is_empty(), "{:?}", calm.doubts);
    check(&calm, &calm, "calm");
    println!("{} moments", calm.moments);
    for moment in 1..=calm.moments {
        check(
            &calm,
            &play(&[(moment, Accident::Crash)]),
            &format!("a crash at moment {moment}"),
        );
    }
}

#[test]
fn a_power_failure_at_any_moment_changes_nothing_outside() {
    let calm = play(&[]);
    for moment in 1..=calm.moments {
        check(
            &calm,
            &play(&[(moment, Accident::PowerOff)]),
            &format!("a power failure at moment {moment}"),
        );
    }
}
