//! The rules for any number of instances of one template.

mod start;
mod stop;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::event::{
    AdminError, Availability, ChildKey, ChildRow, ChildState, Core, Effect, Event, Hold,
    Incarnation, Request, RequestId, TimerId,
};
use super::ledger::Ledger;
use crate::exit::Exit;
use crate::health::Vitals;
use crate::report::{About, Decision};
use crate::spec::{Plan, SpecError};
use crate::strategy::{Flags, Strategy};

/// A supervisor of instances of one template, OTP's `simple_one_for_one`.
///
/// Instances concern one another in nothing but the restart intensity, so they start and stop side by side; at the end all are
/// asked at once and share the template's deadline.
#[derive(Debug, Clone)]
pub struct DynamicCore<P> {
    flags: Flags,
    template: Plan,
    instances: BTreeMap<ChildKey, Instance<P>>,
    ending: Option<Exit>,
    /// When those still there are killed.
    deadline: Option<TimerId>,
    over: bool,
    first_key: u64,
    next_key: u64,
    ledger: Ledger<P>,
}

#[derive(Debug, Clone)]
struct Instance<P> {
    child: Child<P>,
    /// Who waits for its start.
    adding: Option<RequestId>,
    /// Who wait for its end.
    terminating: Vec<RequestId>,
}

impl<P: Clone> DynamicCore<P> {
    /// A core for instances of `template`. The template's id is their names' beginning.
    ///
    /// # Errors
    /// An offence in the flags or the template.
    pub fn new(flags: Flags, template: Plan) -> Result<Self, SpecError> {
        flags.check()?;
        template.check(&flags)?;
        Ok(Self {
            ledger: Ledger::new(&flags),
            flags,
            template,
            instances: BTreeMap::new(),
            ending: None,
            deadline: None,
            over: false,
            first_key: 0,
            next_key: 0,
        })
    }

    /// The same, with keys from `first` on, so that no key of one supervisor means an instance of another.
    #[must_use]
    pub fn first_key(mut self, first: u64) -> Self {
        (self.first_key, self.next_key) = (first, first);
        self
    }

    fn instance(&mut self, key: ChildKey, incarnation: Incarnation) -> Option<&mut Instance<P>> {
        of(&mut self.instances, key, incarnation)
    }

    fn keys(&self) -> Vec<ChildKey> {
        self.instances.keys().copied().collect()
    }

    fn exited(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let now = self.ledger.now;
        let instance = of(&mut self.instances, key, incarnation);
        let Some(Instance { child, .. }) = instance else {
            return;
        };
        let exit = child.taken(exit, &mut self.ledger);
        match child.state {
            ChildState::Starting => {
                let reason = child.not_up(&exit);
                self.start_failed(key, incarnation, reason);
            }
            ChildState::Running => {
                let (decision, about) = (child.end_decision(&exit), child.about());
                let restarts = child.restarts_after(&exit);
                child.ended(now, exit);
                self.ledger.report(decision);
                if restarts {
                    self.restart(key);
                } else {
                    self.remove(key);
                    self.auto_shutdown(about);
                }
            }
            ChildState::Stopping => self.stopped(key, &exit),
            _ => {}
        }
    }

    fn auto_shutdown(&mut self, about: About) {
        let is_last = || self.instances.is_empty();
        if self.template.significant && self.flags.auto_shutdown.applies(is_last) {
            self.ledger.report(Decision::AutoShutdown(about));
            self.shut_down(Exit::SHUTDOWN);
        }
    }

    fn restart(&mut self, key: ChildKey) {
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
            return;
        };
        child.state = ChildState::Restarting;
        if let Some(need) = self.ledger.missing(&child.plan) {
            self.ledger.park(child, need);
            return self
                .ledger
                .push(Effect::Down(key, Availability::Restarting));
        }
        match self.ledger.charge(key, child, Strategy::OneForOne) {
            Some(wait) if wait.is_zero() => self.come_back(key),
            Some(wait) => {
                child.hold = Some(Hold::Backoff(self.ledger.now.saturating_add(wait)));
                child.timer = Some(self.ledger.arm(Some(key), wait));
            }
            None => {
                let exit = self.ledger.give_up(child);
                self.remove(key);
                self.shut_down(exit);
            }
        }
    }

    fn timer(&mut self, timer: TimerId) {
        match self.ledger.fired(timer) {
            Some(None) => self.keys().into_iter().for_each(|key| self.kill(key)),
            Some(Some(key)) => self.timer_of(key, timer),
            None => {}
        }
    }

    fn timer_of(&mut self, key: ChildKey, timer: TimerId) {
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
            return;
        };
        let incarnation = child.incarnation;
        match (child.is_looked_at(timer), child.state) {
            (Some(true), _) => {
                let exit = child.lose(key, &mut self.ledger);
                self.exited(key, incarnation, exit);
            }
            (Some(false), _) => self.ledger.push(Effect::Examine(key, incarnation)),
            (None, ChildState::Restarting) => {
                child.timer = None;
                self.come_back(key);
            }
            (None, ChildState::Starting) => child.late(key, &mut self.ledger),
            (None, _) => self.kill(key),
        }
    }

    /// Starts it again, unless something it depends on is missing, or the whole tree restarts too much.
    fn come_back(&mut self, key: ChildKey) {
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
            return;
        };
        match self.ledger.missing(&child.plan) {
            Some(need) => self.ledger.park(child, need),
            None if self.ledger.has_leave(key, child) => self.start(key),
            None => {}
        }
    }

    fn need(&mut self, need: Arc<str>, is_there: bool) {
        self.ledger.need(need.clone(), is_there);
        let hold = Some(Hold::Need(need));
        let waits = |(_, one): &(_, &Instance<P>)| is_there && one.child.hold == hold;
        let waiting = self.instances.iter().filter(waits);
        let waiting: Vec<_> = waiting.map(|(key, _)| *key).collect();
        waiting.into_iter().for_each(|key| self.come_back(key));
    }

    fn leave(&mut self, key: ChildKey, incarnation: Incarnation, wait: Duration) {
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
            return;
        };
        let waits = child.hold == Some(Hold::Storm) && !child.has_leave;
        if child.incarnation == incarnation && waits {
            self.ledger.leave(key, child, wait);
            if wait.is_zero() {
                self.come_back(key);
            }
        }
    }

    fn vitals(&mut self, key: ChildKey, incarnation: Incarnation, vitals: &Vitals) {
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
            return;
        };
        if child.incarnation == incarnation && child.state == ChildState::Running {
            child.examined(key, vitals, &mut self.ledger);
        }
    }

    fn requested(&mut self, request: RequestId, wish: Request<P>) {
        let done = match wish {
            Request::Terminate(target) => self.terminate(request, &target),
            _ if self.ending.is_some() => Err(AdminError::Stopping),
            Request::Add(plan, payload) => self.add(request, plan, payload),
            Request::Restart(_) | Request::Delete(_) => Err(AdminError::Dynamic),
        };
        if let Err(error) = done {
            self.ledger.refuse(request, error);
        }
    }

    fn happens(&mut self, now: Duration, event: Event<P>) {
        self.ledger.now = now;
        match event {
            Event::Boot => self.ledger.push(Effect::Ready),
            Event::Started(key, incarnation) => self.started(key, incarnation),
            Event::StartFailed(key, incarnation, reason) => {
                self.start_failed(key, incarnation, reason)
            }
            Event::Declined(key, incarnation) => self.declined(key, incarnation),
            Event::Exited(key, incarnation, exit) => self.exited(key, incarnation, exit),
            Event::Timer(timer) => self.timer(timer),
            Event::Request(request, wish) => self.requested(request, wish),
            Event::Stop => self.shut_down(Exit::SHUTDOWN),
            Event::Need(need, is_there) => self.need(need, is_there),
            Event::Vitals(key, incarnation, vitals) => self.vitals(key, incarnation, &vitals),
            Event::Leave(key, incarnation, wait) => self.leave(key, incarnation, wait),
        }
        self.end_if_empty();
    }

    fn end_if_empty(&mut self) {
        if let Some(exit) = &self.ending
            && self.instances.is_empty()
            && !self.over
        {
            self.over = true;
            self.ledger.disarm(self.deadline.take());
            self.ledger.push(Effect::Exit(exit.clone()));
        }
    }
}

/// The instance of which this is the newest incarnation. Borrows the instances alone, so that the ledger stays free.
fn of<P>(
    instances: &mut BTreeMap<ChildKey, Instance<P>>,
    key: ChildKey,
    incarnation: Incarnation,
) -> Option<&mut Instance<P>> {
    let instance = instances.get_mut(&key)?;
    (instance.child.incarnation == incarnation).then_some(instance)
}

impl<P: Clone> Core<P> for DynamicCore<P> {
    fn apply(&mut self, now: Duration, event: Event<P>) -> Vec<Effect<P>> {
        self.happens(now, event);
        self.ledger.take()
    }

    fn apply_into(&mut self, now: Duration, event: Event<P>, effects: &mut Vec<Effect<P>>) {
        self.ledger.lend(effects);
        self.happens(now, event);
        self.ledger.give_back(effects);
    }

    fn rows(&self, now: Duration) -> Vec<ChildRow> {
        let children = self.instances.iter().map(|(key, one)| (*key, &one.child));
        self.ledger.rows(now, children)
    }

    fn plan(&self, key: ChildKey) -> Option<&Plan> {
        self.instances.get(&key).map(|one| &one.child.plan)
    }

    fn state(&self, key: ChildKey) -> Option<ChildState> {
        self.instances.get(&key).map(|one| one.child.state)
    }

    fn restrain(&mut self) {
        self.ledger.is_restrained = true;
    }
}
