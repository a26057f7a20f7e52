//! What both cores remember of one child.

use std::time::Duration;

use super::event::{ChildKey, ChildRow, ChildState, Incarnation, TimerId};
use super::window::Window;
use crate::exit::Exit;
use crate::report::About;
use crate::spec::{Plan, Restart, Shutdown};

#[derive(Debug, Clone)]
pub(super) struct Child<P> {
    pub(super) plan: Plan,
    /// What starts it; gone for temporary instances once they are started, so that nothing keeps their arguments.
    pub(super) payload: Option<P>,
    pub(super) incarnation: Incarnation,
    pub(super) state: ChildState,
    pub(super) last_exit: Option<Exit>,
    /// The deadline of its stop, or the end of its backoff.
    pub(super) timer: Option<TimerId>,
    up_since: Option<Duration>,
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

    pub(super) fn next_incarnation(&mut self) -> Incarnation {
        self.incarnation.0 += 1;
        self.state = ChildState::Starting;
        self.timer = None;
        self.incarnation
    }

    pub(super) fn up(&mut self, now: Duration) {
        self.state = ChildState::Running;
        self.up_since = Some(now);
    }

    /// The wait its backoff asks for after one more failure.
    pub(super) fn wait(&mut self, now: Duration, random: &mut fastrand::Rng) -> Duration {
        let Some(backoff) = &self.plan.backoff else {
            return Duration::ZERO;
        };
        let was_stable = self
            .up_since
            .take()
            .is_some_and(|since| now.saturating_sub(since) >= backoff.reset_after);
        self.failures = if was_stable {
            1
        } else {
            self.failures.saturating_add(1)
        };
        backoff.wait(self.failures, random)
    }

    /// Whether it stopped the way it was told to.
    pub(super) fn stopped_cleanly(&self, exit: &Exit) -> bool {
        match (self.plan.shutdown, exit) {
            (Shutdown::Kill, exit) => *exit == Exit::Killed,
            (_, Exit::Shutdown(_)) => true,
            (_, Exit::Normal) => self.plan.restart != Restart::Permanent,
            _ => false,
        }
    }

    pub(super) fn about(&self) -> About {
        About {
            child: self.plan.id.clone(),
            incarnation: self.incarnation,
            restart: self.plan.restart,
        }
    }

    pub(super) fn row(&self, key: ChildKey, now: Duration, window: &Window) -> ChildRow {
        ChildRow {
            key,
            id: self.plan.id.clone(),
            kind: self.plan.kind,
            incarnation: self.incarnation,
            state: self.state,
            restarts: window.count(now, key),
            last_exit: self.last_exit.clone(),
        }
    }
}
