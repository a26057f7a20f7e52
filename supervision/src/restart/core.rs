//! OTP's rules for declared children.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::event::{
    AdminError, Availability, ChildKey, ChildRow, ChildState, Core, Effect, Event, Incarnation,
    Reply, Request, RequestId, Target, TimerId,
};
use super::window::Window;
use crate::exit::Exit;
use crate::report::Decision;
use crate::spec::{self, ChildId, Plan, Shutdown, SpecError};
use crate::strategy::{AutoShutdown, Flags, Strategy};

/// A supervisor of declared children: one at a time is started or stopped, in order, as OTP does it.
///
/// While it is in the middle of that, exits and requests wait in the order in which they came; the end of the supervisor itself
/// does not wait.
#[derive(Debug, Clone)]
pub struct SupervisorCore<P> {
    flags: Flags,
    children: BTreeMap<ChildKey, Child<P>>,
    ids: HashMap<ChildId, ChildKey>,
    timers: HashMap<TimerId, ChildKey>,
    window: Window,
    random: fastrand::Rng,
    pending: VecDeque<Pending<P>>,
    work: Work,
    now: Duration,
    next_key: u64,
    next_timer: u64,
    effects: Vec<Effect<P>>,
}

/// What waits for its turn.
#[derive(Debug, Clone)]
enum Pending<P> {
    Exited(ChildKey, Incarnation, Exit),
    Request(RequestId, Request<P>),
    TryAgain(ChildKey, Incarnation),
    BackoffOver(ChildKey, TimerId),
}

/// What it is in the middle of.
#[derive(Debug, Clone)]
enum Work {
    Idle,
    Starting {
        rest: VecDeque<ChildKey>,
        why: Why,
    },
    /// `rest` is popped from its end.
    Stopping {
        child: Option<ChildKey>,
        rest: Vec<ChildKey>,
        then: Then,
    },
    Over,
}

#[derive(Debug, Clone)]
enum Why {
    Boot,
    Asked { request: RequestId, keep: bool },
    Restart,
}

#[derive(Debug, Clone)]
enum Then {
    Unwind { child: ChildId, reason: Arc<str> },
    Group { origin: ChildKey, wait: Duration },
    Terminate { request: RequestId },
    Exit(Exit),
}

impl<P: Clone> SupervisorCore<P> {
    /// A core for these children, in start order. Nothing happens before [`Event::Boot`].
    ///
    /// # Errors
    /// The first offence in the flags or the set of children.
    pub fn new(flags: Flags, children: Vec<(Plan, P)>) -> Result<Self, SpecError> {
        spec::check(&flags, children.iter().map(|(plan, _)| plan))?;
        let mut core = Self {
            window: Window::new(flags.intensity),
            random: fastrand::Rng::with_seed(flags.seed),
            flags,
            children: BTreeMap::new(),
            ids: HashMap::new(),
            timers: HashMap::new(),
            pending: VecDeque::new(),
            work: Work::Idle,
            now: Duration::ZERO,
            next_key: 0,
            next_timer: 0,
            effects: Vec::new(),
        };
        for (plan, payload) in children {
            core.insert(plan, payload);
        }
        Ok(core)
    }

    fn insert(&mut self, plan: Plan, payload: P) -> ChildKey {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        self.ids.insert(plan.id.clone(), key);
        self.children.insert(key, Child::new(plan, payload));
        key
    }

    fn child(&mut self, key: ChildKey, incarnation: Incarnation) -> Option<&mut Child<P>> {
        self.children
            .get_mut(&key)
            .filter(|child| child.incarnation == incarnation)
    }

    fn report(&mut self, decision: Decision) {
        self.effects.push(Effect::Report(decision));
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.effects.push(Effect::Reply(request, reply));
    }

    // ---- starting

    fn start_all(&mut self, children: impl IntoIterator<Item = ChildKey>, why: Why) {
        let mut rest: VecDeque<_> = children.into_iter().collect();
        match rest.pop_front() {
            Some(child) => {
                self.work = Work::Starting { rest, why };
                self.start(child);
            }
            None => self.all_started(why),
        }
    }

    fn start(&mut self, key: ChildKey) {
        self.disarm(key);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let Some(payload) = child.payload.clone() else {
            return;
        };
        let incarnation = child.next_incarnation();
        self.effects.push(Effect::Start(
            key,
            incarnation,
            child.plan.id.clone(),
            payload,
        ));
    }

    fn start_next(&mut self) {
        if let Work::Starting { rest, why, .. } = mem::replace(&mut self.work, Work::Idle) {
            self.start_all(rest, why);
        }
    }

    fn all_started(&mut self, why: Why) {
        if matches!(why, Why::Boot) {
            self.effects.push(Effect::Ready);
        }
    }

    fn started(&mut self, key: ChildKey, incarnation: Incarnation) {
        let now = self.now;
        let Some(child) = self
            .child(key, incarnation)
            .filter(|child| child.state == ChildState::Starting)
        else {
            return;
        };
        child.up(now);
        let about = child.about();
        self.report(Decision::Started(about));
        if let Work::Starting {
            why: Why::Asked { request, .. },
            ..
        } = self.work
        {
            self.reply(request, Reply::Started(key, incarnation));
        }
        self.start_next();
    }

    fn declined(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(child) = self.child(key, incarnation) else {
            return;
        };
        if child.state == ChildState::Stopping {
            return self.stopped(key, Exit::SHUTDOWN);
        }
        let about = child.about();
        self.report(Decision::Declined(about));
        self.take_down(key, Availability::Stopped);
        if let Work::Starting {
            why: Why::Asked { request, .. },
            ..
        } = self.work
        {
            self.reply(request, Reply::Declined);
        }
        self.start_next();
    }

    fn start_failed(&mut self, key: ChildKey, incarnation: Incarnation, reason: Arc<str>) {
        let Some(child) = self.child(key, incarnation) else {
            return;
        };
        if child.state == ChildState::Stopping {
            return self.stopped(key, Exit::SHUTDOWN);
        }
        child.last_exit = Some(Exit::Failed(reason.clone()));
        let about = child.about();
        let id = about.child.clone();
        self.report(Decision::StartFailed(about, reason.clone()));
        let Work::Starting { why, .. } = mem::replace(&mut self.work, Work::Idle) else {
            return;
        };
        match why {
            Why::Boot => {
                self.take_down(key, Availability::Stopped);
                self.stop_all(self.keys(), Then::Unwind { child: id, reason });
            }
            Why::Asked { request, keep } => {
                self.take_down(key, Availability::Stopped);
                if !keep {
                    self.forget(key);
                }
                self.reply(request, Reply::Refused(AdminError::StartFailed(reason)));
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
        if child.plan.backoff.is_some() {
            self.restart(key);
        } else {
            self.pending.push_back(Pending::TryAgain(key, incarnation));
        }
    }

    // ---- stopping

    fn keys(&self) -> Vec<ChildKey> {
        self.children.keys().copied().collect()
    }

    fn stop_all(&mut self, children: Vec<ChildKey>, then: Then) {
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
            let availability = match then {
                Then::Group { .. } => Availability::Restarting,
                _ => Availability::Stopped,
            };
            *child = Some(key);
            match self.children.get(&key).map(|child| child.state) {
                Some(ChildState::Running | ChildState::Starting) => return self.stop(key),
                Some(ChildState::Stopping) => return,
                Some(ChildState::Down | ChildState::Restarting) => {
                    self.take_down(key, availability)
                }
                Some(ChildState::Stopped) | None => {}
            }
        }
    }

    fn stop(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.state = ChildState::Stopping;
        let (incarnation, shutdown) = (child.incarnation, child.plan.shutdown);
        match shutdown {
            Shutdown::Kill => self.effects.push(Effect::Kill(key, incarnation)),
            Shutdown::After(limit) => {
                self.effects.push(Effect::RequestStop(key, incarnation));
                self.arm(key, limit);
            }
            Shutdown::Infinity => self.effects.push(Effect::RequestStop(key, incarnation)),
        }
    }

    fn stopped(&mut self, key: ChildKey, exit: Exit) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let about = child.about();
        let decision = if child.stopped_cleanly(&exit) {
            Decision::Stopped(about)
        } else {
            Decision::UncleanStop(about, exit.clone())
        };
        child.last_exit = Some(exit);
        self.report(decision);
        let returns = matches!(
            self.work,
            Work::Stopping {
                then: Then::Group { .. },
                ..
            }
        );
        self.take_down(
            key,
            if returns {
                Availability::Restarting
            } else {
                Availability::Stopped
            },
        );
        if matches!(self.work, Work::Stopping { child: Some(current), .. } if current == key) {
            self.stop_next();
        }
    }

    fn all_stopped(&mut self, then: Then) {
        match then {
            Then::Unwind { child, reason } => {
                self.work = Work::Over;
                self.effects.push(Effect::BootFailed(child, reason));
            }
            Then::Group { origin, wait } if wait.is_zero() => self.start_group(origin),
            Then::Group { origin, wait } => self.arm(origin, wait),
            Then::Terminate { request } => self.reply(request, Reply::Done),
            Then::Exit(exit) => {
                self.work = Work::Over;
                self.effects.push(Effect::Exit(exit));
            }
        }
    }

    /// The child has no process any more: temporary ones are forgotten, the others keep their place.
    fn take_down(&mut self, key: ChildKey, availability: Availability) {
        self.disarm(key);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.state = ChildState::Stopped;
        let is_temporary = child.is_temporary();
        let availability = if is_temporary {
            Availability::Stopped
        } else {
            availability
        };
        self.effects.push(Effect::Down(key, availability));
        if is_temporary {
            self.forget(key);
        }
    }

    fn forget(&mut self, key: ChildKey) {
        self.disarm(key);
        if let Some(child) = self.children.remove(&key) {
            self.ids.remove(&child.plan.id);
            self.effects.push(Effect::Forget(key));
        }
    }

    fn arm(&mut self, key: ChildKey, after: Duration) {
        let timer = TimerId(self.next_timer);
        self.next_timer += 1;
        self.timers.insert(timer, key);
        if let Some(child) = self.children.get_mut(&key) {
            child.timer = Some(timer);
            self.effects.push(Effect::Arm(timer, after));
        }
    }

    fn disarm(&mut self, key: ChildKey) {
        if let Some(timer) = self
            .children
            .get_mut(&key)
            .and_then(|child| child.timer.take())
            && self.timers.remove(&timer).is_some()
        {
            self.effects.push(Effect::Disarm(timer));
        }
    }

    // ---- ends and restarts

    fn exited(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let Some(child) = self.child(key, incarnation) else {
            return;
        };
        match child.state {
            ChildState::Running => {
                child.state = ChildState::Down;
                child.last_exit = Some(exit.clone());
                self.pending
                    .push_back(Pending::Exited(key, incarnation, exit));
            }
            ChildState::Stopping => self.stopped(key, exit),
            _ => {}
        }
    }

    fn decide(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let Some(child) = self
            .child(key, incarnation)
            .filter(|child| child.state == ChildState::Down)
        else {
            return;
        };
        let (about, restarts) = (child.about(), child.restarts_after(&exit));
        if restarts || exit.is_abnormal() {
            self.report(Decision::Terminated(about, exit));
        } else {
            self.report(Decision::Ended(about, exit));
        }
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
        let (about, significant) = (child.about(), child.plan.significant);
        self.take_down(key, Availability::Stopped);
        let ends = significant
            && match self.flags.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !self
                    .children
                    .values()
                    .any(|child| child.plan.significant && child.state != ChildState::Stopped),
            };
        if ends {
            self.report(Decision::AutoShutdown(about));
            self.shut_down(Exit::SHUTDOWN);
        }
    }

    fn restart(&mut self, key: ChildKey) {
        let (now, strategy) = (self.now, self.flags.strategy);
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.state = ChildState::Restarting;
        if !self.window.charge(now, key) {
            return self.give_up(key);
        }
        let wait = child.wait(now, &mut self.random);
        let about = child.about();
        self.window.hold(now, wait);
        self.report(Decision::Restarting {
            about,
            strategy,
            after: wait,
        });
        self.effects
            .push(Effect::Down(key, Availability::Restarting));
        let others = match strategy {
            Strategy::OneForOne => Vec::new(),
            Strategy::RestForOne => self
                .keys()
                .into_iter()
                .filter(|other| *other > key)
                .collect(),
            Strategy::OneForAll => self
                .keys()
                .into_iter()
                .filter(|other| *other != key)
                .collect(),
        };
        self.stop_all(others, Then::Group { origin: key, wait });
    }

    fn start_group(&mut self, origin: ChildKey) {
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
        self.start_all(group, Why::Restart);
    }

    fn give_up(&mut self, key: ChildKey) {
        let Some(child) = self.children.get(&key) else {
            return;
        };
        let (about, exit) = (
            child.about(),
            child.last_exit.clone().unwrap_or(Exit::Killed),
        );
        let intensity = self.flags.intensity;
        let detail = format!(
            "more than {} restarts within {:?}, the last for `{}`: {exit}",
            intensity.restarts, intensity.within, about.child
        );
        self.report(Decision::GaveUp(about, exit));
        self.take_down(key, Availability::Stopped);
        self.shut_down(Exit::Shutdown(Some(detail.into())));
    }

    // ---- the end

    fn stop_requested(&mut self) {
        match &self.work {
            Work::Over
            | Work::Stopping {
                then: Then::Exit(_) | Then::Unwind { .. },
                ..
            } => return,
            Work::Starting {
                why: Why::Asked { request, .. },
                ..
            }
            | Work::Stopping {
                then: Then::Terminate { request },
                ..
            } => {
                self.reply(*request, Reply::Refused(AdminError::Stopping));
            }
            _ => {}
        }
        self.shut_down(Exit::SHUTDOWN);
    }

    fn shut_down(&mut self, exit: Exit) {
        for pending in mem::take(&mut self.pending) {
            if let Pending::Request(request, _) = pending {
                self.reply(request, Reply::Refused(AdminError::Stopping));
            }
        }
        self.stop_all(self.keys(), Then::Exit(exit));
    }

    fn is_ending(&self) -> bool {
        matches!(
            self.work,
            Work::Over
                | Work::Stopping {
                    then: Then::Exit(_) | Then::Unwind { .. },
                    ..
                }
        )
    }

    // ---- administration

    fn requested(&mut self, request: RequestId, wish: Request<P>) {
        if self.is_ending() {
            self.reply(request, Reply::Refused(AdminError::Stopping));
        } else {
            self.pending.push_back(Pending::Request(request, wish));
        }
    }

    fn administer(&mut self, request: RequestId, wish: Request<P>) {
        let refusal = match wish {
            Request::Add(plan, payload) => self.add(request, plan, payload),
            Request::Terminate(target) => self.terminate(request, &target),
            Request::Restart(target) => self.restart_by_hand(request, &target),
            Request::Delete(target) => self.delete(request, &target),
        };
        if let Err(refusal) = refusal {
            self.reply(request, Reply::Refused(refusal));
        }
    }

    fn find(&self, target: &Target) -> Result<(ChildKey, ChildState), AdminError> {
        let key = match target {
            Target::Id(id) => self.ids.get(id).copied(),
            Target::Key(key) => Some(*key),
        };
        key.and_then(|key| Some((key, self.children.get(&key)?.state)))
            .ok_or(AdminError::NotFound)
    }

    fn add(&mut self, request: RequestId, plan: Plan, payload: P) -> Result<(), AdminError> {
        plan.check(&self.flags)?;
        if let Some(child) = self
            .ids
            .get(&plan.id)
            .and_then(|key| Some((*key, self.children.get(key)?)))
        {
            return Err(match child.1.state {
                ChildState::Stopped | ChildState::Restarting => AdminError::AlreadyPresent,
                _ => AdminError::AlreadyStarted(child.0, child.1.incarnation),
            });
        }
        if self.children.len() >= self.flags.max_children {
            return Err(SpecError::TooMany {
                max: self.flags.max_children,
            }
            .into());
        }
        let key = self.insert(plan, payload);
        self.start_all(
            [key],
            Why::Asked {
                request,
                keep: false,
            },
        );
        Ok(())
    }

    fn terminate(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        let (key, state) = self.find(target)?;
        if state == ChildState::Stopped {
            self.reply(request, Reply::Done);
        } else {
            self.stop_all(vec![key], Then::Terminate { request });
        }
        Ok(())
    }

    fn restart_by_hand(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        match self.find(target)? {
            (key, ChildState::Stopped) => self.start_all(
                [key],
                Why::Asked {
                    request,
                    keep: true,
                },
            ),
            (_, ChildState::Restarting) => return Err(AdminError::Restarting),
            _ => return Err(AdminError::Running),
        }
        Ok(())
    }

    fn delete(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        match self.find(target)? {
            (key, ChildState::Stopped) => self.forget(key),
            (_, ChildState::Restarting) => return Err(AdminError::Restarting),
            _ => return Err(AdminError::Running),
        }
        self.reply(request, Reply::Done);
        Ok(())
    }

    // ---- time and turn

    fn timer(&mut self, timer: TimerId) {
        let Some(key) = self.timers.remove(&timer) else {
            return;
        };
        let Some(child) = self.children.get(&key) else {
            return;
        };
        match child.state {
            ChildState::Stopping => self.effects.push(Effect::Kill(key, child.incarnation)),
            ChildState::Restarting => self.pending.push_back(Pending::BackoffOver(key, timer)),
            _ => {}
        }
    }

    fn take_turns(&mut self) {
        while matches!(self.work, Work::Idle) {
            match self.pending.pop_front() {
                Some(Pending::Exited(key, incarnation, exit)) => {
                    self.decide(key, incarnation, exit)
                }
                Some(Pending::Request(request, wish)) => self.administer(request, wish),
                Some(Pending::TryAgain(key, incarnation)) => {
                    let is_due = |child: &&mut Child<P>| {
                        child.state == ChildState::Restarting && child.timer.is_none()
                    };
                    if self.child(key, incarnation).filter(is_due).is_some() {
                        self.restart(key);
                    }
                }
                Some(Pending::BackoffOver(key, timer)) => {
                    let is_due = |child: &Child<P>| {
                        child.state == ChildState::Restarting && child.timer == Some(timer)
                    };
                    if self.children.get(&key).is_some_and(is_due) {
                        self.start_group(key);
                    }
                }
                None => return,
            }
        }
    }
}

impl<P: Clone> Core<P> for SupervisorCore<P> {
    fn apply(&mut self, now: Duration, event: Event<P>) -> Vec<Effect<P>> {
        self.now = now;
        match event {
            Event::Boot => self.start_all(self.keys(), Why::Boot),
            Event::Started(key, incarnation) => self.started(key, incarnation),
            Event::StartFailed(key, incarnation, reason) => {
                self.start_failed(key, incarnation, reason)
            }
            Event::Declined(key, incarnation) => self.declined(key, incarnation),
            Event::Exited(key, incarnation, exit) => self.exited(key, incarnation, exit),
            Event::Timer(timer) => self.timer(timer),
            Event::Request(request, wish) => self.requested(request, wish),
            Event::Stop => self.stop_requested(),
        }
        self.take_turns();
        mem::take(&mut self.effects)
    }

    fn rows(&self, now: Duration) -> Vec<ChildRow> {
        self.children
            .iter()
            .map(|(key, child)| child.row(*key, now, &self.window))
            .collect()
    }

    fn plan(&self, key: ChildKey) -> Option<&Plan> {
        self.children.get(&key).map(|child| &child.plan)
    }
}
