//! The rules once more, as slowly and obviously as possible: time passes tick by tick, every call is remembered for ever.

use std::time::Duration;

use supervision::breaker::{Abandoned, Config, State, Tally};

use super::TICK;
use super::play::Said;

struct Call {
    at: Duration,
    failed: bool,
    slow: bool,
}

/// A ticket: in which state it was given, which one it is, and when.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    era: u32,
    number: u32,
    started: Duration,
}

pub(super) struct Model {
    config: Config,
    now: Duration,
    pub(super) state: State,
    pub(super) since: Duration,
    /// When it stops being open.
    pub(super) until: Option<Duration>,
    pub(super) manual: bool,
    pub(super) opened: u64,
    pub(super) good_probes: u32,
    pub(super) probes_out: Vec<Pass>,
    pub(super) stale: u64,
    calls: Vec<Call>,
    wishes: Vec<Duration>,
    openings_in_a_row: u32,
    era: u32,
    numbers: u32,
}

impl Model {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            now: Duration::ZERO,
            state: State::Closed,
            since: Duration::ZERO,
            until: None,
            manual: false,
            opened: 0,
            good_probes: 0,
            probes_out: Vec::new(),
            stale: 0,
            calls: Vec::new(),
            wishes: Vec::new(),
            openings_in_a_row: 0,
            era: 0,
            numbers: 0,
        }
    }

    pub(super) fn pass(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now += TICK;
            let overdue = |pass: &Pass| pass.started + self.config.probe_deadline <= self.now;
            if self.until.is_some_and(|until| until <= self.now) {
                self.become_(State::HalfOpen);
            } else if self.probes_out.iter().any(overdue) {
                self.open();
            }
        }
    }

    pub(super) fn acquire(&mut self) -> Option<Pass> {
        let places = self.config.probes as usize;
        let refused = match self.state {
            State::Closed => false,
            State::Open => true,
            State::HalfOpen => self.probes_out.len() == places,
        };
        if refused {
            return None;
        }
        self.numbers += 1;
        let (era, number, started) = (self.era, self.numbers, self.now);
        let pass = Pass {
            era,
            number,
            started,
        };
        if self.state == State::HalfOpen {
            self.probes_out.push(pass);
        }
        Some(pass)
    }

    pub(super) fn settle(&mut self, pass: Pass, said: Said) {
        if pass.era != self.era {
            self.stale += 1;
            return;
        }
        let took = self.now - pass.started;
        let slow = self.config.slow.is_some_and(|slow| took > slow.after);
        if self.state == State::Closed {
            return self.hear_call(said, slow);
        }
        self.probes_out.retain(|other| other.number != pass.number);
        if self.is_failure(said) {
            self.wish(said);
            self.open();
        } else if matches!(said, Said::Success) && slow {
            self.open();
        } else if matches!(said, Said::Success) {
            self.good_probes += 1;
            if self.good_probes == self.config.successes {
                self.become_(State::Closed);
            }
        }
    }

    pub(super) fn record(&mut self, said: Said) {
        match self.state {
            State::Closed => self.hear_call(said, false),
            _ => self.stale += 1,
        }
    }

    pub(super) fn open_by_hand(&mut self) {
        self.manual = true;
        self.become_(State::Open);
        self.opened += 1;
    }

    pub(super) fn close_by_hand(&mut self) {
        self.manual = true;
        self.openings_in_a_row = 0;
        self.become_(State::Closed);
    }

    pub(super) fn automatic(&mut self) {
        if std::mem::take(&mut self.manual) {
            match self.state {
                State::Closed => self.become_(State::Closed),
                _ => self.become_(State::HalfOpen),
            }
        }
    }

    /// The calls that are in the window.
    pub(super) fn window(&self) -> Tally {
        let width = self.config.within / 60;
        let bucket = |at: Duration| at.as_nanos() / width.as_nanos();
        let recent = |call: &&Call| bucket(call.at) + 60 > bucket(self.now);
        let recent: Vec<_> = self.calls.iter().filter(recent).collect();
        let count = |which: fn(&&&Call) -> bool| recent.iter().filter(which).count() as u64;
        Tally {
            calls: recent.len() as u64,
            failures: count(|call| call.failed),
            slow: count(|call| call.slow),
        }
    }

    fn is_failure(&self, said: Said) -> bool {
        match said {
            Said::Failure(_) => true,
            Said::Dropped => self.config.abandoned == Abandoned::Failed,
            Said::Success | Said::Ignore => false,
        }
    }

    fn hear_call(&mut self, said: Said, slow: bool) {
        let (at, failed) = (self.now, self.is_failure(said));
        if !failed && !matches!(said, Said::Success) {
            return;
        }
        self.wish(said);
        self.calls.push(Call { at, failed, slow });
        if !self.manual && self.is_too_much() {
            if self.now - self.since >= self.config.backoff.reset_after {
                self.openings_in_a_row = 0;
            }
            self.open();
        }
    }

    fn is_too_much(&self) -> bool {
        let seen = self.window();
        let quarters = |rate: f64| (rate * 4.0) as u64;
        let many = |limit: u32| seen.failures >= u64::from(limit);
        let failing = |rate: f64| 4 * seen.failures >= quarters(rate) * seen.calls;
        let slow = |rate: f64| 4 * seen.slow >= quarters(rate) * seen.calls;
        let enough = seen.calls >= u64::from(self.config.minimum_calls);
        self.config.failures.is_some_and(many)
            || enough && self.config.failure_rate.is_some_and(failing)
            || enough && self.config.slow.is_some_and(|rule| slow(rule.rate))
    }

    fn wish(&mut self, said: Said) {
        if let Said::Failure(Some(ticks)) = said {
            let granted = (ticks * TICK).min(self.config.max_retry_after);
            self.wishes.push(self.now + granted);
        }
    }

    fn open(&mut self) {
        let mut wait = self.config.backoff.base;
        for _ in 0..self.openings_in_a_row {
            wait = (wait * 2).min(self.config.backoff.cap);
        }
        let own = self.now + wait;
        let until = self.wishes.iter().copied().chain([own]).max();
        self.openings_in_a_row += 1;
        self.become_(State::Open);
        self.until = until;
        self.opened += 1;
    }

    fn become_(&mut self, state: State) {
        self.state = state;
        self.since = self.now;
        self.until = None;
        self.era += 1;
        self.good_probes = 0;
        self.probes_out.clear();
        self.wishes.clear();
        if state == State::Closed {
            self.calls.clear();
        }
    }
}
