//! What a task waits for a person to decide: a fold of its events. Pure.

use crate::model::{Attention, Event, EventBody, Question, RunId, Seq};

/// The open questions of a task, in the order in which they were asked.
///
/// An answer is to the first of them. Those that stay open are asked again together with it, so whatever was asked before an
/// answer is decided, or asked after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    open: Vec<Question>,
    forgotten: Option<Seq>,
}

impl Questions {
    /// Takes one event of the task in.
    pub fn fold(&mut self, event: &Event) {
        match &event.body {
            EventBody::TaskNeedsAttention { attention } if !self.is_open(attention) => {
                let (asked, attention) = (event.id, attention.clone());
                self.open.push(Question { asked, attention });
            }
            EventBody::TaskResumed { .. } | EventBody::TaskReopened => self.open.clear(),
            EventBody::RunReleased => self.forget(event),
            body if body.is_task_end() => self.open.clear(),
            body if body.is_run_end() => self.forget(event),
            _ => {}
        }
    }

    /// Nobody waits any more for what was asked about this run.
    fn forget(&mut self, event: &Event) {
        let (run, before) = (event.run_id, self.open.len());
        let stays = |open: &Question| run.is_none() || about(&open.attention) != run;
        self.open.retain(stays);
        if self.open.len() < before {
            self.forgotten = Some(event.id);
        }
    }

    /// The event after which nobody waited any more for what was asked last.
    #[must_use]
    pub fn forgotten(&self) -> Option<Seq> {
        self.forgotten
    }

    /// Whether this is open, whenever it was asked.
    #[must_use]
    pub fn is_open(&self, attention: &Attention) -> bool {
        self.open.iter().any(|open| open.attention == *attention)
    }

    /// The question an answer is to.
    #[must_use]
    pub fn first(&self) -> Option<&Attention> {
        self.open.first().map(|open| &open.attention)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Question] {
        &self.open
    }

    /// All but this one.
    #[must_use]
    pub fn without(&self, answered: &Question) -> Vec<Question> {
        let rest = self.open.iter().filter(|open| *open != answered);
        rest.cloned().collect()
    }

    /// Why nothing of the task runs, if one of its supervisors has given up.
    #[must_use]
    pub fn gave_up(&self) -> Option<&Question> {
        let gave_up = |open: &&Question| matches!(open.attention, Attention::GaveUp { .. });
        self.open.iter().find(gave_up)
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
