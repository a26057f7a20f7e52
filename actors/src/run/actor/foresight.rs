//! What follows at once from what is about to be written is written with it: one append instead of two, and no moment in between
//! at which a crash could stop it.
//!
//! Only what the run decides by itself: nothing outside has to happen first, nobody has to be asked, and what others said and did
//! since it looked last is known.

use crate::model::{Event, EventBody, Seq};
use crate::run::cause::Trail;
use crate::run::next::Effect;
use crate::run::state::RunState;
use crate::store::Cause;

use super::{Out, RunActor};

/// How many steps are foreseen at most.
const STEPS: usize = 4;

impl RunActor {
    /// Adds what follows from what is about to be written.
    pub(super) fn foresee(&mut self) {
        if !self.may_foresee() || !self.knows_all() {
            return;
        }
        let read = self.state.head;
        let mut ahead = Ahead::new(self);
        for body in self.outbox.iter().filter_map(Out::own) {
            ahead.take(self, body.clone());
        }
        for _ in 0..STEPS {
            let Some(bodies) = self.decided(&ahead.state, read) else {
                break;
            };
            let calls = bodies.iter().any(is_call);
            for body in bodies {
                let cause = ahead.take(self, body.clone());
                self.outbox.push(Out::Foreseen(body, cause));
            }
            if calls {
                return;
            }
        }
        (self.permit, self.admission) = (None, None);
    }

    /// Whether what is to be written is a step after which the run may go on by itself.
    fn may_foresee(&self) -> bool {
        let may_begin = !self.gate.is_closed() && self.cancel.is_none() && !self.is_held();
        let are_own = self.outbox.iter().all(|out| out.own().is_some());
        let last = self.outbox.last().and_then(Out::own);
        may_begin && are_own && self.resuming.is_empty() && last.is_some_and(leads_on)
    }

    /// What its state calls for, if that is nothing but to write something down.
    fn decided(&mut self, ahead: &RunState, read: Seq) -> Option<Vec<EventBody>> {
        let effects = self.next(ahead, read);
        let effects = self.at_once(effects, |run| run.next(ahead, read));
        // What it tells itself has a number of its own, which is not known yet.
        let is_told =
            |body: &EventBody| matches!(body, EventBody::Message { .. } | EventBody::Alert { .. });
        match <[Effect; 1]>::try_from(effects) {
            Ok([Effect::Record(bodies)]) if !bodies.iter().any(is_told) => Some(bodies),
            _ => None,
        }
    }
}

/// A run as it will be when what is about to be written is.
struct Ahead {
    state: RunState,
    trail: Trail,
    /// What is written gets the numbers after this, as far as is known now.
    base: Seq,
}

impl Ahead {
    fn new(run: &RunActor) -> Self {
        Self {
            state: run.state.clone(),
            trail: run.state.trail.clone(),
            base: run.state.head,
        }
    }

    /// Takes an event in as if it were written now; what leads to it.
    fn take(&mut self, run: &RunActor, body: EventBody) -> Option<Cause> {
        let place = usize::try_from(self.state.head - self.base).unwrap_or_default();
        let cause = self.trail.next(&self.state, &body, place);
        let event = Event {
            id: self.state.head + 1,
            task_id: run.context.task,
            run_id: Some(run.run),
            agent: Some(run.name.clone()),
            at: run.context.journal.clock().now(),
            epoch: self.state.epoch + u64::from(body.is_claim()),
            cause: None,
            body,
        };
        self.state.fold(&event);
        cause.map(|cause| match cause {
            Cause::Event(seq) if seq > self.base => {
                Cause::Draft(usize::try_from(seq - self.base - 1).unwrap_or_default())
            }
            cause => cause,
        })
    }
}

fn leads_on(body: &EventBody) -> bool {
    match body {
        EventBody::RunStarted | EventBody::ToolCallCompleted { .. } => true,
        EventBody::ModelCallCompleted { calls, .. } => calls.is_empty(),
        _ => false,
    }
}

fn is_call(body: &EventBody) -> bool {
    matches!(body, EventBody::ModelCallStarted { .. })
}
