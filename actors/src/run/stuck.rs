//! Which runs are stuck: those that got no further for a time and wait for nobody. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::event::Seq;
use crate::model::{AlertKind, Event, EventBody, RunId, Timestamp};

use super::why::Reason;

/// Whether a run that does nothing is right to: it has ended, or somebody or another run has to act first.
#[must_use]
pub fn is_excused(reason: &Reason) -> bool {
    match reason {
        Reason::Ended
        | Reason::GaveUp { .. }
        | Reason::Quarantined
        | Reason::Paused(_)
        | Reason::Human { .. }
        | Reason::Children { .. } => true,
        Reason::StoreTrouble { .. }
        | Reason::NotOpen
        | Reason::NotStarted
        | Reason::AgentRestarting
        | Reason::AgentStopped
        | Reason::ExecutorMissing { .. }
        | Reason::ExecutorGone { .. }
        | Reason::Permit { .. }
        | Reason::Provider { .. }
        | Reason::Budget
        | Reason::Retry { .. }
        | Reason::Thinking
        | Reason::Calling { .. }
        | Reason::GoesOn => false,
    }
}

/// How far a run got, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The event with which it got there.
    pub seq: Seq,
    /// When it got there, or was last seen to wait for somebody.
    pub at: Timestamp,
    /// Whether it was said that it is stuck there.
    pub is_said: bool,
}

/// How far the runs of a task got that have not ended: a fold of its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Points {
    /// The newest event that was folded in.
    pub head: Seq,
    runs: BTreeMap<RunId, Point>,
}

impl Points {
    /// Takes the next event of the task.
    pub fn fold(&mut self, event: &Event) {
        self.head = event.id;
        let point = Point {
            seq: event.id,
            at: event.at,
            is_said: false,
        };
        match (&event.body, event.run_id) {
            (EventBody::TaskResumed { .. }, _) => {
                self.runs.values_mut().for_each(|run| *run = point);
            }
            (
                EventBody::Alert {
                    kind: AlertKind::Stuck,
                    about: Some(run),
                    ..
                },
                _,
            ) => self.said(*run),
            (body, Some(run)) if body.is_run_end() => drop(self.runs.remove(&run)),
            (body, Some(run)) if is_progress(body) => drop(self.runs.insert(run, point)),
            _ => {}
        }
    }

    fn said(&mut self, run: RunId) {
        if let Some(point) = self.runs.get_mut(&run) {
            point.is_said = true;
        }
    }

    /// A run was alive at this time, though nothing was written.
    pub fn alive(&mut self, run: RunId, at: Timestamp) {
        if let Some(point) = self.runs.get_mut(&run) {
            point.at = point.at.max(at);
        }
    }

    /// Those that got no further for so long, and of which it was not said.
    #[must_use]
    pub fn silent(&self, now: Timestamp, limit: Duration) -> Vec<(RunId, Point)> {
        let silent = |point: &Point| !point.is_said && now.since(point.at) >= limit;
        let runs = self.runs.iter().filter(|(_, point)| silent(point));
        runs.map(|(run, point)| (*run, *point)).collect()
    }
}

/// Whether a run gets further with it. That it waits, is tried again or is started again is none.
fn is_progress(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::RunQueued { .. }
            | EventBody::RunStarted
            | EventBody::RunReleased
            | EventBody::RunResumed { .. }
            | EventBody::RunContinued { .. }
            | EventBody::PeerDecided { .. }
            | EventBody::Message { .. }
            | EventBody::ModelCallCompleted { .. }
            | EventBody::ToolCallStarted { .. }
            | EventBody::ToolCallCompleted { .. }
            | EventBody::ToolCallResolved { .. }
            | EventBody::BudgetRaised { .. }
    )
}
