//! What a run leaves behind grows with what was said and not with how often it was shown.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::model::{Content, EffectClass, Event, EventBody, Place, TaskStatus, ToolSpec};
use actors::store::Store;
use actors::testing::sim::{Moments, Stage, settle};
use actors::tool::{Invocation, Tool, ToolError};
use fastrand::Rng;
use futures_util::future::BoxFuture;
use serde_json::json;

/// Answers with so many letters, the same ones again or others.
struct Oracle {
    letters: usize,
    random: Mutex<Rng>,
    always_the_same: bool,
}

impl Tool for Oracle {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "ask".to_owned(),
            description: "asks".to_owned(),
            parameters: json!({ "type": "object" }),
            effect: EffectClass::Pure,
            place: Place::Node,
        }
    }

    fn call(&self, _: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        let mut random = self.random.lock().expect("not poisoned");
        if self.always_the_same {
            *random = Rng::with_seed(1);
        }
        let text = (0..self.letters).map(|_| random.alphanumeric()).collect();
        Box::pin(std::future::ready(Ok(text)))
    }
}

struct Stored {
    events: Vec<Event>,
    /// Bytes of events, blobs and the newest snapshot.
    bytes: usize,
    /// Bytes of what was asked and answered.
    content: usize,
    blobs: usize,
}

async fn stored(turns: usize, letters: usize, always_the_same: bool) -> Stored {
    let turn = |n| json!({ "say": format!("turn {n}"), "call": "ask", "args": { "about": "x".repeat(400) } });
    let mut script: Vec<_> = (0..turns).map(turn).collect();
    script.push(json!({ "say": "I know enough." }));
    let scripts = json!({ "scripts": { "lead": script } });
    let stage = Stage::new(serde_json::from_value(scripts).expect("scripts"), 1);
    let oracle = Arc::new(Oracle {
        letters,
        random: Mutex::new(Rng::with_seed(1)),
        always_the_same,
    });
    let moments = Moments::calm();
    let system = stage.open_with(&moments, |deps| deps.tools.push(oracle));
    let system = system.await;
    let mut task = stage.task(&["lead"]);
    for agent in task.agents.values_mut() {
        (agent.tools, agent.max_turns) = (vec!["ask".to_owned()], 1_000);
    }
    // It is to ask the same again and again, for as long as it likes.
    task.limits.budget = actors::model::Budget::default();
    (task.limits.loop_warn, task.limits.loop_stop) = (0, 0);
    let task = system.create_task(task).await.expect("a task");
    let status = settle(&system, task, Duration::from_secs(600)).await;
    assert_eq!(status, Some(TaskStatus::Completed));
    let run = system.runs(task).await.expect("runs")[0].id;
    system.shutdown().await;
    let events = stage.journal(task).await;
    let json = |event: &Event| serde_json::to_string(event).expect("json").len();
    let mut bytes: usize = events.iter().map(json).sum();
    let blobs: BTreeSet<_> = events.iter().filter_map(blob).collect();
    for hash in &blobs {
        let blob = stage.store.blob((*hash).clone()).await.expect("memory");
        bytes += blob.expect("a blob").len();
    }
    let snapshot = stage.store.snapshot(run).await.expect("memory");
    bytes += snapshot.map_or(0, |snapshot| snapshot.body.len());
    Stored {
        blobs: blobs.len(),
        bytes,
        content: turns * (letters + 400),
        events,
    }
}

fn blob(event: &Event) -> Option<&String> {
    match &event.body {
        EventBody::ToolCallCompleted {
            content: Content::Blob { blob, .. },
            ..
        } => Some(blob),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_runs_storage_is_linear_in_its_content() {
    for letters in [2_000, 40_000] {
        let (once, twice) = (
            stored(60, letters, false).await,
            stored(120, letters, false).await,
        );
        for stored in [&once, &twice] {
            let (bytes, content) = (stored.bytes, stored.content);
            assert!(bytes <= 2 * content, "{bytes} bytes for {content}");
        }
        let (once, twice) = (once.bytes, twice.bytes);
        assert!(
            twice * 10 <= once * 21,
            "{once}, and {twice} for twice as much"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn large_results_go_to_blobs_and_the_same_one_is_stored_once() {
    let different = stored(20, 40_000, false).await;
    let same = stored(20, 40_000, true).await;
    assert_eq!((different.blobs, same.blobs), (20, 1));
    assert!(same.bytes * 4 < different.bytes);
    for event in &different.events {
        let length = serde_json::to_string(event).expect("json").len();
        assert!(length < 4_000, "{length} bytes of {}", event.body.kind());
    }
    let small = stored(20, 4_000, false).await;
    assert_eq!(small.blobs, 0, "what is small stays where it is read");
}
