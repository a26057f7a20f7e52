//! What a task waits for a person to decide: a fold of its events. Pure.

use crate::model::{Attention, Event, EventBody, RunId};

/// The open questions of a task, in the order in which they were asked.
///
/// An answer is to the first of them. Those that stay open are asked again together with it, so whatever was asked before an
/// answer is decided, or asked after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions(Vec<Attention>);

impl Questions {
    /// Takes one event of the task in.
    pub fn fold(&mut self, event: &Event) {
        match &event.body {
            EventBody::TaskNeedsAttention { attention } if !self.0.contains(attention) => {
                self.0.push(attention.clone());
            }
            EventBody::TaskResumed { .. } | EventBody::TaskReopened => self.0.clear(),
            EventBody::RunReleased => self.forget(event.run_id),
            body if body.is_task_end() => self.0.clear(),
            body if body.is_run_end() => self.forget(event.run_id),
            _ => {}
        }
    }

    /// Nobody waits any more for what was asked about this run.
    fn forget(&mut self, run: Option<RunId>) {
        self.0.retain(|open| run.is_none() || about(open) != run);
    }

    /// The question an answer is to.
    #[must_use]
    pub fn first(&self) -> Option<&Attention> {
        self.0.first()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Attention] {
        &self.0
    }

    /// All but this one.
    #[must_use]
    pub fn without(&self, answered: &Attention) -> Vec<Attention> {
        let rest = self.0.iter().filter(|open| *open != answered);
        rest.cloned().collect()
    }

    /// Why nothing of the task runs, if one of its supervisors has given up.
    #[must_use]
    pub fn gave_up(&self) -> Option<&Attention> {
        let gave_up = |open: &&Attention| matches!(open, Attention::GaveUp { .. });
        self.0.iter().find(gave_up)
    }
}

/// The run a question is about.
fn about(attention: &Attention) -> Option<RunId> {
    match attention {
        Attention::InDoubt { run, .. }
        | Attention::Quarantined { run, .. }
        | Attention::Limit { run, .. } => Some(*run),
        Attention::GaveUp { .. } => None,
    }
}
