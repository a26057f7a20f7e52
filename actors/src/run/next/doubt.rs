//! Calls whose outcome is unknown.

use std::collections::BTreeSet;

use crate::model::event::{Outcome, Resolution};
use crate::model::task::Attention;
use crate::model::{EventBody, InDoubtPolicy, Sender, Step, WaitReason};
use crate::run::state::{Call, CallPhase, RunState};

use super::act::completed;

/// How often [`InDoubtPolicy::Retry`] makes one call again; after that the model is told that nobody knows.
pub const MAX_RETRIES: u32 = 5;

/// What to write about a call whose outcome is unknown. Whatever follows from the policy at once is written with it.
#[must_use]
pub fn in_doubt(
    state: &RunState,
    step: Step,
    reason: &str,
    policy: InDoubtPolicy,
) -> Vec<EventBody> {
    let tool = state
        .call(step)
        .map(|call| call.call.name.clone())
        .unwrap_or_default();
    let retries = state.call(step).map_or(0, |call| call.retries);
    let policy = match policy {
        InDoubtPolicy::Retry if retries >= MAX_RETRIES => InDoubtPolicy::TellModel,
        policy => policy,
    };
    let mut bodies = vec![EventBody::ToolCallInDoubt {
        step,
        tool: tool.clone(),
        reason: reason.to_owned(),
        policy,
    }];
    match policy {
        InDoubtPolicy::TellModel => {
            bodies.extend(resolve(step, Sender::System, Resolution::ToldModel, reason))
        }
        InDoubtPolicy::Retry => {
            bodies.extend(resolve(step, Sender::System, Resolution::Retried, reason))
        }
        InDoubtPolicy::Compensate => {}
        InDoubtPolicy::Ask => {
            let question = state.call(step).map(|call| question(call, step, reason));
            let question = question.unwrap_or_default();
            let attention = Attention::InDoubt {
                run: state.id,
                question: question.clone(),
            };
            bodies.push(EventBody::RunWaiting {
                reason: WaitReason::Human { question },
            });
            bodies.push(EventBody::TaskNeedsAttention { attention });
        }
    }
    bodies
}

/// How much of a call's arguments a person is shown in a question.
const ARGS: usize = 200;

/// What a person is asked about a call.
#[must_use]
pub fn question(call: &Call, step: Step, reason: &str) -> String {
    let (tool, args) = (&call.call.name, call.call.args.to_string());
    let args = match args.char_indices().nth(ARGS) {
        Some((cut, _)) => format!("{}…", &args[..cut]),
        None => args,
    };
    format!("did {tool} {args} (step {step}) take effect? {reason}")
}

/// Why the outcome of a cancelled call is unknown.
pub const WHILE_IT_RAN: &str = "it was cancelled while it ran";

/// What to write about the calls of a cancelled run: those that were begun and have no result, also none that is about to be written.
#[must_use]
pub fn cancelled_in_doubt(state: &RunState, ended: &BTreeSet<Step>) -> Vec<EventBody> {
    left_in_doubt(state, ended, WHILE_IT_RAN)
}

/// The same of a run that ended for another reason.
#[must_use]
pub fn left_in_doubt(state: &RunState, ended: &BTreeSet<Step>, reason: &str) -> Vec<EventBody> {
    let is_begun = |call: &Call| matches!(&call.phase, CallPhase::Started { class, .. } if class.records_start());
    let doubt = |(step, call): (Step, &Call)| EventBody::ToolCallInDoubt {
        step,
        tool: call.call.name.clone(),
        reason: reason.to_owned(),
        policy: InDoubtPolicy::TellModel,
    };
    let open = state.open_calls();
    open.filter(|(step, call)| is_begun(call) && !ended.contains(step))
        .map(doubt)
        .collect()
}

/// What to write when it is known what becomes of a call in doubt: the decision, and with it the call's one result.
#[must_use]
pub fn resolve(step: Step, by: Sender, resolution: Resolution, reason: &str) -> Vec<EventBody> {
    let result = match &resolution {
        Resolution::Retried => None,
        Resolution::Answered { result } => Some(completed(step, Outcome::Ok, result.clone())),
        Resolution::Compensated { note } => {
            let text = format!(
                "The outcome of this call was unknown ({reason}); it was compensated: {note}"
            );
            Some(completed(step, Outcome::Error, text))
        }
        Resolution::ToldModel => {
            let text = format!(
                "The outcome of this call is unknown: {reason}. It may or may not have taken effect. \
                 Find out before you do it again."
            );
            Some(completed(step, Outcome::Error, text))
        }
    };
    std::iter::once(EventBody::ToolCallResolved {
        step,
        by,
        resolution,
    })
    .chain(result)
    .collect()
}
