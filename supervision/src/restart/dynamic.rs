//! The rules for any number of instances of one template.

use std::collections::{BTreeMap, HashMap};
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
use crate::spec::{Plan, Shutdown, SpecError};
use crate::strategy::{AutoShutdown, Flags, Strategy};

/// A supervisor of instances of one template, OTP's `simple_one_for_one`.
///
/// Instances concern one another in nothing but the restart intensity, so they start and stop side by side; at the end all are
/// asked at once and share the template's deadline.
#[derive(Debug, Clone)]
pub struct DynamicCore<P> {
    flags: Flags,
    template: Plan,
    instances: BTreeMap<ChildKey, Instance<P>>,
    timers: HashMap<TimerId, Armed>,
    window: Window,
    random: fastrand::Rng,
    ending: Option<Exit>,
    over: bool,
    now: Duration,
    next_key: u64,
    next_timer: u64,
    effects: Vec<Effect<P>>,
}

#[derive(Debug, Clone)]
struct Instance<P> {
    child: Child<P>,
    /// Who waits for its start.
    adding: Option<RequestId>,
    /// Who wait for its end.
    terminating: Vec<RequestId>,
}

#[derive(Debug, Clone, Copy)]
enum Armed {
    Instance(ChildKey),
    Everybody,
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
            window: Window::new(flags.intensity),
            random: fastrand::Rng::with_seed(flags.seed),
            flags,
            template,
            instances: BTreeMap::new(),
            timers: HashMap::new(),
            ending: None,
            over: false,
            now: Duration::ZERO,
            next_key: 0,
            next_timer: 0,
            effects: Vec::new(),
        })
    }

    fn instance(&mut self, key: ChildKey, incarnation: Incarnation) -> Option<&mut Instance<P>> {
        self.instances
            .get_mut(&key)
            .filter(|instance| instance.child.incarnation == incarnation)
    }

    fn report(&mut self, decision: Decision) {
        self.effects.push(Effect::Report(decision));
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.effects.push(Effect::Reply(request, reply));
    }

    // ---- starting

    fn add(&mut self, request: RequestId, plan: Plan, payload: P) -> Result<(), AdminError> {
        if self.instances.len() >= self.flags.max_children {
            return Err(SpecError::TooMany {
                max: self.flags.max_children,
            }
            .into());
        }
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        let child = Child::new(plan, payload);
        self.instances.insert(
            key,
            Instance {
                child,
                adding: Some(request),
                terminating: Vec::new(),
            },
        );
        self.start(key);
        Ok(())
    }

    fn start(&mut self, key: ChildKey) {
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
            return;
        };
        let incarnation = child.next_incarnation();
        let payload = if child.is_temporary() {
            child.payload.take()
        } else {
            child.payload.clone()
        };
        if let Some(payload) = payload {
            self.effects.push(Effect::Start(
                key,
                incarnation,
                child.plan.id.clone(),
                payload,
            ));
        }
    }

    fn started(&mut self, key: ChildKey, incarnation: Incarnation) {
        let now = self.now;
        let Some(instance) = self.instance(key, incarnation) else {
            return;
        };
        if instance.child.state != ChildState::Starting {
            return;
        }
        instance.child.up(now);
        let (about, adding) = (instance.child.about(), instance.adding.take());
        self.report(Decision::Started(about));
        if let Some(request) = adding {
            self.reply(request, Reply::Started(key, incarnation));
        }
    }

    fn declined(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(instance) = self.instance(key, incarnation) else {
            return;
        };
        let (about, adding) = (instance.child.about(), instance.adding.take());
        if let Some(request) = adding {
            self.reply(request, Reply::Declined);
        }
        self.report(Decision::Declined(about));
        self.remove(key);
    }

    fn start_failed(&mut self, key: ChildKey, incarnation: Incarnation, reason: Arc<str>) {
        let Some(instance) = self.instance(key, incarnation) else {
            return;
        };
        let was_stopping = instance.child.state == ChildState::Stopping;
        instance.child.last_exit = Some(Exit::Failed(reason.clone()));
        let (about, adding) = (instance.child.about(), instance.adding.take());
        if !was_stopping {
            self.report(Decision::StartFailed(about, reason.clone()));
        }
        match adding {
            Some(request) => {
                self.reply(request, Reply::Refused(AdminError::StartFailed(reason)));
                self.remove(key);
            }
            None if was_stopping => self.remove(key),
            None => self.restart(key),
        }
    }

    // ---- ends and restarts

    fn exited(&mut self, key: ChildKey, incarnation: Incarnation, exit: Exit) {
        let Some(Instance { child, .. }) = self.instance(key, incarnation) else {
            return;
        };
        child.last_exit = Some(exit.clone());
        let (about, stopping) = (child.about(), child.state == ChildState::Stopping);
        let (restarts, clean) = (child.restarts_after(&exit), child.stopped_cleanly(&exit));
        match (stopping, restarts) {
            (true, _) if clean => self.report(Decision::Stopped(about)),
            (true, _) => self.report(Decision::UncleanStop(about, exit)),
            (false, true) => {
                self.report(Decision::Terminated(about, exit));
                return self.restart(key);
            }
            (false, false) if exit.is_abnormal() => self.report(Decision::Terminated(about, exit)),
            (false, false) => self.report(Decision::Ended(about, exit)),
        }
        self.remove(key);
        if !stopping {
            self.auto_shutdown(key, incarnation);
        }
    }

    fn auto_shutdown(&mut self, _key: ChildKey, incarnation: Incarnation) {
        let ends = self.template.significant
            && match self.flags.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => self.instances.is_empty(),
            };
        if ends {
            let restart = self.template.restart;
            let about = crate::report::About {
                child: self.template.id.clone(),
                incarnation,
                restart,
            };
            self.report(Decision::AutoShutdown(about));
            self.shut_down(Exit::SHUTDOWN);
        }
    }

    fn restart(&mut self, key: ChildKey) {
        let now = self.now;
        let Some(Instance { child, .. }) = self.instances.get_mut(&key) else {
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
            strategy: Strategy::OneForOne,
            after: wait,
        });
        self.effects
            .push(Effect::Down(key, Availability::Restarting));
        if wait.is_zero() {
            self.start(key);
        } else {
            let timer = self.arm(Armed::Instance(key), wait);
            if let Some(instance) = self.instances.get_mut(&key) {
                instance.child.timer = Some(timer);
            }
        }
    }

    fn give_up(&mut self, key: ChildKey) {
        let Some(Instance { child, .. }) = self.instances.get(&key) else {
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
        self.remove(key);
        self.shut_down(Exit::Shutdown(Some(detail.into())));
    }

    // ---- stopping

    fn stop(&mut self, key: ChildKey) -> Option<Duration> {
        let Instance { child, .. } = self.instances.get_mut(&key)?;
        child.state = ChildState::Stopping;
        let (incarnation, shutdown) = (child.incarnation, child.plan.shutdown);
        match shutdown {
            Shutdown::Kill => self.effects.push(Effect::Kill(key, incarnation)),
            Shutdown::After(_) | Shutdown::Infinity => {
                self.effects.push(Effect::RequestStop(key, incarnation))
            }
        }
        if let Shutdown::After(limit) = shutdown {
            Some(limit)
        } else {
            None
        }
    }

    fn terminate(&mut self, request: RequestId, target: &Target) -> Result<(), AdminError> {
        let Target::Key(key) = *target else {
            return Err(AdminError::NotFound);
        };
        let Some(instance) = self.instances.get_mut(&key) else {
            // An own instance that is already gone: that is what was asked for.
            return if key.0 < self.next_key {
                Ok(self.reply(request, Reply::Done))
            } else {
                Err(AdminError::NotFound)
            };
        };
        instance.terminating.push(request);
        match instance.child.state {
            ChildState::Stopping => {}
            ChildState::Running | ChildState::Starting => {
                if let Some(limit) = self.stop(key) {
                    let timer = self.arm(Armed::Instance(key), limit);
                    if let Some(instance) = self.instances.get_mut(&key) {
                        instance.child.timer = Some(timer);
                    }
                }
            }
            _ => self.remove(key),
        }
        Ok(())
    }

    /// Nothing of it is left, and its record goes too.
    fn remove(&mut self, key: ChildKey) {
        let Some(instance) = self.instances.remove(&key) else {
            return;
        };
        if let Some(timer) = instance.child.timer
            && self.timers.remove(&timer).is_some()
        {
            self.effects.push(Effect::Disarm(timer));
        }
        self.effects.push(Effect::Down(key, Availability::Stopped));
        self.effects.push(Effect::Forget(key));
        if let Some(request) = instance.adding {
            self.reply(request, Reply::Refused(AdminError::Stopping));
        }
        for request in instance.terminating {
            self.reply(request, Reply::Done);
        }
    }

    fn shut_down(&mut self, exit: Exit) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(exit);
        let mut deadline = None;
        for key in self.instances.keys().copied().collect::<Vec<_>>() {
            match self.instances[&key].child.state {
                ChildState::Running | ChildState::Starting => {
                    deadline = self.stop(key).or(deadline)
                }
                ChildState::Stopping => {}
                _ => self.remove(key),
            }
        }
        if let Some(limit) = deadline {
            self.arm(Armed::Everybody, limit);
        }
    }

    fn kill(&mut self, key: ChildKey) {
        if let Some(Instance { child, .. }) = self.instances.get(&key)
            && child.state == ChildState::Stopping
        {
            self.effects.push(Effect::Kill(key, child.incarnation));
        }
    }

    // ---- time and turn

    fn arm(&mut self, armed: Armed, after: Duration) -> TimerId {
        let timer = TimerId(self.next_timer);
        self.next_timer += 1;
        self.timers.insert(timer, armed);
        self.effects.push(Effect::Arm(timer, after));
        timer
    }

    fn timer(&mut self, timer: TimerId) {
        match self.timers.remove(&timer) {
            Some(Armed::Everybody) => self
                .instances
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|key| self.kill(key)),
            Some(Armed::Instance(key)) => match self
                .instances
                .get(&key)
                .map(|instance| instance.child.state)
            {
                Some(ChildState::Restarting) => self.start(key),
                _ => self.kill(key),
            },
            None => {}
        }
    }

    fn requested(&mut self, request: RequestId, wish: Request<P>) {
        let refusal = match wish {
            Request::Terminate(target) => self.terminate(request, &target),
            _ if self.ending.is_some() => Err(AdminError::Stopping),
            Request::Add(plan, payload) => self.add(request, plan, payload),
            Request::Restart(_) | Request::Delete(_) => Err(AdminError::Dynamic),
        };
        if let Err(refusal) = refusal {
            self.reply(request, Reply::Refused(refusal));
        }
    }

    fn end_if_empty(&mut self) {
        if let Some(exit) = self
            .ending
            .clone()
            .filter(|_| self.instances.is_empty() && !self.over)
        {
            self.over = true;
            self.effects.push(Effect::Exit(exit));
        }
    }
}

impl<P: Clone> Core<P> for DynamicCore<P> {
    fn apply(&mut self, now: Duration, event: Event<P>) -> Vec<Effect<P>> {
        self.now = now;
        match event {
            Event::Boot => self.effects.push(Effect::Ready),
            Event::Started(key, incarnation) => self.started(key, incarnation),
            Event::StartFailed(key, incarnation, reason) => {
                self.start_failed(key, incarnation, reason)
            }
            Event::Declined(key, incarnation) => self.declined(key, incarnation),
            Event::Exited(key, incarnation, exit) => self.exited(key, incarnation, exit),
            Event::Timer(timer) => self.timer(timer),
            Event::Request(request, wish) => self.requested(request, wish),
            Event::Stop => self.shut_down(Exit::SHUTDOWN),
        }
        self.end_if_empty();
        mem::take(&mut self.effects)
    }

    fn rows(&self, now: Duration) -> Vec<ChildRow> {
        self.instances
            .iter()
            .map(|(key, instance)| instance.child.row(*key, now, &self.window))
            .collect()
    }

    fn plan(&self, key: ChildKey) -> Option<&Plan> {
        self.instances
            .get(&key)
            .map(|instance| &instance.child.plan)
    }
}
