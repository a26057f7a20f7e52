//! What both cores remember of one child.

use std::time::Duration;

use super::event::{ChildKey, ChildRow, ChildState, Effect, Incarnation, TimerId};
use super::ledger::Ledger;
use crate::exit::Exit;
use crate::report::{About, Decision};
use crate::spec::{Plan, Restart, Shutdown};

#[derive(Debug, Clone)]
pub(super) struct Child<P> {
    pub(super) plan: Plan,
    /// What starts it; gone for temporary children once they are started, so that nothing keeps their arguments.
    pub(super) payload: Option<P>,
    pub(super) incarnation: Incarnation,
    pub(super) state: ChildState,
    pub(super) last_exit: Option<Exit>,
    /// The deadline of its stop, or the end of its backoff.
    pub(super) timer: Option<TimerId>,
    up_since: Option<Duration>,
    /// Failures in a row, for the backoff.
    failures: u32,
}

impl<P> Child<P> {
    pub(super) fn new(plan: Plan, payload: P) -> Self {
        Self {
            plan,
            payload: Some(payload),
            incarnation: Incarnation::default(),
            state: ChildState::Stopped,
            last_exit: None,
            timer: None,
            up_since: None,
            failures: 0,
        }
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.plan.restart == Restart::Temporary
    }

    /// Whether an exit of this class leads to a restart.
    pub(super) fn restarts_after(&self, exit: &Exit) -> bool {
        match self.plan.restart {
            Restart::Permanent => true,
            Restart::Transient => exit.is_abnormal(),
            Restart::Temporary => false,
        }
    }

    /// Has the next incarnation started.
    pub(super) fn start(&mut self, key: ChildKey, ledger: &mut Ledger<P>)
    where
        P: Clone,
    {
        ledger.disarm(self.timer.take());
        let payload = if self.is_temporary() {
            self.payload.take()
        } else {
            self.payload.clone()
        };
        if let Some(payload) = payload {
            self.incarnation.0 += 1;
            self.state = ChildState::Starting;
            let id = self.plan.id.clone();
            ledger.push(Effect::Start(key, self.incarnation, id, payload));
        }
    }

    pub(super) fn up(&mut self, now: Duration) {
        self.state = ChildState::Running;
        self.up_since = Some(now);
    }

    /// It is not up any more; if it was up for long enough, its earlier failures are forgotten.
    pub(super) fn ended(&mut self, now: Duration, exit: Exit) {
        self.last_exit = Some(exit);
        let stable = self
            .plan
            .backoff
            .as_ref()
            .map_or(Duration::MAX, |backoff| backoff.reset_after);
        let was_up = self.up_since.take();
        if was_up.is_some_and(|since| now.saturating_sub(since) >= stable) {
            self.failures = 0;
        }
    }

    /// The wait its backoff asks for after one more failure.
    pub(super) fn wait(&mut self, random: &mut fastrand::Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.plan
            .backoff
            .as_ref()
            .map_or(Duration::ZERO, |backoff| {
                backoff.wait(self.failures, random)
            })
    }

    /// Has it stopped, in the way it wants; returns how long it gets.
    pub(super) fn stop(&mut self, key: ChildKey, ledger: &mut Ledger<P>) -> Option<Duration> {
        self.state = ChildState::Stopping;
        let ask = Effect::RequestStop(key, self.incarnation);
        match self.plan.shutdown {
            Shutdown::Kill => ledger.push(Effect::Kill(key, self.incarnation)),
            Shutdown::After(_) | Shutdown::Infinity => ledger.push(ask),
        }
        match self.plan.shutdown {
            Shutdown::After(limit) => Some(limit),
            Shutdown::Kill | Shutdown::Infinity => None,
        }
    }

    /// How its end is reported when its supervisor wanted it to end.
    pub(super) fn stop_decision(&self, exit: &Exit) -> Decision {
        let is_clean = match (self.plan.shutdown, exit) {
            (Shutdown::Kill, exit) => *exit == Exit::Killed,
            (_, Exit::Shutdown(_)) => true,
            (_, Exit::Normal) => self.plan.restart != Restart::Permanent,
            _ => false,
        };
        if is_clean {
            Decision::Stopped(self.about())
        } else {
            Decision::UncleanStop(self.about(), exit.clone())
        }
    }

    /// How its end is reported when it ended by itself.
    pub(super) fn end_decision(&self, exit: &Exit) -> Decision {
        if exit.is_abnormal() || self.restarts_after(exit) {
            Decision::Terminated(self.about(), exit.clone())
        } else {
            Decision::Ended(self.about(), exit.clone())
        }
    }

    pub(super) fn about(&self) -> About {
        About {
            child: self.plan.id.clone(),
            incarnation: self.incarnation,
            restart: self.plan.restart,
        }
    }

    pub(super) fn row(&self, key: ChildKey, restarts: usize) -> ChildRow {
        ChildRow {
            key,
            id: self.plan.id.clone(),
            kind: self.plan.kind,
            incarnation: self.incarnation,
            state: self.state,
            restarts,
            last_exit: self.last_exit.clone(),
        }
    }
}
