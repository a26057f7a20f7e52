//! What becomes of a run when an incarnation of it begins. Pure.

use crate::model::{Limits, Recovery, RunStatus};

use super::state::RunState;

/// How a new incarnation begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// It is the first.
    Start,
    /// It goes on where the journal ends.
    Resume,
    /// Its conversation begins again; the model is told what had already been done.
    CleanSlate,
    /// It has crashed too often at one point and is left alone until somebody decides.
    Quarantine {
        /// Why.
        reason: String,
    },
    /// There is nothing to do.
    Nothing,
}

/// Decides how a new incarnation of a run begins.
#[must_use]
pub fn begin(state: &RunState, recovery: Recovery, limits: &Limits) -> Begin {
    match state.status {
        RunStatus::Completed
        | RunStatus::Failed
        | RunStatus::Cancelled
        | RunStatus::Quarantined => Begin::Nothing,
        _ if state.claims >= limits.poison_after => {
            let reason = format!(
                "it ended {} times at the same point without getting any further",
                state.claims
            );
            Begin::Quarantine { reason }
        }
        _ if state.epoch == 0 => Begin::Start,
        // A run that ended and was continued lost nothing, and a question to a person is not passed over.
        _ if recovery == Recovery::CleanSlate && state.is_begun && !state.asks_a_person() => {
            Begin::CleanSlate
        }
        _ => Begin::Resume,
    }
}
