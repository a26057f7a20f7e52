//! From an event back to what a person said.

use std::time::Duration;

use actors::model::{Event, EventBody, Sender, TaskId, TaskStatus};
use actors::store::{Append, Cause, Draft, Store};
use actors::system::{MOST_CAUSES, SystemError};
use actors::testing::sim::EPOCH;
use insta::assert_snapshot;
use serde_json::json;

use super::{Play, teller};

/// The lead is ready; a person tells it something, and it has a worker pay, who crashes over it.
async fn bought() -> (Play, TaskId) {
    let delegate =
        json!({ "tool": "create_run", "args": { "agent": "worker", "input": "buy a stamp" } });
    let pay = |what: &str| json!({ "tool": "pay_once", "args": { "what": what } });
    let scripts = json!({
        "lead": [
            { "say": "I am ready." },
            { "say": "I have it bought.", "calls": [delegate] },
            { "say": "It is bought.", "calls": [pay("an envelope")] },
            { "say": "And an envelope." }
        ],
        "worker": [
            { "say": "I look.", "calls": [pay("a look")] },
            { "say": "I buy it.", "calls": [pay("a stamp")] },
            { "say": "bought" }
        ]
    });
    let play = Play::with_latency("200ms", scripts, &[("worker", 1, 1)]).await;
    let task = play.begin(&["lead", "worker"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let said = play.system.say(task, "buy a stamp", Some("lead".into()));
    said.await.expect("it is said");
    play.until(task, TaskStatus::Completed).await;
    (play, task)
}

/// The chain of the last such event, told.
async fn told(play: &Play, task: TaskId, is_it: impl Fn(&EventBody) -> bool) -> String {
    let events = play.stage.journal(task).await;
    let of = events.iter().rev().find(|event| is_it(&event.body));
    let of = of.expect("such an event").id;
    let chain = play.system.causes(task, of).await.expect("its causes");
    teller::tell_some(&events, &chain)
}

fn starts(body: &EventBody, name: &str) -> bool {
    matches!(body, EventBody::ToolCallStarted { tool, .. } if tool == name)
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_goes_back_to_what_a_person_said() {
    let (play, task) = bought().await;
    let events = play.stage.journal(task).await;
    let worker = play.run(task, "worker").await;
    let of_worker =
        |event: &&Event| event.run_id == Some(worker) && starts(&event.body, "pay_once");
    let stamp = events.iter().rfind(of_worker).expect("it pays").id;
    let chain = play.system.causes(task, stamp).await.expect("its causes");
    assert_snapshot!(
        "of_a_call_in_a_delegated_run",
        teller::tell_some(&events, &chain)
    );
    let envelope = told(&play, task, |body| starts(body, "pay_once")).await;
    assert_snapshot!("of_a_call_after_a_delegated_run", envelope);
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_an_answer_goes_back_to_the_question_and_on() {
    let scripts = json!({ "lead": [
        { "call": "pay_once", "args": { "what": "rent", "then": "unknown" } },
        { "say": "paid" }
    ] });
    let play = Play::new(scripts, &[]).await;
    let ask = actors::model::InDoubtPolicy::Ask;
    let task = play.begin(&["lead"], |definition| {
        super::agent(definition, "lead").in_doubt = ask;
    });
    let task = task.await;
    play.until(task, TaskStatus::NeedsAttention).await;
    assert_eq!(play.system.answer(task, "it was paid").await, Ok(true));
    play.until(task, TaskStatus::Completed).await;
    let is_end = |body: &EventBody| matches!(body, EventBody::TaskCompleted { .. });
    assert_snapshot!(told(&play, task, is_end).await);
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_there_has_no_causes() {
    let (play, task) = bought().await;
    let head = play.system.task(task).await.expect("a task").head;
    for event in [0, head + 1, u64::MAX] {
        let refused = play.system.causes(task, event).await;
        assert_eq!(refused, Err(SystemError::NoSuchEvent(task, event, head)));
    }
    let error = SystemError::NoSuchEvent(task, 99, head).to_string();
    let error = error.replace(&task.to_string(), "task");
    assert_eq!(
        error,
        format!("task has no event 99: its events are numbered from 1 to {head}")
    );
    play.system.shutdown().await;
}

/// Writes notes that are caused so.
async fn write(play: &Play, task: TaskId, causes: impl Iterator<Item = Option<Cause>>) -> u64 {
    let draft = |cause| Draft {
        run: None,
        agent: None,
        at: EPOCH,
        epoch: 0,
        cause,
        body: EventBody::TaskMessage {
            from: Sender::Human,
            to: None,
            content: String::new(),
            outcome: false,
        },
    };
    let append = Append {
        task,
        fence: None,
        drafts: causes.map(draft).collect(),
        blobs: Vec::new(),
    };
    let written = play.stage.store.append(vec![append]).await.expect("memory");
    let events = written.into_iter().next().expect("one answer");
    events.expect("it is taken").last().expect("events").id
}

#[tokio::test(start_paused = true)]
async fn causes_are_followed_so_far_and_no_further() {
    let (play, task) = bought().await;
    let before = |place: usize| place.checked_sub(1).map(Cause::Draft);
    let last = write(&play, task, (0..=MOST_CAUSES).map(before)).await;
    let next = last - MOST_CAUSES as u64;
    let limit = MOST_CAUSES;
    let refused = play.system.causes(task, last).await;
    let event = last;
    assert_eq!(
        refused,
        Err(SystemError::TooManyCauses {
            task,
            event,
            limit,
            next
        })
    );
    let whole = play.system.causes(task, last - 1).await.expect("causes");
    assert_eq!(whole.len(), MOST_CAUSES);
    assert!(whole.is_sorted_by(|newer, older| newer.id == older.id + 1));
    assert_eq!(play.system.causes(task, next).await.expect("one").len(), 1);
    for not_before in [0, last + 2, u64::MAX] {
        let cause = Some(Cause::Event(not_before));
        let event = write(&play, task, [cause].into_iter()).await;
        let refused = play.system.causes(task, event).await;
        let error = refused.expect_err("a circle has no end").to_string();
        assert!(error.contains("is not before it"), "{error}");
    }
    play.system.shutdown().await;
}
