//! What both cores keep beside their children.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::event::{
    AdminError, Availability, ChildKey, ChildRow, Effect, Hold, Reply, RequestId, TimerId,
};
use super::window::Window;
use crate::exit::Exit;
use crate::report::Decision;
use crate::spec::Plan;
use crate::strategy::{Flags, Strategy};

/// The time, the restart window, the armed timers, and what is to be done.
#[derive(Debug, Clone)]
pub(super) struct Ledger<P> {
    pub(super) now: Duration,
    window: Window,
    random: fastrand::Rng,
    timers: BTreeMap<TimerId, Option<ChildKey>>,
    next_timer: u64,
    /// What is not available at the moment.
    missing: BTreeSet<Arc<str>>,
    /// Whether restarts need leave.
    pub(super) is_restrained: bool,
    effects: Vec<Effect<P>>,
}

impl<P> Ledger<P> {
    pub(super) fn new(flags: &Flags) -> Self {
        Self {
            now: Duration::ZERO,
            window: Window::new(flags.intensity),
            random: fastrand::Rng::with_seed(flags.seed),
            timers: BTreeMap::new(),
            next_timer: 0,
            missing: BTreeSet::new(),
            is_restrained: false,
            effects: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, effect: Effect<P>) {
        self.effects.push(effect);
    }

    pub(super) fn take(&mut self) -> Vec<Effect<P>> {
        mem::take(&mut self.effects)
    }

    /// Collects effects in this list, until it is given back.
    pub(super) fn lend(&mut self, effects: &mut Vec<Effect<P>>) {
        effects.clear();
        mem::swap(&mut self.effects, effects);
    }

    pub(super) fn give_back(&mut self, effects: &mut Vec<Effect<P>>) {
        mem::swap(&mut self.effects, effects);
    }

    pub(super) fn report(&mut self, decision: Decision) {
        self.push(Effect::Report(decision));
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        self.push(Effect::Reply(request, reply));
    }

    pub(super) fn refuse(&mut self, request: RequestId, error: AdminError) {
        self.reply(request, Reply::Refused(error));
    }

    /// Arms a timer for a child, or for all of them.
    pub(super) fn arm(&mut self, whose: Option<ChildKey>, after: Duration) -> TimerId {
        let timer = TimerId(self.next_timer);
        self.next_timer += 1;
        self.timers.insert(timer, whose);
        self.push(Effect::Arm(timer, after));
        timer
    }

    pub(super) fn disarm(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer
            && self.timers.remove(&timer).is_some()
        {
            self.push(Effect::Disarm(timer));
        }
    }

    /// Whose timer ran out, unless it was disarmed.
    pub(super) fn fired(&mut self, timer: TimerId) -> Option<Option<ChildKey>> {
        self.timers.remove(&timer)
    }

    /// Charges the restart of a child, and says so if it is forgiven: then with the wait before it.
    pub(super) fn charge(
        &mut self,
        key: ChildKey,
        child: &mut Child<P>,
        strategy: Strategy,
    ) -> Option<Duration> {
        if !child.charge_own(self.now, key) && !self.window.charge(self.now, key) {
            return None;
        }
        let wait = child.wait(&mut self.random);
        if !wait.is_zero() {
            child.hold_own(self.now, wait);
            self.window.hold(self.now, wait, |other| match strategy {
                Strategy::OneForOne => other == key,
                Strategy::RestForOne => other >= key,
                Strategy::OneForAll => true,
            });
        }
        self.report(Decision::Restarting {
            about: child.about(),
            strategy,
            after: wait,
        });
        self.push(Effect::Down(key, Availability::Restarting));
        Some(wait)
    }

    /// Something is available, or not any more.
    pub(super) fn need(&mut self, need: Arc<str>, is_there: bool) {
        match is_there {
            true => self.missing.remove(&need),
            false => self.missing.insert(need),
        };
    }

    /// What a child depends on and cannot have.
    pub(super) fn missing(&self, plan: &Plan) -> Option<Arc<str>> {
        let missing = |need: &&Arc<str>| self.missing.contains(*need);
        plan.needs.iter().find(missing).cloned()
    }

    /// Lets the restart of a child wait, uncharged, for what it depends on.
    pub(super) fn park(&mut self, child: &mut Child<P>, need: Arc<str>) {
        if !matches!(child.hold, Some(Hold::Need(_))) {
            let (about, need) = (child.about(), need.clone());
            self.report(Decision::Parked { about, need });
        }
        // What it was allowed before, others may have been meanwhile: it asks again.
        child.has_leave = false;
        child.hold = Some(Hold::Need(need));
    }

    /// Whether a restart may go ahead; if not, it has been asked for.
    pub(super) fn has_leave(&mut self, key: ChildKey, child: &mut Child<P>) -> bool {
        let may = !self.is_restrained || child.has_leave;
        if !may {
            child.hold = Some(Hold::Storm);
            self.push(Effect::AskLeave(key, child.incarnation));
        }
        may
    }

    /// A restart has got leave. It goes ahead now, or when its timer runs out.
    pub(super) fn leave(&mut self, key: ChildKey, child: &mut Child<P>, wait: Duration) {
        child.has_leave = true;
        if !wait.is_zero() {
            let (about, after) = (child.about(), wait);
            self.report(Decision::HeldBack { about, after });
            child.timer = Some(self.arm(Some(key), wait));
        }
    }

    /// Says that the intensity is exhausted; returns how the supervisor ends.
    pub(super) fn give_up(&mut self, child: &Child<P>) -> Exit {
        let intensity = self.window.intensity;
        let exit = child.last_exit.clone().unwrap_or(Exit::Killed);
        let detail = format!(
            "more than {} restarts within {:?}, the last for `{}`: {exit}",
            intensity.restarts, intensity.within, child.plan.id
        );
        self.report(Decision::GaveUp(child.about(), exit));
        Exit::Shutdown(Some(detail.into()))
    }

    /// How many restarts of each child count at the moment, into rows.
    pub(super) fn rows<'a>(
        &self,
        now: Duration,
        children: impl Iterator<Item = (ChildKey, &'a Child<P>)>,
    ) -> Vec<ChildRow>
    where
        P: 'a,
    {
        let restarts = self.window.counts(now);
        children
            .map(|(key, child)| child.row(key, now, restarts.get(&key).copied().unwrap_or(0)))
            .collect()
    }
}

/// Why a child that ended before it was up could not be started.
pub(super) fn ended_early(exit: &Exit) -> Arc<str> {
    match exit {
        Exit::Killed => "killed while it started".into(),
        exit => format!("it ended while it started: {exit}").into(),
    }
}
