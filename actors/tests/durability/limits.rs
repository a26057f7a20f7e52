//! Every limit says no in words that a model can read and act on.

use std::fmt::Write as _;
use std::time::Duration;

use actors::model::{ChatMessage, EventBody, Limits, TaskDefinition, TeamSpec};
use actors::testing::sim::{Moments, Stage, settle};
use serde_json::{Value, json};

use crate::support::causes;
use crate::support::expect_panics;
use crate::support::trace::{Trace, requests};

fn delegate(agent: &str, mode: &str) -> Value {
    json!({ "tool": "create_run", "args": { "agent": agent, "input": format!("{agent}'s part"), "mode": mode } })
}

fn pay(tool: &str, args: Value) -> Value {
    json!({ "tool": tool, "args": args })
}

/// What the models were told in a play, other than that it went well, and how the runs that failed did so.
async fn told(name: &str, scripts: Value, change: impl FnOnce(&mut TaskDefinition)) -> String {
    expect_panics();
    let settings = json!({ "latency": "20ms", "scripts": scripts });
    let stage = Stage::new(serde_json::from_value(settings).expect("scripts"), 1);
    let trace = Trace::of(&stage);
    let system = stage
        .open_with(&Moments::calm(), |deps| trace.watch(deps))
        .await;
    let mut task = stage.task(&["lead", "worker", "clerk"]);
    change(&mut task);
    let task = system.create_task(task).await.expect("a task");
    let status = settle(&system, task, Duration::from_secs(3_600)).await;
    let mut text = format!("## {name}: {:?}\n", status.expect("an end"));
    let facts = trace.all();
    let mut shown = std::collections::BTreeSet::new();
    for (_, request) in requests(&facts) {
        for (nth, message) in request.messages.iter().enumerate() {
            let said = match message {
                ChatMessage::Tool { text, .. } => text,
                ChatMessage::User { text } if nth > 0 => text,
                _ => continue,
            };
            if shown.insert((request.run, nth)) {
                let _ = writeln!(text, "{} is told: {said}", request.agent);
            }
        }
    }
    let events = causes::journal(&stage, task).await;
    for event in &events {
        let _ = match &event.body {
            EventBody::BudgetExceeded { limit, .. } => writeln!(text, "budget_exceeded: {limit}"),
            EventBody::RunFailed { error, .. } => writeln!(text, "run_failed: {error}"),
            EventBody::RunQuarantined { reason } => writeln!(text, "run_quarantined: {reason}"),
            EventBody::TaskNeedsAttention { attention } => {
                writeln!(text, "task_needs_attention: {attention:?}")
            }
            _ => Ok(()),
        };
    }
    system.shutdown().await;
    for (nth, row) in system.runs(task).await.expect("runs").iter().enumerate() {
        text = text
            .replace(&row.id.to_string(), &format!("run_{nth}"))
            .replace(&row.id.0.to_string(), &format!("{nth}"));
    }
    text
}

fn limited(limits: Limits) -> impl FnOnce(&mut TaskDefinition) {
    move |task| task.limits = limits
}

fn done() -> Value {
    json!({ "say": "Done." })
}

/// The limits of the tree.
async fn of_the_tree() -> Vec<String> {
    let chain = json!({
        "lead": [{ "calls": [delegate("worker", "foreground")] }, done()],
        "worker": [{ "calls": [delegate("clerk", "foreground")] }, done()],
        "clerk": [done()]
    });
    let pair = json!({
        "lead": [{ "calls": [delegate("worker", "background"), delegate("clerk", "background")] }, done()],
        "worker": [{ "calls": [pay("pay_pure", json!({ "ms": 100 }))] }, done()], "clerk": [done()]
    });
    let default = Limits::default;
    let team = |task: &mut TaskDefinition| {
        let members = vec!["worker".into(), "clerk".into()];
        let (lead, max_workers) = ("lead".into(), Some(1));
        task.team = Some(TeamSpec {
            lead,
            members,
            max_workers,
            ..TeamSpec::default()
        });
    };
    vec![
        told(
            "depth",
            chain,
            limited(Limits {
                depth: 1,
                ..default()
            }),
        )
        .await,
        told(
            "fan_out",
            pair.clone(),
            limited(Limits {
                fan_out: 1,
                ..default()
            }),
        )
        .await,
        told(
            "live_runs",
            pair.clone(),
            limited(Limits {
                live_runs: 2,
                ..default()
            }),
        )
        .await,
        told(
            "total_runs",
            pair.clone(),
            limited(Limits {
                total_runs: 2,
                ..default()
            }),
        )
        .await,
        told("max_workers", pair, team).await,
    ]
}

/// The limits of one run.
async fn of_a_run() -> Vec<String> {
    let once = |call: Value| json!({ "lead": [{ "calls": [call] }, done()] });
    let long = "a long way to say it ".repeat(4);
    let answer = json!({
        "lead": [{ "calls": [delegate("worker", "foreground"), delegate("worker", "background")] }, done(), done()],
        "worker": [{ "say": long.clone() }]
    });
    let turns = json!({ "lead": [{ "calls": [pay("pay_pure", json!({}))] }, { "calls": [pay("pay_pure", json!({}))] }, done()] });
    let default = Limits::default;
    let short = |task: &mut TaskDefinition| {
        for agent in task.agents.values_mut() {
            agent.tool_timeout = Duration::from_secs(2);
        }
    };
    let slow = |tool: &str| once(pay(tool, json!({ "what": "rent", "ms": 90_000 })));
    vec![
        told("max_turns", turns, |task| {
            for agent in task.agents.values_mut() {
                agent.max_turns = 2;
            }
        })
        .await,
        told("timeout", json!({ "lead": [done()] }), |task| {
            for agent in task.agents.values_mut() {
                agent.timeout = Duration::from_millis(10);
            }
        })
        .await,
        told("tool_timeout of a pure call", slow("pay_pure"), short).await,
        told(
            "tool_timeout of a call that can be made once",
            slow("pay_once"),
            short,
        )
        .await,
        told(
            "capsule_chars",
            answer,
            limited(Limits {
                capsule_chars: 30,
                ..default()
            }),
        )
        .await,
        told(
            "tool_result_bytes",
            once(pay("pay_pure", json!({ "what": long }))),
            limited(Limits {
                tool_result_bytes: 24,
                ..default()
            }),
        )
        .await,
        told(
            "poison_after",
            once(pay("pay_pure", json!({ "what": "x", "then": "panic" }))),
            limited(Limits {
                poison_after: 2,
                ..default()
            }),
        )
        .await,
    ]
}

/// Wishes that cannot be granted.
async fn of_wishes() -> Vec<String> {
    let wrong = json!({ "lead": [{ "calls": [
        pay("pay_taxes", json!({})),
        delegate("nobody", "foreground"),
        pay("create_run", json!({ "agent": "worker" })),
        pay("create_run", json!({ "input": "x", "colour": "red" })),
        pay("create_run", json!({ "input": "x", "context": "all" })),
        pay("post_message", json!({ "content": "x", "to": "nobody" })),
        pay("post_message", json!({ "words": "x" })),
    ] }, done()] });
    let alone = json!({ "lead": [{ "calls": [delegate("worker", "foreground")] }, done()] });
    vec![
        told("wrong calls", wrong, |_| {}).await,
        told(
            "no tools",
            json!({ "lead": [{ "call": "shell" }, done()] }),
            |task| {
                for agent in task.agents.values_mut() {
                    agent.tools.clear();
                }
            },
        )
        .await,
        told("nobody else", alone, |task| {
            task.available_agents.truncate(1)
        })
        .await,
    ]
}

#[tokio::test(start_paused = true)]
async fn every_refusal_can_be_read_and_acted_on() {
    let mut texts = of_the_tree().await;
    texts.extend(of_a_run().await);
    texts.extend(of_wishes().await);
    insta::assert_snapshot!(texts.join("\n"));
}
