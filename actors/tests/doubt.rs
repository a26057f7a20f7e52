//! Calls whose outcome nobody knows, and what is decided about them.

use std::time::Duration;

use actors::model::event::{Event, Resolution};
use actors::model::{
    AgentName, EventBody, InDoubtPolicy, RunId, Sender, Step, StopReason, TaskId, TaskStatus,
    Timestamp, ToolCall, Usage,
};
use actors::provider::scripted::ScriptedSettings;
use actors::run::next::{MAX_RETRIES, in_doubt};
use actors::run::state::RunState;
use actors::testing::sim::{Accident, Moments, Stage, settle};
use serde_json::json;
use uuid::Uuid;

use crate::support::causes;

fn stage() -> Stage {
    let scripts = json!({ "lead": [
        { "say": "Power.", "call": "pay_ledgered", "args": { "what": "power" } },
        { "say": "{{last}}" }
    ] });
    let settings: ScriptedSettings =
        serde_json::from_value(json!({ "latency": "20ms", "scripts": scripts })).expect("scripts");
    Stage::new(settings, 11)
}

struct Played {
    result: String,
    paid: u32,
    doubts: usize,
    moments: u64,
}

/// A crash at one moment; a human who is asked says `retry`.
async fn played(policy: InDoubtPolicy, crash: Option<u64>) -> Played {
    let (stage, moments) = (
        stage(),
        Moments::with(crash.map(|moment| (moment, Accident::Crash))),
    );
    let system = stage.open(&moments).await;
    let mut task = stage.task(&["lead"]);
    let lead = task.agents.get_mut(&AgentName::from("lead"));
    lead.expect("the lead").in_doubt = policy;
    let id = loop {
        match system.create_task(task.clone()).await {
            Ok(id) => break id,
            // The crash was in the creation; whether it counts is seen by looking.
            Err(_) => match stage.store_task().await {
                Some(id) => break id,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    };
    let mut status = settle(&system, id, Duration::from_secs(60)).await;
    if status == Some(TaskStatus::NeedsAttention) {
        assert!(system.answer(id, "retry").await.expect("it is heard"));
        status = settle(&system, id, Duration::from_secs(60)).await;
    }
    assert_eq!(status, Some(TaskStatus::Completed), "{crash:?}");
    system.shutdown().await;
    let events = causes::journal(&stage, id).await;
    let is_doubt = |event: &&Event| matches!(event.body, EventBody::ToolCallInDoubt { .. });
    let result = events.iter().find_map(|event| match &event.body {
        EventBody::TaskCompleted { result } => Some(format!("{result:?}")),
        _ => None,
    });
    Played {
        result: result.unwrap_or_default(),
        paid: stage.outside.payments()["power"],
        doubts: events.iter().filter(is_doubt).count(),
        moments: moments.passed(),
    }
}

/// Wherever the crash was, a call in doubt is made again once and comes to its result.
async fn made_again(policy: InDoubtPolicy) {
    let calm = played(policy, None).await;
    let mut doubts = 0;
    for moment in 1..=calm.moments {
        let played = played(policy, Some(moment)).await;
        let what = format!("a crash at moment {moment}: {} times paid", played.paid);
        assert_eq!(played.result, calm.result, "{what}");
        assert!(
            played.paid as usize <= 1 + played.doubts && played.doubts <= 1,
            "{what}"
        );
        doubts += played.doubts;
    }
    assert_eq!(doubts, 2, "right before and right after the effect");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_doubt_is_made_again_where_the_file_says_so() {
    made_again(InDoubtPolicy::Retry).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_in_doubt_is_made_again_where_a_human_says_so() {
    made_again(InDoubtPolicy::Ask).await;
}

#[test]
fn a_call_is_not_made_again_for_ever() {
    let run = RunId(Uuid::from_u128(1));
    let step = Step { turn: 0, index: 0 };
    let call = ToolCall {
        id: "c".into(),
        name: "shell".into(),
        args: json!({}),
    };
    let answer = EventBody::ModelCallCompleted {
        turn: 0,
        text: String::new(),
        calls: vec![call],
        usage: Usage::default(),
        stop: StopReason::ToolCalls,
        opaque: Vec::new(),
    };
    let event = |id, body| Event {
        id,
        task_id: TaskId(Uuid::from_u128(2)),
        run_id: Some(run),
        agent: Some("a".into()),
        at: Timestamp(0),
        epoch: 1,
        cause: None,
        body,
    };
    let mut events = vec![event(1, answer)];
    for tries in 0..=MAX_RETRIES {
        let state = RunState::from_events(run, &events);
        let bodies = in_doubt(&state, step, "nobody knows", InDoubtPolicy::Retry);
        let is_retried = bodies.iter().any(|body| {
            let by = Sender::System;
            let resolution = Resolution::Retried;
            *body
                == EventBody::ToolCallResolved {
                    step,
                    by,
                    resolution,
                }
        });
        assert_eq!(is_retried, tries < MAX_RETRIES, "after {tries}");
        let next = bodies.into_iter().zip(events.len() as u64 + 1..);
        events.extend(next.map(|(body, id)| event(id, body)));
    }
}
