//! What holds of the causes in every journal.

use crate::model::{Event, EventBody, Sender, Step, TaskId};
use crate::testing::sim::Stage;

/// What may lead to an event of each kind; `-` is what is outside of the journal.
const TABLE: &[(&str, &[&str])] = &[
    ("task_created", &["-"]),
    (
        "task_message",
        &[
            "-",
            "tool_call_started",
            "model_call_completed",
            "model_call_started",
            "budget_exceeded",
            "alert",
            "task_resumed",
        ],
    ),
    ("topology_changed", &["-"]),
    (
        "task_needs_attention",
        &[
            "-",
            "tool_call_in_doubt",
            "budget_exceeded",
            "alert",
            "run_quarantined",
            "supervisor_gave_up",
            "task_needs_attention",
        ],
    ),
    (
        "task_resumed",
        &[
            "task_needs_attention",
            "run_completed",
            "run_failed",
            "run_cancelled",
            "run_released",
        ],
    ),
    ("task_completed", &["run_completed"]),
    ("task_failed", &["run_failed"]),
    ("task_cancelled", &["-", "run_cancelled"]),
    ("task_reopened", &["-"]),
    (
        "run_queued",
        &["task_created", "tool_call_started", "task_message"],
    ),
    ("run_started", &["run_queued", "run_released"]),
    (
        "run_restarted",
        &[
            "run_started",
            "run_restarted",
            "run_released",
            "run_continued",
        ],
    ),
    (
        "run_waiting",
        &[
            "run_queued",
            "run_started",
            "run_restarted",
            "run_continued",
            "run_released",
            "run_retrying",
            "model_call_started",
            "model_call_interrupted",
            "model_call_completed",
            "peer_decided",
            "tool_call_started",
            "tool_call_completed",
            "tool_call_in_doubt",
            "tool_call_resolved",
            "message",
            "budget_exceeded",
            "budget_raised",
            "alert",
            "run_quarantined",
        ],
    ),
    ("run_resumed", &["run_waiting"]),
    (
        "run_progress",
        &[
            "run_queued",
            "run_started",
            "run_restarted",
            "run_continued",
            "run_retrying",
            "model_call_started",
            "model_call_interrupted",
            "model_call_completed",
            "peer_decided",
            "tool_call_started",
            "tool_call_completed",
            "tool_call_in_doubt",
            "tool_call_resolved",
            "message",
            "budget_exceeded",
            "budget_raised",
            "alert",
        ],
    ),
    (
        "run_retrying",
        &[
            "model_call_started",
            "run_queued",
            "run_continued",
            "task_message",
            "message",
            "tool_call_completed",
            "alert",
            "run_progress",
        ],
    ),
    ("run_completed", &["model_call_completed", "peer_decided"]),
    (
        "run_failed",
        &[
            "-",
            "model_call_started",
            "model_call_completed",
            "budget_exceeded",
            "alert",
            "task_resumed",
        ],
    ),
    (
        "run_cancelled",
        &[
            "-",
            "run_completed",
            "run_failed",
            "run_cancelled",
            "budget_exceeded",
        ],
    ),
    (
        "run_quarantined",
        &[
            "-",
            "run_started",
            "run_restarted",
            "run_released",
            "run_continued",
        ],
    ),
    ("run_released", &["task_resumed"]),
    ("run_continued", &["-", "task_message", "task_created"]),
    ("peer_decided", &["model_call_completed"]),
    (
        "message",
        &[
            "run_completed",
            "run_failed",
            "run_cancelled",
            "run_restarted",
            "task_needs_attention",
        ],
    ),
    (
        "model_call_started",
        &[
            "run_queued",
            "run_continued",
            "task_message",
            "message",
            "tool_call_completed",
            "alert",
            "run_progress",
            "model_call_completed",
        ],
    ),
    ("model_call_interrupted", &["task_message"]),
    ("model_call_completed", &["model_call_started"]),
    (
        "tool_call_started",
        &["model_call_completed", "tool_call_resolved"],
    ),
    (
        "tool_call_completed",
        &[
            "tool_call_started",
            "tool_call_resolved",
            "model_call_completed",
            "run_completed",
            "run_failed",
            "run_cancelled",
        ],
    ),
    ("tool_call_in_doubt", &["tool_call_started"]),
    (
        "tool_call_resolved",
        &["tool_call_in_doubt", "task_resumed"],
    ),
    ("tool_call_late", &["tool_call_started"]),
    ("agent_state", &["-", "supervisor_restart"]),
    ("supervisor_restart", &["-"]),
    ("supervisor_gave_up", &["-"]),
    ("breaker_opened", &["-"]),
    ("breaker_closed", &["-"]),
    ("fault_injected", &["-"]),
    (
        "budget_exceeded",
        &[
            "model_call_started",
            "model_call_completed",
            "run_queued",
            "run_continued",
            "task_message",
            "message",
            "tool_call_completed",
            "alert",
            "run_progress",
            "task_created",
        ],
    ),
    ("budget_raised", &["-", "task_needs_attention"]),
    (
        "alert",
        &[
            "run_queued",
            "run_continued",
            "task_message",
            "message",
            "tool_call_completed",
            "alert",
            "run_progress",
            "model_call_completed",
        ],
    ),
];

/// A task's journal, once its causes are checked.
pub async fn journal(stage: &Stage, task: TaskId) -> Vec<Event> {
    let events = stage.journal(task).await;
    check(&events);
    events
}

/// Every event names one that stands before it, of a kind that leads to such an event, and a tool call goes back to what a person
/// said or did.
pub fn check(events: &[Event]) {
    for event in events {
        let cause = event.cause.map(|seq| {
            assert!((1..event.id).contains(&seq), "not before it: {event:#?}");
            &events[seq as usize - 1]
        });
        let (kind, of) = (event.body.kind(), cause.map_or("-", |it| it.body.kind()));
        let row = TABLE.iter().find(|(own, _)| *own == kind);
        let may = row
            .unwrap_or_else(|| panic!("{kind} is not in the table"))
            .1;
        assert!(
            may.contains(&of),
            "{of} leads to {kind}: {event:#?} {cause:#?}"
        );
        if let Some(cause) = cause {
            is_of_the_same(event, cause);
        }
        if matches!(event.body, EventBody::ToolCallStarted { .. }) {
            let root = chain(events, event).last().copied().expect("itself");
            assert!(is_of_a_person(root), "{event:#?} goes back to {root:#?}");
        }
    }
}

/// The event, and what led to it, back to what is outside.
pub fn chain<'a>(events: &'a [Event], event: &'a Event) -> Vec<&'a Event> {
    let before = |event: &&'a Event| event.cause.map(|seq| &events[seq as usize - 1]);
    std::iter::successors(Some(event), before).collect()
}

fn is_of_a_person(event: &Event) -> bool {
    match &event.body {
        EventBody::TaskCreated { .. } | EventBody::RunCancelled { .. } => true,
        EventBody::TaskMessage { from, .. } | EventBody::RunContinued { from, .. } => {
            *from == Sender::Human
        }
        _ => false,
    }
}

/// What belongs to one model call or one tool call names one of the same.
fn is_of_the_same(event: &Event, cause: &Event) {
    use EventBody as E;
    let same = match (&event.body, &cause.body) {
        (E::ModelCallCompleted { turn, .. }, E::ModelCallStarted { turn: of, .. })
        | (E::RunRetrying { turn, .. }, E::ModelCallStarted { turn: of, .. }) => turn == of,
        (body, E::ModelCallCompleted { turn, .. }) => step(body).is_none_or(|it| it.turn == *turn),
        (E::RunQueued { spec }, E::ToolCallStarted { step, .. }) => {
            let parent = spec.parent.as_ref().expect("a parent");
            return assert_eq!((Some(parent.run), parent.step), (cause.run_id, *step));
        }
        (E::Message { about, .. }, body) if body.is_run_end() => {
            return assert_eq!(*about, cause.run_id);
        }
        (body, of) if of.is_run_end() => !is_own(body) || event.run_id != cause.run_id,
        (body, of) => match (step(body), step(of)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        },
    };
    assert!(same, "{event:#?} {cause:#?}");
    let are_steps = step(&event.body).is_some() && step(&cause.body).is_some();
    let is_answer = matches!(event.body, E::ModelCallCompleted { .. });
    if are_steps || is_answer {
        assert_eq!(event.run_id, cause.run_id, "{event:#?} {cause:#?}");
    }
}

fn is_own(body: &EventBody) -> bool {
    matches!(body, EventBody::ToolCallCompleted { .. })
}

fn step(body: &EventBody) -> Option<Step> {
    match body {
        EventBody::ToolCallStarted { step, .. }
        | EventBody::ToolCallCompleted { step, .. }
        | EventBody::ToolCallInDoubt { step, .. }
        | EventBody::ToolCallResolved { step, .. }
        | EventBody::ToolCallLate { step, .. } => Some(*step),
        _ => None,
    }
}
