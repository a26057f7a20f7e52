//! Pausing: what is in flight ends and is recorded, and nothing new begins until somebody lets it go on.
//!
//! What was written down as begun and had not really begun is held, and taken up again as it was: the request that is made then is
//! the one that would have been made.

use supervision::Reply;

use crate::agent::Gate;
use crate::model::{EventBody, Pause, Scope, Sender, Step, WaitReason};

use super::{Doing, RunActor};

impl RunActor {
    pub(super) fn pause(&mut self, by: Sender, scope: Scope, reply: Reply<()>) {
        let is_over = self.state.status.is_terminal() || self.cancel.is_some();
        if is_over || self.state.paused.is_some() && self.resuming.is_empty() {
            return reply.send(());
        }
        self.pausing.push(reply);
        if self.pausing.len() > 1 {
            return;
        }
        self.hold();
        let since = self.context.journal.clock().now();
        let reason = WaitReason::Paused(Pause { by, since, scope });
        self.write([EventBody::RunWaiting { reason }]);
    }

    pub(super) fn resume(&mut self, by: Sender, reply: Reply<()>) {
        let is_paused = self.state.paused.is_some() || !self.pausing.is_empty();
        if !is_paused || self.cancel.is_some() || self.state.status.is_terminal() {
            return reply.send(());
        }
        self.resuming.push(reply);
        if self.resuming.len() == 1 {
            self.write([EventBody::RunResumed { by }]);
        }
    }

    /// One of the two is durable.
    pub(super) fn paused_or_resumed(&mut self, body: &EventBody) {
        let replies = match body {
            EventBody::RunResumed { .. } => &mut self.resuming,
            _ => &mut self.pausing,
        };
        replies.drain(..).for_each(|reply| reply.send(()));
    }

    /// Whether it is paused, or about to be.
    pub(super) fn is_held(&self) -> bool {
        self.state.paused.is_some() || !self.pausing.is_empty()
    }

    /// What has not begun does not begin.
    fn hold(&mut self) {
        (self.permit, self.admission) = (None, None);
        let parts = &self.parts;
        let held = |doing: &Doing| match doing {
            // The room is asked again; what it has promised stays so.
            Doing::Delegate(_) | Doing::Say(_) | Doing::Permit | Doing::Admit => true,
            doing => parts.get(doing).is_some_and(Gate::hold),
        };
        for (_, handle) in self.doing.extract_if(.., |doing, _| held(doing)) {
            handle.abort();
        }
    }

    /// An executor that comes, or comes back, while it is paused is not used: whether it has begun the call nobody knows by then. It
    /// is asked when the run goes on.
    pub(super) fn call_waits(&mut self, step: Step, reason: WaitReason) {
        let doing = Doing::Call(step);
        if matches!(reason, WaitReason::Executor { .. }) && self.doing.contains_key(&doing) {
            self.parts.insert(doing, self.gate.for_one());
            if self.is_held() {
                self.let_go(step);
            }
        }
        self.waits(reason);
    }

    /// A call that waited goes where it has to: from now on it is in flight.
    pub(super) fn begins(&self, step: Step) {
        drop(self.parts.get(&Doing::Call(step)).map(Gate::enter));
    }

    /// A call that must not begin now is taken up again when the run goes on.
    pub(super) fn let_go(&mut self, step: Step) {
        if let Some(handle) = self.doing.remove(&Doing::Call(step)) {
            handle.abort();
        }
    }
}
