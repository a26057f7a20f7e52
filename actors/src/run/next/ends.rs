//! The ends of delegated runs, and the run's own.

use crate::model::event::Outcome;
use crate::model::{
    AgentName, Content, Delegation, EventBody, Limits, RunId, RunStatus, Sender, Step, WaitReason,
};
use crate::run::state::{Child, ChildEnd, RunState};

use super::{Effect, Surroundings};

pub(super) fn delegated(
    state: &RunState,
    around: &Surroundings<'_>,
    step: Step,
    run: RunId,
) -> Vec<Effect> {
    let Some((child, end)) = state
        .children
        .get(&run)
        .and_then(|child| Some((child, child.end.as_ref()?)))
    else {
        return Vec::new();
    };
    let outcome = if end.status == RunStatus::Completed {
        Outcome::Ok
    } else {
        Outcome::Error
    };
    let content = Content::Inline(capsule(run, child, end, around.limits));
    vec![Effect::Record(vec![EventBody::ToolCallCompleted {
        step,
        outcome,
        content,
    }])]
}

/// Ends of background runs that the model has not been told of.
pub(super) fn background_ends(state: &RunState, around: &Surroundings<'_>) -> Vec<EventBody> {
    let untold = |child: &Child| child.delegation == Delegation::Background && !child.delivered;
    let ended = state.children.iter().filter(|(_, child)| untold(child));
    ended
        .filter_map(|(run, child)| {
            let content = Content::Inline(capsule(*run, child, child.end.as_ref()?, around.limits));
            let from = Sender::Agent(child.agent.as_str().into());
            Some(EventBody::Message {
                from,
                content,
                about: Some(*run),
            })
        })
        .collect()
}

/// What a parent is shown of a delegated run: how it ended, and its result up to a limit.
#[must_use]
pub fn capsule(run: RunId, child: &Child, end: &ChildEnd, limits: &Limits) -> String {
    let status = match end.status {
        RunStatus::Completed => "completed",
        RunStatus::Cancelled => "was cancelled",
        _ => "failed",
    };
    let text = cut(&end.content, limits, |limit| {
        format!("[the first {limit} characters; the whole result is in the record of {run}]")
    });
    format!("{} ({run}) {status}:\n{text}", child.agent)
}

/// As much of a text as others are shown, and a note if there is more.
fn cut(content: &Content, limits: &Limits, note: impl Fn(usize) -> String) -> String {
    let limit = limits.capsule_chars as usize;
    let text = content.beginning();
    let shown = match text.char_indices().nth(limit) {
        Some((cut, _)) => &text[..cut],
        None => text,
    };
    let bytes = match content {
        Content::Inline(text) => text.len() as u64,
        Content::Blob { bytes, .. } => *bytes,
    };
    if bytes <= shown.len() as u64 {
        return shown.to_owned();
    }
    format!("{shown}\n{}", note(shown.chars().count()))
}

pub(super) fn finish(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    let ends = background_ends(state, around);
    if !ends.is_empty() {
        return vec![Effect::Record(ends)];
    }
    let count = state.live_children();
    if count > 0 {
        let reason = WaitReason::Children { count };
        let said = state.waiting.as_ref() == Some(&reason);
        return if said {
            Vec::new()
        } else {
            vec![Effect::Record(vec![EventBody::RunWaiting { reason }])]
        };
    }
    let text = state
        .last_turn()
        .map(|turn| turn.text.clone())
        .unwrap_or_default();
    let mut bodies = room_message(state, around.name, &text, around.limits);
    bodies.extend(peer_message(state, around, &text));
    bodies.push(EventBody::RunCompleted {
        result: Content::Inline(text),
        usage: state.usage,
    });
    vec![Effect::Record(bodies)]
}

/// What a peer that engaged answers, said in the room.
fn peer_message(state: &RunState, around: &Surroundings<'_>, text: &str) -> Option<EventBody> {
    let spec = state.spec.as_ref()?;
    spec.heard?;
    let content = shown_of(state.id, text, around.limits);
    (!text.trim().is_empty()).then(|| EventBody::TaskMessage {
        from: Sender::Agent(around.name.clone()),
        to: None,
        content,
        outcome: false,
    })
}

/// As much of a run's result as the room is shown.
fn shown_of(run: RunId, text: &str, limits: &Limits) -> String {
    cut(&Content::Inline(text.to_owned()), limits, |limit| {
        format!("[the first {limit} characters; the whole result is in the record of {run}]")
    })
}

/// A delegated run's outcome, said in the room.
#[must_use]
pub fn room_message(
    state: &RunState,
    name: &AgentName,
    text: &str,
    limits: &Limits,
) -> Vec<EventBody> {
    let Some(spec) = state.spec.as_ref().filter(|spec| spec.parent.is_some()) else {
        return Vec::new();
    };
    let shown = shown_of(state.id, text, limits);
    let content = format!("{}: {shown}", spec.title);
    vec![EventBody::TaskMessage {
        from: Sender::Agent(name.clone()),
        to: None,
        content,
        outcome: true,
    }]
}
