//! A timeout ends the work and not only the wait for it.

use std::time::Duration;

use actors::model::event::Outcome;
use actors::model::{EventBody, TaskId};
use actors::system::System;
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage};
use serde_json::{Value, json};

use crate::support::causes;
use crate::support::slow::slow;

struct World {
    stage: Stage,
    requests: Requests,
    system: System,
    task: TaskId,
}

/// One agent of this name makes this call, which may take ten seconds.
async fn world(agent: &str, tool: &str, args: Value, machines: &[&str]) -> World {
    let call = json!({ "tool": tool, "args": args });
    let script = json!({ "latency": "1ms", "scripts": { agent: [{ "calls": [call] }, { "say": "Done." }] } });
    let requests = Requests::default();
    let mut stage = Stage::with_provider(requests.before(slow(script)), 5);
    stage.machines = machines.iter().map(|name| (*name).to_owned()).collect();
    let system = stage.open(&Moments::calm()).await;
    let mut task = stage.task(&[agent]);
    for agent in task.agents.values_mut() {
        let short = Duration::from_secs(10);
        (agent.timeout, agent.tool_timeout) = (short, short);
    }
    let task = system.create_task(task).await.expect("a task");
    World {
        stage,
        requests,
        system,
        task,
    }
}

impl World {
    /// What has become of the call after so long, and how many calls are under way.
    async fn after(&self, seconds: u64) -> (Option<(Outcome, String)>, u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let events = causes::journal(&self.stage, self.task).await;
        let result = events.iter().find_map(|event| match &event.body {
            EventBody::ToolCallCompleted {
                outcome, content, ..
            } => Some((*outcome, content.beginning().to_owned())),
            _ => None,
        });
        (result, self.stage.outside.under_way())
    }
}

fn hangs() -> Value {
    json!({ "what": "rent", "ms": 36_000_000 })
}

#[tokio::test(start_paused = true)]
async fn a_tool_of_the_node_is_dropped() {
    for (tool, said) in [
        (
            "pay_pure",
            "no answer within 10s (tool_timeout); it was stopped",
        ),
        (
            "pay_once",
            "The outcome of this call is unknown: no answer within 10s (tool_timeout); it was stopped.",
        ),
    ] {
        let world = world("one", tool, hangs(), &[]).await;
        assert_eq!(world.after(9).await, (None, 1));
        let (result, under_way) = world.after(2).await;
        let (outcome, text) = result.expect("a result");
        assert_eq!(outcome, Outcome::Error);
        assert!(text.starts_with(said), "{text}");
        assert_eq!((under_way, world.stage.outside.calls()), (0, (1, 1)));
        world.system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_executor_is_told_to_stop_and_its_word_is_waited_for() {
    let world = world("one", "pay_ledgered", hangs(), &["far"]).await;
    // The executor keeps the limit itself; this one does not, and is told when its grace is over.
    assert_eq!(world.after(39).await, (None, 1));
    let (result, under_way) = world.after(2).await;
    let said = "no answer within 10s (tool_timeout); it was cancelled and its processes are gone";
    assert_eq!(result, Some((Outcome::Error, said.to_owned())));
    assert_eq!(under_way, 0);
    world.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_executor_is_not_part_of_the_call() {
    let world = world("one", "pay_ledgered", json!({ "what": "rent" }), &[]).await;
    assert_eq!(world.after(3_600).await, (None, 0));
    let (stage, calm) = (&world.stage, Moments::calm());
    stage.connect(&world.system, "late", &calm);
    let (result, _) = world.after(1).await;
    assert_eq!(result, Some((Outcome::Ok, "paid rent".to_owned())));
    world.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_call_is_aborted() {
    let world = world("thinker", "pay_pure", hangs(), &[]).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!((world.requests.count(), world.requests.under_way()), (1, 1));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    // As often as the provider is tried in all; none of them is left.
    assert_eq!((world.requests.count(), world.requests.under_way()), (4, 0));
    let events = causes::journal(&world.stage, world.task).await;
    let why = events.iter().find_map(|event| match &event.body {
        EventBody::RunFailed { error, .. } => Some(error.clone()),
        _ => None,
    });
    let why = why.expect("it failed");
    assert!(
        why.contains("no whole reply within 10s (timeout of agent `thinker`)"),
        "{why}"
    );
    world.system.shutdown().await;
}
