//! What becomes of a message for an agent that is at work.

use std::time::Duration;

use actors::model::agent::WhenBusy;
use actors::model::event::Outcome;
use actors::model::{ChatMessage, EventBody, TaskId, TaskStatus};
use actors::system::{Deps, System, SystemError};
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage, settle};
use serde_json::json;

use crate::support::causes;

struct World {
    stage: Stage,
    requests: Requests,
    system: System,
    task: TaskId,
}

/// The lead delegates to a worker in the background, and says something to it while it thinks.
async fn world(when_busy: WhenBusy) -> World {
    let start = json!({ "tool": "create_run", "args": { "agent": "worker", "input": "work", "mode": "background" } });
    let say = json!({ "tool": "post_message", "args": { "to": "worker", "content": "hurry" } });
    let scripts = json!({ "latency": "100ms", "scripts": {
        "lead": [{ "calls": [start] }, { "calls": [say] }, { "say": "All done." }],
        "worker": [{ "say": "Thought." }, { "say": "Heard." }]
    } });
    let stage = Stage::new(serde_json::from_value(scripts).expect("scripts"), 5);
    let requests = Requests::default();
    let change = |deps: &mut Deps| {
        for (provider, _) in deps.providers.values_mut() {
            *provider = requests.before(provider.clone());
        }
    };
    let system = stage.open_with(&Moments::calm(), change).await;
    let mut task = stage.task(&["lead", "worker"]);
    let worker = task.agents.get_mut(&"worker".into()).expect("the worker");
    worker.when_busy = when_busy;
    let task = system.create_task(task).await.expect("a task");
    World {
        stage,
        requests,
        system,
        task,
    }
}

impl World {
    /// The words that end the last message of each request of the worker.
    fn heard(&self) -> Vec<String> {
        let asked = self.requests.all().into_iter();
        let of_worker = asked.filter(|request| request.agent == "worker");
        let last = of_worker.filter_map(|mut request| match request.messages.pop()? {
            ChatMessage::User { text } => text.lines().last().map(str::to_owned),
            other => Some(format!("{other:?}")),
        });
        last.collect()
    }

    /// A person speaks to the worker 150 ms after the beginning, while it thinks.
    async fn person_says(&self) -> Result<u64, SystemError> {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let said = self
            .system
            .say(self.task, "stop", Some("worker".into()))
            .await;
        let status = settle(&self.system, self.task, Duration::from_secs(60)).await;
        assert_eq!(status, Some(TaskStatus::Completed));
        self.system.shutdown().await;
        said
    }

    async fn posted(&self) -> Vec<(Outcome, String)> {
        let events = causes::journal(&self.stage, self.task).await;
        let results = events.iter().filter_map(|event| match &event.body {
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } if step.turn == 1 => Some((*outcome, content.beginning().to_owned())),
            _ => None,
        });
        results.collect()
    }

    /// Whether a model call was interrupted, and what its run says it wasted.
    async fn wasted(&self) -> (usize, u64) {
        let events = causes::journal(&self.stage, self.task).await;
        let is_cut = |body: &EventBody| matches!(body, EventBody::ModelCallInterrupted { .. });
        let wasted = events.iter().map(|event| match &event.body {
            EventBody::RunCompleted { usage, .. } => usage.wasted_tokens,
            _ => 0,
        });
        let cut = events.iter().filter(|event| is_cut(&event.body)).count();
        (cut, wasted.sum())
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_read_at_the_next_turn() {
    let world = world(WhenBusy::Queue).await;
    world.person_says().await.expect("said");
    assert_eq!(world.heard(), ["work", "[lead, to you] hurry"]);
    assert_eq!(world.posted().await, [(Outcome::Ok, "posted".to_owned())]);
    assert_eq!(world.wasted().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_is_an_error_its_sender_reads() {
    let world = world(WhenBusy::Reject).await;
    let refused = world.person_says().await;
    assert_eq!(refused, Err(SystemError::Busy("worker".into())));
    assert_eq!(world.heard(), ["work"]);
    let [(outcome, why)] = &world.posted().await[..] else {
        panic!("one result")
    };
    assert_eq!(
        (*outcome, why.as_str()),
        (
            Outcome::Error,
            "agent `worker` is at work and takes no messages until it is done (when_busy = \"reject\"); say it later, or to the room"
        )
    );
    let stranger = world
        .system
        .say(world.task, "x", Some("nobody".into()))
        .await;
    assert!(stranger.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_interrupts_is_in_the_next_request_and_what_was_asked_before_is_wasted() {
    let world = world(WhenBusy::Interrupt).await;
    world.person_says().await.expect("said");
    let heard = world.heard();
    // The person interrupts it, and then the lead.
    assert_eq!(
        heard,
        ["work", "[a person, to you] stop", "[lead, to you] hurry"]
    );
    let (cut, wasted) = world.wasted().await;
    assert!(cut == 2 && wasted > 0, "{cut} cut, {wasted} wasted");
    assert_eq!(world.requests.under_way(), 0);
}
