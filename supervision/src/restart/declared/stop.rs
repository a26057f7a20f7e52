//! Stopping children, one after another, and the end of the supervisor.

use std::mem;

use super::{ChildKey, Pending, SupervisorCore, Then, Why, Work};
use crate::exit::Exit;
use crate::restart::event::{AdminError, Availability, ChildState, Effect, Hold, Reply};

impl<P: Clone> SupervisorCore<P> {
    pub(super) fn stop_all(&mut self, children: Vec<ChildKey>, then: Then) {
        self.work = Work::Stopping {
            child: None,
            rest: children,
            then,
        };
        self.stop_next();
    }

    fn stop_next(&mut self) {
        while let Work::Stopping { child, rest, then } = &mut self.work {
            let Some(key) = rest.pop() else {
                let then = then.clone();
                self.work = Work::Idle;
                return self.all_stopped(then);
            };
            *child = Some(key);
            match self.children.get(&key).map(|child| child.state) {
                Some(ChildState::Running | ChildState::Starting) => return self.stop(key),
                Some(ChildState::Stopping) => return,
                Some(ChildState::Down) => self.absorb(key),
                Some(ChildState::Restarting) => self.take_down(key, self.outlook()),
                Some(ChildState::Stopped) | None => {}
            }
        }
    }

    fn stop(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if let Some(limit) = child.stop(key, &mut self.ledger) {
            child.timer = Some(self.ledger.arm(Some(key), limit));
        }
    }

    /// It ended by itself before it could be stopped; no restart of its own follows.
    fn absorb(&mut self, key: ChildKey) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        if let Some(exit) = &child.last_exit {
            self.ledger.report(child.stop_decision(exit));
        }
        self.take_down(key, self.outlook());
    }

    pub(super) fn stopped(&mut self, key: ChildKey, exit: Exit) {
        let now = self.ledger.now;
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        self.ledger.report(child.stop_decision(&exit));
        child.ended(now, exit);
        self.take_down(key, self.outlook());
        if matches!(self.work, Work::Stopping { child: Some(current), .. } if current == key) {
            self.stop_next();
        }
    }

    /// Whether those that are being stopped come back.
    fn outlook(&self) -> Availability {
        match self.work {
            Work::Stopping {
                then: Then::Group { .. },
                ..
            } => Availability::Restarting,
            _ if self.is_ending() => Availability::Undecided,
            _ => Availability::Stopped,
        }
    }

    fn all_stopped(&mut self, then: Then) {
        match then {
            Then::Unwind { child, reason } => {
                self.work = Work::Over;
                self.ledger.push(Effect::BootFailed(child, reason));
            }
            Then::Group { origin, wait } if wait.is_zero() => self.come_back(origin),
            Then::Group { origin, wait } => {
                if let Some(child) = self.children.get_mut(&origin) {
                    child.hold = Some(Hold::Backoff(self.ledger.now.saturating_add(wait)));
                    child.timer = Some(self.ledger.arm(Some(origin), wait));
                }
            }
            Then::Terminate { request } => self.ledger.reply(request, Reply::Done),
            Then::Exit(exit) => {
                self.work = Work::Over;
                self.ledger.push(Effect::Exit(exit));
            }
        }
    }

    /// The child has no process any more: temporary ones are forgotten, the others keep their place.
    pub(super) fn take_down(&mut self, key: ChildKey, outlook: Availability) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.disarm(&mut self.ledger);
        (child.hold, child.has_leave) = (None, false);
        child.state = ChildState::Stopped;
        let is_temporary = child.is_temporary();
        let outlook = match outlook {
            Availability::Restarting if is_temporary => Availability::Stopped,
            outlook => outlook,
        };
        self.ledger.push(Effect::Down(key, outlook));
        if is_temporary {
            self.forget(key);
        }
    }

    pub(super) fn forget(&mut self, key: ChildKey) {
        if let Some(mut child) = self.children.remove(&key) {
            child.disarm(&mut self.ledger);
            self.ids.remove(&child.plan.id);
            self.ledger.push(Effect::Forget(key));
        }
    }

    /// The only event that waits for nothing.
    pub(super) fn stop_requested(&mut self) {
        if self.is_ending() {
            return;
        }
        if let Work::Starting {
            why: Why::Asked { request, .. },
            ..
        }
        | Work::Stopping {
            then: Then::Terminate { request },
            ..
        } = self.work
        {
            self.ledger.refuse(request, AdminError::Stopping);
        }
        self.shut_down(Exit::SHUTDOWN);
    }

    pub(super) fn shut_down(&mut self, exit: Exit) {
        self.end_with(Then::Exit(exit));
    }

    /// Stops everybody, and takes no more turns.
    pub(super) fn end_with(&mut self, then: Then) {
        for pending in mem::take(&mut self.pending) {
            if let Pending::Request(request, _) = pending {
                self.ledger.refuse(request, AdminError::Stopping);
            }
        }
        self.requests_waiting = 0;
        self.stop_all(self.keys(), then);
    }
}
