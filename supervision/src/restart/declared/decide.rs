//! What follows from the end of a child.

use super::{ChildKey, Pending, SupervisorCore, Then, Why};
use crate::exit::Exit;
use crate::report::Decision;
use crate::restart::child::Child;
use crate::restart::event::{Availability, ChildState, Incarnation, TimerId};
use crate::restart::ledger::ended_early;
use crate::strategy::Strategy;

impl<P: Clone> SupervisorCore<P> {
    pub(super) fn exited(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let now = self.ledger.now;
        let Some(child) = self.child(key, incarnation) else {
            return;
        };
        match child.state {
            ChildState::Running => {
                child.state = ChildState::Down;
                child.ended(now, exit.clone());
                self.pending
                    .push_back(Pending::Exited(key, incarnation, exit));
            }
            ChildState::Starting => self.start_failed(key, incarnation, ended_early(&exit)),
            ChildState::Stopping => self.stopped(key, exit),
            _ => {}
        }
    }

    pub(super) fn decide(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let Some(child) = self.child(key, incarnation) else {
            return;
        };
        if child.state != ChildState::Down {
            return;
        }
        let (decision, restarts) = (child.end_decision(&exit), child.restarts_after(&exit));
        self.ledger.report(decision);
        if restarts {
            self.restart(key);
        } else {
            self.ended(key);
        }
    }

    fn ended(&mut self, key: ChildKey) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        let (about, is_significant) = (child.about(), child.plan.significant);
        self.take_down(key, Availability::Stopped);
        let is_active =
            |child: &Child<P>| child.plan.significant && child.state != ChildState::Stopped;
        if is_significant
            && self
                .flags
                .auto_shutdown
                .applies(|| !self.children.values().any(is_active))
        {
            self.ledger.report(Decision::AutoShutdown(about));
            self.shut_down(Exit::SHUTDOWN);
        }
    }

    pub(super) fn restart(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.state = ChildState::Restarting;
        let Some(wait) = self.ledger.charge(key, child, self.flags.strategy) else {
            let exit = self.ledger.give_up(child);
            self.take_down(key, Availability::Undecided);
            return self.shut_down(exit);
        };
        let concerned = |other: &ChildKey| match self.flags.strategy {
            Strategy::OneForOne => false,
            Strategy::RestForOne => *other > key,
            Strategy::OneForAll => *other != key,
        };
        let others = match self.flags.strategy {
            Strategy::OneForOne => Vec::new(),
            _ => self.keys().into_iter().filter(concerned).collect(),
        };
        self.stop_all(others, Then::Group { origin: key, wait });
    }

    pub(super) fn start_group(&mut self, origin: ChildKey) {
        let concerned = match self.flags.strategy {
            Strategy::OneForOne => self.children.range(origin..=origin),
            Strategy::RestForOne => self.children.range(origin..),
            Strategy::OneForAll => self.children.range(..),
        };
        let is_down =
            |child: &Child<P>| matches!(child.state, ChildState::Stopped | ChildState::Restarting);
        let group: Vec<_> = concerned
            .filter(|(_, child)| is_down(child))
            .map(|(key, _)| *key)
            .collect();
        // Whoever is not reached, because one before it fails, is down and no longer about to be restarted.
        if let Some(child) = self.children.get_mut(&origin) {
            child.state = ChildState::Stopped;
            self.ledger.disarm(child.timer.take());
        }
        self.start_all(group, Why::Restart);
    }

    pub(super) fn try_again(&mut self, key: ChildKey, incarnation: Incarnation) {
        let is_due =
            |child: &Child<P>| child.state == ChildState::Restarting && child.timer.is_none();
        if self
            .child(key, incarnation)
            .is_some_and(|child| is_due(child))
        {
            self.restart(key);
        }
    }

    pub(super) fn backoff_over(&mut self, key: ChildKey, timer: TimerId) {
        let is_due =
            |child: &Child<P>| child.state == ChildState::Restarting && child.timer == Some(timer);
        if self.children.get(&key).is_some_and(is_due) {
            self.start_group(key);
        }
    }
}
