//! "Why is this run waiting?" always has an answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actors::model::{Pause, ProviderLimit, Scope, Sender, TaskId, Timestamp, Whom};
use actors::provider::scripted::Scripted;
use actors::run::next::RetryPolicy;
use actors::run::why::{Reason, sentence};
use actors::system::{RunNode, System};
use actors::testing::sim::{Moments, Stage};
use insta::assert_snapshot;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(100_000);

/// What comes after each reason: a new one is missed here.
fn after(reason: Option<Reason>) -> Option<Reason> {
    let text = || "TEXT".to_owned();
    let Some(reason) = reason else {
        return Some(Reason::GaveUp { detail: text() });
    };
    Some(match reason {
        Reason::GaveUp { .. } => Reason::StoreTrouble { detail: text() },
        Reason::StoreTrouble { .. } => Reason::Quarantined,
        Reason::Quarantined => Reason::Paused(Pause {
            by: Sender::Human,
            since: Timestamp(40_000),
            scope: Scope::Run,
        }),
        Reason::Paused(_) => Reason::NotOpen,
        Reason::NotOpen => Reason::NotStarted,
        Reason::NotStarted => Reason::Retry {
            until: Timestamp(102_500),
            failures: 2,
        },
        Reason::Retry { .. } => Reason::AgentRestarting,
        Reason::AgentRestarting => Reason::AgentStopped,
        Reason::AgentStopped => Reason::Permit { pool: text() },
        Reason::Permit { .. } => Reason::Provider {
            provider: text(),
            limit: ProviderLimit::Breaker,
            wait_ms: Some(30_000),
        },
        Reason::Provider { .. } => Reason::Budget,
        Reason::Budget => Reason::ExecutorMissing { tool: text() },
        Reason::ExecutorMissing { .. } => Reason::ExecutorGone {
            tool: text(),
            name: text(),
        },
        Reason::ExecutorGone { .. } => Reason::Human { question: text() },
        Reason::Human { .. } => Reason::Children { count: 3 },
        Reason::Children { .. } => Reason::Thinking,
        Reason::Thinking => Reason::Calling {
            tools: vec![text()],
        },
        Reason::Calling { .. } => Reason::GoesOn,
        Reason::GoesOn => Reason::Ended,
        Reason::Ended => return None,
    })
}

#[test]
fn every_reason_is_a_sentence() {
    let reasons = std::iter::successors(after(None), |reason| after(Some(reason.clone())));
    let mut told = String::new();
    for reason in reasons {
        let name = serde_json::to_value(&reason).expect("a reason");
        let name = name["reason"].as_str().expect("a name").to_owned();
        let _ = writeln!(told, "{name}: {}", sentence(&reason, NOW));
    }
    assert_snapshot!(told);
}

fn call(tool: &str, args: Value) -> Value {
    json!({ "calls": [{ "tool": tool, "args": args }] })
}

fn tree(nodes: &[RunNode], told: &mut String) {
    for node in nodes {
        let why = node.why.as_ref().map_or("", |why| &why.sentence);
        let _ = writeln!(told, "{}: {why}", node.run.agent);
        tree(&node.children, told);
    }
}

async fn told(system: &System, task: TaskId) -> String {
    let (nodes, mut told) = (system.run_tree(task).await.expect("a tree"), String::new());
    tree(&nodes, &mut told);
    for node in &nodes {
        let why = system.why(task, node.run.id).await.expect("an answer");
        assert_eq!(Some(why), node.why);
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_tree_says_of_each_run_why_it_waits() {
    let agents = ["far", "asks", "slow", "fails", "thinks", "waits", "queued"];
    let start = |agent: &str| json!({ "tool": "create_run", "args": { "agent": agent, "input": "work", "mode": "background" } });
    let scripts = json!({ "latency": "20ms", "scripts": {
        "lead": [{ "calls": agents.map(start) }, { "say": "I wait." }],
        "far": [call("pay_ledgered", json!({ "what": "x" }))],
        "asks": [call("pay_once", json!({ "what": "x", "then": "unknown" }))],
        "slow": [call("pay_pure", json!({ "what": "x", "ms": 36_000_000 }))],
        "fails": vec![json!({ "fail": "overloaded" }); 9]
    } });
    let mut stage = Stage::new(serde_json::from_value(scripts).expect("scripts"), 5);
    stage.machines.clear();
    let few = |deps: &mut actors::system::Deps| {
        deps.settings.pools.pools = [("one".to_owned(), 1)].into();
        let slow = serde_json::from_value(json!({ "latency": "1h", "scripts": { "thinks": [{ "say": "so" }], "waits": [{ "say": "so" }] } })).expect("a script");
        let slow = Scripted::new(&slow).expect("a provider");
        let silent = (
            "silent".to_owned(),
            (Arc::new(slow) as _, RetryPolicy::default()),
        );
        deps.providers.extend([silent]);
    };
    let system = stage.open_with(&Moments::calm(), few).await;
    let mut task = stage.task(&[
        "lead", "far", "asks", "slow", "fails", "thinks", "waits", "queued",
    ]);
    for (name, agent) in &mut task.agents {
        agent.tool_timeout = Duration::from_secs(36_000);
        agent.in_doubt = actors::model::InDoubtPolicy::Ask;
        if ["thinks", "waits"].contains(&name.as_str()) {
            (agent.pool, agent.provider) = ("one".to_owned(), "silent".to_owned());
        }
    }
    let task = system.create_task(task).await.expect("a task");
    tokio::time::sleep(Duration::from_millis(10)).await;
    system
        .pause(task, Whom::Agent("queued".into()))
        .await
        .expect("paused");
    tokio::time::sleep(Duration::from_millis(90)).await;
    assert_snapshot!(told(&system, task).await);
    system.shutdown().await;
}
