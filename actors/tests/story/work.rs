//! What agents do: delegate, work in the background, follow a workflow.

use std::time::Duration;

use actors::model::{Content, EventBody, TaskDefinition, TaskId, TaskStatus, WorkflowPin};
use actors::system::{System, SystemError};
use actors::testing::sim::{Moments, Stage, settle};
use serde_json::json;

struct Played {
    stage: Stage,
    system: System,
    task: TaskId,
}

/// Plays a task of these agents to its end.
async fn play(
    scripts: serde_json::Value,
    agents: &[&str],
    change: impl FnOnce(&mut TaskDefinition),
) -> Played {
    play_slowly("20ms", scripts, agents, change).await
}

async fn play_slowly(
    latency: &str,
    scripts: serde_json::Value,
    agents: &[&str],
    change: impl FnOnce(&mut TaskDefinition),
) -> Played {
    let scripts = serde_json::from_value(json!({ "latency": latency, "scripts": scripts }));
    let stage = Stage::new(scripts.expect("scripts"), 1);
    let system = stage.open(&Moments::calm()).await;
    let mut definition = stage.task(agents);
    change(&mut definition);
    let task = system.create_task(definition).await.expect("created");
    assert_eq!(
        settle(&system, task, Duration::from_secs(3600)).await,
        Some(TaskStatus::Completed)
    );
    Played {
        stage,
        system,
        task,
    }
}

impl Played {
    async fn bodies(&self) -> Vec<EventBody> {
        self.stage
            .journal(self.task)
            .await
            .into_iter()
            .map(|event| event.body)
            .collect()
    }

    async fn result(&self) -> String {
        let end = self
            .bodies()
            .await
            .into_iter()
            .rev()
            .find_map(|body| match body {
                EventBody::TaskCompleted {
                    result: Content::Inline(text),
                } => Some(text),
                _ => None,
            });
        end.expect("a result")
    }
}

#[tokio::test(start_paused = true)]
async fn a_lead_delegates_and_comes_to_its_result() {
    let played = play(
        json!({
            "lead": [
                { "say": "I ask the worker.", "call": "create_run", "args": { "agent": "worker", "input": "pay rent" } },
                { "say": "Done: {{result.0}}" }
            ],
            "worker": [
                { "say": "Paying.", "calls": [ { "tool": "pay_once", "args": { "what": "rent" } },
                    { "tool": "pay_ledgered", "args": { "what": "power" } } ] },
                { "say": "paid {{input}}" }
            ]
        }),
        &["lead", "worker"],
        |_| {},
    )
    .await;
    assert!(
        played.result().await.ends_with("completed:\npaid pay rent"),
        "{}",
        played.result().await
    );
    let paid = played.stage.outside.payments();
    assert_eq!(
        paid.into_iter().collect::<Vec<_>>(),
        [("power".to_owned(), 1), ("rent".to_owned(), 1)]
    );
    played.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_ended_goes_on_in_the_same_conversation() {
    let played = play(
        json!({ "lead": [ { "say": "first" }, { "when": "and then", "say": "second, after: {{last}}" } ] }),
        &["lead"],
        |_| {},
    )
    .await;
    assert_eq!(played.result().await, "first");
    let run = played.system.runs(played.task).await.unwrap()[0].id;
    played
        .system
        .follow_up(played.task, run, "and then?")
        .await
        .unwrap();
    assert_eq!(
        played.system.task(played.task).await.unwrap().status,
        TaskStatus::Running
    );
    settle(&played.system, played.task, Duration::from_secs(60)).await;
    assert_eq!(
        played.result().await,
        "second, after: [a person, to you] and then?"
    );
    let record = played.system.run(played.task, run).await.unwrap();
    assert_eq!((record.attempt, record.error), (2, None));
    let early = played
        .system
        .follow_up(played.task, actors::model::RunId(uuid::Uuid::nil()), "x")
        .await;
    assert!(matches!(early, Err(SystemError::NoSuchRun(_))), "{early:?}");
    played.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_a_worker_with_the_same_tools_and_its_own_conversation_does_it() {
    let played = play(
        json!({ "lead": [
            { "when": "pay the bills", "say": "split", "call": "create_run", "args": { "input": "part one", "context": "none" } },
            { "when": "part one", "say": "my part", "call": "pay_once", "args": { "what": "part" } },
            { "when": "paid part", "say": "worker's word" },
            { "say": "lead's word: {{result.0}}" }
        ] }),
        &["lead"],
        |_| {},
    )
    .await;
    let workers: Vec<_> = played
        .bodies()
        .await
        .into_iter()
        .filter_map(|body| match body {
            EventBody::RunQueued { spec } if spec.worker => {
                Some((spec.agent.to_string(), spec.depth))
            }
            _ => None,
        })
        .collect();
    assert_eq!(workers, [("lead".to_owned(), 1)]);
    assert!(
        played.result().await.contains("worker's word"),
        "{}",
        played.result().await
    );
    assert_eq!(played.stage.outside.payments()["part"], 1);
    played.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_run_in_the_background_says_at_an_interval_how_it_is_getting_on() {
    let steps: Vec<_> = (0..6)
        .map(|n| json!({ "say": format!("step {n}"), "call": "pay_pure", "args": {} }))
        .collect();
    let played = play_slowly(
        "1400ms",
        json!({
            "lead": [
                { "say": "go", "call": "create_run", "args": { "agent": "worker", "input": "long", "mode": "background" } },
                { "say": "I wait." },
                { "say": "It said: {{last}}" }
            ],
            "worker": steps
        }),
        &["lead", "worker"],
        |definition| definition.limits.progress_ms = 2_000,
    )
    .await;
    let said = played
        .bodies()
        .await
        .into_iter()
        .filter_map(|body| match body {
            EventBody::RunProgress { turn, doing, .. } => Some((turn, doing)),
            _ => None,
        });
    // A model call takes 1.4 s, and the worker says every 2 s what it is doing.
    let turns: Vec<_> = said
        .map(|(turn, doing)| format!("{turn} {doing}"))
        .collect();
    assert_eq!(
        turns,
        ["1 thinking", "2 thinking", "4 thinking", "5 thinking"]
    );
    let result = played.result().await;
    assert!(!result.contains("still at it"), "it has ended: {result}");
    played.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_pinned_workflow_reaches_every_agent() {
    let played = play(
        json!({ "lead": [ { "say": "done" } ] }),
        &["lead"],
        |definition| {
            let (name, instructions) = ("review".to_owned(), "Look twice.".to_owned());
            definition.workflow = Some(WorkflowPin {
                name,
                version: 3,
                instructions,
            });
        },
    )
    .await;
    let pinned = played
        .bodies()
        .await
        .into_iter()
        .find_map(|body| match body {
            EventBody::TaskCreated { definition } => definition.workflow,
            _ => None,
        });
    assert_eq!(pinned.map(|pin| pin.version), Some(3));
    played.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_with_one_message() {
    // What was said in the room before comes with the brief: two messages of one side in a row are refused by some providers.
    let played = play(
        json!({
            "lead": [
                { "say": "Say it.", "call": "post_message", "args": { "content": "the key is under the mat" } },
                { "say": "You.", "call": "create_run", "args": { "agent": "worker", "input": "find the key" } },
                { "say": "{{result.1}}" }
            ],
            "worker": [ { "when": "(?s)find the key.*under the mat", "say": "found" }, { "say": "not found" } ]
        }),
        &["lead", "worker"],
        |_| {},
    )
    .await;
    let result = played.result().await;
    assert!(result.contains("\nfound"), "{result}");
    played.system.shutdown().await;
}
