//! Starting children, one after another.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::{ChildKey, Pending, SupervisorCore, Then, Why, Work, of};
use crate::exit::Exit;
use crate::report::Decision;
use crate::restart::event::{AdminError, Availability, ChildState, Effect, Incarnation, Reply};

impl<P: Clone> SupervisorCore<P> {
    pub(super) fn start_all(&mut self, children: impl IntoIterator<Item = ChildKey>, why: Why) {
        let mut rest: VecDeque<_> = children.into_iter().collect();
        match rest.pop_front() {
            Some(child) => {
                self.work = Work::Starting { rest, why };
                self.start(child);
            }
            None if matches!(why, Why::Boot) => self.ledger.push(Effect::Ready),
            None => {}
        }
    }

    fn start(&mut self, key: ChildKey) {
        if let Some(child) = self.children.get_mut(&key) {
            child.start(key, &mut self.ledger);
        }
    }

    /// What it is starting children for. Nothing if it was told to stop meanwhile: then a child that still starts is stopped when
    /// its turn comes.
    fn take_start(&mut self) -> Option<(VecDeque<ChildKey>, Why)> {
        match mem::replace(&mut self.work, Work::Idle) {
            Work::Starting { rest, why } => Some((rest, why)),
            other => {
                self.work = other;
                None
            }
        }
    }

    fn start_next(&mut self) {
        if let Some((rest, why)) = self.take_start() {
            self.start_all(rest, why);
        }
    }

    /// Answers whoever asked for the start that is under way.
    fn answer(&mut self, reply: Reply) {
        if let Work::Starting {
            why: Why::Asked { request, .. },
            ..
        } = self.work
        {
            self.ledger.reply(request, reply);
        }
    }

    pub(super) fn started(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(child) = of(&mut self.children, key, incarnation) else {
            return;
        };
        if child.state != ChildState::Starting {
            return child.up_late(&mut self.ledger);
        }
        child.up(key, &mut self.ledger);
        let about = child.about();
        self.ledger.report(Decision::Started(about));
        self.answer(Reply::Started(key, incarnation));
        self.start_next();
    }

    pub(super) fn declined(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(child) = self.child(key, incarnation) else {
            return;
        };
        match child.state {
            ChildState::Stopping => self.stopped(key, Exit::SHUTDOWN),
            ChildState::Starting => {
                let about = child.about();
                self.ledger.report(Decision::Declined(about));
                self.take_down(key, Availability::Stopped);
                self.answer(Reply::Declined);
                self.start_next();
            }
            _ => {}
        }
    }

    pub(super) fn start_failed(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        reason: Arc<str>,
    ) {
        let now = self.ledger.now;
        let Some(child) = of(&mut self.children, key, incarnation) else {
            return;
        };
        match child.state {
            ChildState::Stopping => self.stopped(key, Exit::Failed(reason)),
            ChildState::Starting => {
                child.disarm(&mut self.ledger);
                child.ended(now, Exit::Failed(reason.clone()));
                let about = child.about();
                self.ledger
                    .report(Decision::StartFailed(about, reason.clone()));
                self.after_failure(key, incarnation, reason);
            }
            _ => {}
        }
    }

    fn after_failure(&mut self, key: ChildKey, incarnation: Incarnation, reason: Arc<str>) {
        let Some((_, why)) = self.take_start() else {
            return self.take_down(key, Availability::Undecided);
        };
        match why {
            Why::Boot => {
                let child = self.children[&key].plan.id.clone();
                self.take_down(key, Availability::Undecided);
                self.end_with(Then::Unwind { child, reason });
            }
            Why::Asked { request, keep } => {
                self.take_down(key, Availability::Stopped);
                if !keep {
                    self.forget(key);
                }
                self.ledger.refuse(request, AdminError::StartFailed(reason));
            }
            Why::Restart => self.attempt_failed(key, incarnation),
        }
    }

    /// OTP goes back to its mailbox between two attempts and charges when the next begins; with a backoff the charge is made
    /// when the failure happens, or the wait would hide it.
    fn attempt_failed(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.state = ChildState::Restarting;
        if child.is_charged_at_once() {
            self.restart(key);
        } else {
            self.pending.push_back(Pending::TryAgain(key, incarnation));
        }
    }
}
