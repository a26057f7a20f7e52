//! What crashes again and again at one point is left alone until somebody has decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actors::model::{
    Attention, EffectClass, EventBody, Place, RunStatus, TaskId, TaskStatus, ToolSpec,
};
use actors::system::{Settled, System};
use actors::testing::sim::{Moments, Stage, settle};
use actors::tool::{Invocation, Tool, ToolError};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::support::causes;
use crate::support::expect_panics;

/// Panics so often at each of its calls before it answers.
struct Touchy {
    panics: u32,
    calls: Arc<AtomicU32>,
}

impl Tool for Touchy {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "touch".to_owned(),
            description: "touches".to_owned(),
            parameters: json!({ "type": "object" }),
            effect: EffectClass::Pure,
            place: Place::Node,
        }
    }

    fn call(&self, _: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        Box::pin(async {
            let nth = self.calls.fetch_add(1, Ordering::SeqCst);
            if nth % (self.panics + 1) < self.panics {
                panic!("the tool panics on purpose");
            }
            Ok("touched".to_owned())
        })
    }
}

struct Played {
    stage: Stage,
    system: System,
    task: TaskId,
    calls: Arc<AtomicU32>,
}

impl Played {
    async fn settled(&self) -> Option<TaskStatus> {
        settle(&self.system, self.task, Duration::from_secs(600)).await
    }

    async fn claims(&self) -> usize {
        let events = causes::journal(&self.stage, self.task).await;
        events.iter().filter(|event| event.body.is_claim()).count()
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

/// Two calls one after the other, each of which panics so often; five claims of one point are allowed.
async fn played(panics: u32) -> Played {
    expect_panics();
    let script = json!({ "scripts": { "lead": [
        { "call": "touch" }, { "call": "touch" }, { "say": "Touched twice." }
    ] } });
    let stage = Stage::new(serde_json::from_value(script).expect("a script"), 2);
    let calls = Arc::<AtomicU32>::default();
    let tool = Arc::new(Touchy {
        panics,
        calls: calls.clone(),
    });
    let system = stage
        .open_with(&Moments::calm(), |deps| deps.tools.push(tool))
        .await;
    let mut task = stage.task(&["lead"]);
    for agent in task.agents.values_mut() {
        agent.tools = vec!["touch".to_owned()];
    }
    let task = system.create_task(task).await.expect("a task");
    Played {
        stage,
        system,
        task,
        calls,
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_crashes_at_the_same_point_is_quarantined_until_somebody_has_decided() {
    let played = played(8).await;
    assert_eq!(played.settled().await, Some(TaskStatus::NeedsAttention));
    let (calls, claims) = (played.calls(), played.claims().await);
    // The incarnation that got there, and five that began there and got no further.
    assert_eq!((calls, claims), (6, 6));
    let row = &played.system.runs(played.task).await.expect("runs")[0];
    assert_eq!(row.status, RunStatus::Quarantined);
    let why = "it ended 5 times at the same point without getting any further";
    let settled = played.system.wait(played.task).await;
    assert_eq!(
        settled,
        Ok(Settled::NeedsAttention(Attention::Quarantined {
            run: row.id,
            reason: why.to_owned()
        }))
    );
    // Neither time nor a new node lets it go on.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    played.system.shutdown().await;
    let again = played.stage.open(&Moments::calm()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((played.calls(), played.claims().await), (calls, claims));
    again.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_run_goes_on_when_somebody_has_decided() {
    let played = played(8).await;
    assert_eq!(played.settled().await, Some(TaskStatus::NeedsAttention));
    // Six panics, two more and the first call is through; six of the second, two more, and it is through.
    for calls in [15, 18] {
        let answer = played.system.answer(played.task, "try again").await;
        assert_eq!(answer, Ok(true));
        let status = played.settled().await;
        let is_over = calls == 18;
        let wanted = match is_over {
            true => TaskStatus::Completed,
            false => TaskStatus::NeedsAttention,
        };
        assert_eq!((status, played.calls()), (Some(wanted), calls));
    }
    let events = causes::journal(&played.stage, played.task).await;
    let released = |body: &EventBody| matches!(body, EventBody::RunReleased);
    let count = events.iter().filter(|event| released(&event.body)).count();
    assert_eq!(count, 2);
    played.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_gets_further_each_time_is_not_quarantined() {
    let played = played(4).await;
    assert_eq!(played.settled().await, Some(TaskStatus::Completed));
    assert_eq!(played.calls(), 10);
    played.system.shutdown().await;
}
