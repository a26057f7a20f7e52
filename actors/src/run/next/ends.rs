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
    let text = match &end.content {
        Content::Inline(text) => text.as_str(),
        Content::Blob { preview, .. } => preview.as_str(),
    };
    let limit = limits.capsule_chars as usize;
    let status = match end.status {
        RunStatus::Completed => "completed",
        RunStatus::Cancelled => "was cancelled",
        _ => "failed",
    };
    let (shown, note) = match text.char_indices().nth(limit) {
        Some((cut, _)) => (
            &text[..cut],
            format!("\n[the first {limit} characters; the whole result is in the record of {run}]"),
        ),
        None => (text, String::new()),
    };
    format!("{} ({run}) {status}:\n{shown}{note}", child.agent)
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
    bodies.push(EventBody::RunCompleted {
        result: Content::Inline(text),
        usage: state.usage,
    });
    vec![Effect::Record(bodies)]
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
    let limit = limits.capsule_chars as usize;
    let shown = text
        .char_indices()
        .nth(limit)
        .map_or(text, |(cut, _)| &text[..cut]);
    let content = format!("{}: {shown}", spec.title);
    vec![EventBody::TaskMessage {
        from: Sender::Agent(name.clone()),
        to: None,
        content,
        outcome: true,
    }]
}
