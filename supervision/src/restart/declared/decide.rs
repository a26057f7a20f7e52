//! What follows from the end of a child.

use std::sync::Arc;
use std::time::Duration;

use super::{ChildKey, Pending, SupervisorCore, Then, Why, of};
use crate::exit::Exit;
use crate::health::Vitals;
use crate::report::Decision;
use crate::restart::child::Child;
use crate::restart::event::{Availability, ChildState, Effect, Hold, Incarnation, TimerId};
use crate::strategy::Strategy;

impl<P: Clone> SupervisorCore<P> {
    pub(super) fn exited(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let now = self.ledger.now;
        let Some(child) = of(&mut self.children, key, incarnation) else {
            return;
        };
        let exit = child.taken(exit, &mut self.ledger);
        match child.state {
            ChildState::Running => {
                child.state = ChildState::Down;
                child.ended(now, exit.clone());
                self.pending
                    .push_back(Pending::Exited(key, incarnation, exit));
            }
            ChildState::Starting => {
                let reason = child.not_up(&exit);
                self.start_failed(key, incarnation, reason);
            }
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
        let wait = if let Some(need) = self.ledger.missing(&child.plan) {
            self.ledger.park(child, need);
            self.ledger
                .push(Effect::Down(key, Availability::Restarting));
            Duration::ZERO
        } else if let Some(wait) = self.ledger.charge(key, child, self.flags.strategy) {
            wait
        } else {
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

    /// Those that are started again with this one.
    fn group(&self, origin: ChildKey) -> Vec<ChildKey> {
        let concerned = match self.flags.strategy {
            Strategy::OneForOne => self.children.range(origin..=origin),
            Strategy::RestForOne => self.children.range(origin..),
            Strategy::OneForAll => self.children.range(..),
        };
        let is_down =
            |child: &Child<P>| matches!(child.state, ChildState::Stopped | ChildState::Restarting);
        let down = concerned.filter(|(_, child)| is_down(child));
        down.map(|(key, _)| *key).collect()
    }

    /// Starts them, unless something that one of them depends on is missing, or the whole tree restarts too much.
    pub(super) fn come_back(&mut self, origin: ChildKey) {
        let group = self.group(origin);
        let missing = |key: &ChildKey| self.ledger.missing(&self.children[key].plan);
        let missing = group.iter().find_map(missing);
        let Some(child) = self.children.get_mut(&origin) else {
            return;
        };
        match missing {
            Some(need) => self.ledger.park(child, need),
            None if self.ledger.has_leave(origin, child) => self.start_group(origin, group),
            None => {}
        }
    }

    fn start_group(&mut self, origin: ChildKey, group: Vec<ChildKey>) {
        // Whoever is not reached, because one before it fails, is down and no longer about to be restarted.
        if let Some(child) = self.children.get_mut(&origin) {
            child.state = ChildState::Stopped;
            (child.hold, child.has_leave) = (None, false);
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
        let is_due = |child: &&mut Child<P>| {
            child.state == ChildState::Restarting && child.timer == Some(timer)
        };
        if let Some(child) = self.children.get_mut(&key).filter(is_due) {
            child.timer = None;
            self.come_back(key);
        }
    }

    /// What its restart waited for is there.
    pub(super) fn released(&mut self, key: ChildKey) {
        let waits =
            |child: &Child<P>| child.state == ChildState::Restarting && child.timer.is_none();
        if self.children.get(&key).is_some_and(waits) {
            self.come_back(key);
        }
    }

    pub(super) fn need(&mut self, need: Arc<str>, is_there: bool) {
        if is_there {
            let hold = Some(Hold::Need(need.clone()));
            let waiting = self.children.iter().filter(|(_, child)| child.hold == hold);
            let waiting = waiting.map(|(key, _)| Pending::Released(*key));
            self.pending.extend(waiting);
        }
        self.ledger.need(need, is_there);
    }

    pub(super) fn leave(&mut self, key: ChildKey, incarnation: Incarnation, wait: Duration) {
        let Some(child) = of(&mut self.children, key, incarnation) else {
            return;
        };
        if child.hold == Some(Hold::Storm) && !child.has_leave {
            self.ledger.leave(key, child, wait);
            self.pending.push_back(Pending::Released(key));
        }
    }

    pub(super) fn vitals(&mut self, key: ChildKey, incarnation: Incarnation, vitals: &Vitals) {
        let child = of(&mut self.children, key, incarnation);
        if let Some(child) = child.filter(|child| child.state == ChildState::Running) {
            child.examined(key, vitals, &mut self.ledger);
        }
    }

    /// Looks at a child whose time has come.
    pub(super) fn look(&mut self, key: ChildKey, is_lost: bool) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let incarnation = child.incarnation;
        if is_lost {
            let exit = child.lose(key, &mut self.ledger);
            self.exited(key, incarnation, exit);
        } else {
            self.ledger.push(Effect::Examine(key, incarnation));
        }
    }
}
