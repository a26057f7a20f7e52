//! What both cores keep beside their children.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::event::{
    AdminError, Availability, ChildKey, ChildRow, Effect, Reply, RequestId, TimerId,
};
use super::window::Window;
use crate::exit::Exit;
use crate::report::Decision;
use crate::strategy::{Flags, Strategy};

/// The time, the restart window, the armed timers, and what is to be done.
#[derive(Debug, Clone)]
pub(super) struct Ledger<P> {
    pub(super) now: Duration,
    window: Window,
    random: fastrand::Rng,
    timers: HashMap<TimerId, Option<ChildKey>>,
    next_timer: u64,
    effects: Vec<Effect<P>>,
}

impl<P> Ledger<P> {
    pub(super) fn new(flags: &Flags) -> Self {
        Self {
            now: Duration::ZERO,
            window: Window::new(flags.intensity),
            random: fastrand::Rng::with_seed(flags.seed),
            timers: HashMap::new(),
            next_timer: 0,
            effects: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, effect: Effect<P>) {
        self.effects.push(effect);
    }

    pub(super) fn take(&mut self) -> Vec<Effect<P>> {
        mem::take(&mut self.effects)
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
        if !self.window.charge(self.now, key) {
            return None;
        }
        let wait = child.wait(&mut self.random);
        if !wait.is_zero() {
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
            .map(|(key, child)| child.row(key, restarts.get(&key).copied().unwrap_or(0)))
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
