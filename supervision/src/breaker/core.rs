//! The rules of a breaker as functions of the time. Pure: whoever calls says what time it is.
//!
//! What time alone changes happens at the moment it was due, however late somebody looks: looking changes nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Abandoned, Config, rate};
use super::open::Open;
use super::snapshot::{Snapshot, Totals};
use super::transition::{Cause, Failure, Outcome, State, TRANSITIONS_KEPT, Transition, cut};
use super::window::Window;
use crate::spec::SpecError;

/// The right to make one call. It belongs to the state in which it was given: in a later one its outcome is only counted.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "settle or abandon it: until then, or until its deadline, it may hold a probe"]
pub struct Ticket {
    generation: u64,
    number: u64,
    started: Duration,
}

#[derive(Debug, Clone)]
enum Phase {
    Closed,
    /// Without an end while somebody holds it.
    Open {
        until: Option<Duration>,
    },
    HalfOpen {
        successes: u32,
        /// Those that are out, the oldest first: the first is due first.
        probes: VecDeque<Probe>,
    },
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    number: u64,
    deadline: Duration,
}

/// A breaker's rules and all it remembers. Times are since it was made; an earlier one than before is taken for the same.
#[derive(Debug, Clone)]
pub struct Core {
    name: Arc<str>,
    config: Config,
    now: Duration,
    /// Counts the states, so that an outcome finds out whether its own is over.
    generation: u64,
    phase: Phase,
    since: Duration,
    cause: Cause,
    manual: Option<Arc<str>>,
    window: Window,
    /// Openings in a row.
    streak: u32,
    /// What a server asked for while it was closed.
    not_before: Duration,
    last: Option<Arc<str>>,
    totals: Totals,
    waits: fastrand::Rng,
    faults: fastrand::Rng,
    fault_rate: f64,
    transitions: VecDeque<Transition>,
    stirred: bool,
}

impl Core {
    /// A closed breaker.
    ///
    /// # Errors
    /// A limit that cannot be.
    pub fn new(name: impl Into<Arc<str>>, config: Config) -> Result<Self, SpecError> {
        config.check()?;
        Ok(Self {
            name: name.into(),
            now: Duration::ZERO,
            generation: 0,
            phase: Phase::Closed,
            since: Duration::ZERO,
            cause: Cause::New,
            manual: None,
            window: Window::new(config.within),
            streak: 0,
            not_before: Duration::ZERO,
            last: None,
            totals: Totals::default(),
            waits: fastrand::Rng::with_seed(config.seed),
            faults: fastrand::Rng::with_seed(!config.seed),
            fault_rate: 0.0,
            transitions: VecDeque::new(),
            stirred: false,
            config,
        })
    }

    /// Asks for one call.
    ///
    /// # Errors
    /// Why it is not let through.
    pub fn acquire(&mut self, now: Duration) -> Result<Ticket, Open> {
        self.advance(now);
        let refused = match &self.phase {
            Phase::Closed => None,
            Phase::HalfOpen { probes, .. } if probes.len() < self.config.probes as usize => None,
            _ => Some(self.cause.clone()),
        };
        let refused = refused.or_else(|| self.inject());
        if let Some(cause) = refused {
            self.totals.refused += 1;
            return Err(self.refusal(cause));
        }
        Ok(self.admit())
    }

    /// Hears what became of a call.
    pub fn settle(&mut self, now: Duration, ticket: Ticket, outcome: Outcome) {
        self.advance(now);
        self.count(&outcome);
        if ticket.generation != self.generation {
            self.totals.stale += 1;
            return;
        }
        let slow = self.config.is_slow(self.now - ticket.started);
        match self.phase {
            Phase::Closed => self.settle_call(outcome, slow),
            Phase::HalfOpen { .. } => self.settle_probe(ticket.number, outcome, slow),
            Phase::Open { .. } => {}
        }
    }

    /// Hears that nobody will say what became of a call.
    pub fn abandon(&mut self, now: Duration, ticket: Ticket) {
        self.totals.abandoned += 1;
        let outcome = match self.config.abandoned {
            Abandoned::Ignored => Outcome::Ignore,
            Abandoned::Failed => Outcome::Failure(Failure::new("abandoned")),
        };
        self.settle(now, ticket, outcome);
    }

    /// Hears of a call for which nobody asked. When it is not closed, that is only counted.
    pub fn record(&mut self, now: Duration, outcome: Outcome) {
        self.advance(now);
        self.count(&outcome);
        match self.phase {
            Phase::Closed => self.settle_call(outcome, false),
            _ => self.totals.stale += 1,
        }
    }

    /// Holds it open until [`Core::close`] or [`Core::automatic`].
    pub fn open(&mut self, now: Duration, reason: &str) {
        self.advance(now);
        let reason = self.hold(reason);
        self.enter(self.now, Phase::Open { until: None }, Cause::Manual(reason));
    }

    /// Holds it closed until [`Core::open`] or [`Core::automatic`]; its openings in a row are forgotten.
    pub fn close(&mut self, now: Duration, reason: &str) {
        self.advance(now);
        let reason = self.hold(reason);
        self.streak = 0;
        self.enter(self.now, Phase::Closed, Cause::Manual(reason));
    }

    /// Leaves it to itself again: what was held open probes first, what was held closed begins with an empty window.
    pub fn automatic(&mut self, now: Duration) {
        self.advance(now);
        if self.manual.take().is_none() {
            return;
        }
        let phase = match self.phase {
            Phase::Closed => Phase::Closed,
            _ => half_open(),
        };
        self.enter(self.now, phase, Cause::Automatic);
    }

    /// From now on refuses this part of the calls, from 0 to 1, by seeded chance; not while it is held by hand.
    ///
    /// # Errors
    /// A rate that is none.
    pub fn inject_faults(&mut self, part: f64) -> Result<(), SpecError> {
        if part != 0.0 {
            rate("inject_faults", part)?;
        }
        self.fault_rate = part;
        Ok(())
    }

    /// Lets happen what was due until now.
    pub fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        while let Some(due) = self.due().filter(|due| *due <= self.now) {
            match self.phase {
                Phase::Closed => return,
                Phase::Open { .. } => self.enter(due, half_open(), Cause::WaitOver),
                Phase::HalfOpen { .. } => self.reopen(due, Cause::ProbeOverdue),
            }
        }
    }

    /// When something will happen by itself; none when nothing will.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Closed => None,
            Phase::Open { until } => *until,
            Phase::HalfOpen { probes, .. } => probes.front().map(|probe| probe.deadline),
        }
    }

    /// Its state at the latest time it has heard of.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// How many transitions there have been.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The oldest transition that was not taken yet.
    pub fn next_transition(&mut self) -> Option<Transition> {
        self.transitions.pop_front()
    }

    /// Whether its state, or when something is due, has changed since this was asked last.
    pub fn stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    /// How it stands.
    pub fn snapshot(&mut self, now: Duration) -> Snapshot {
        self.advance(now);
        let (probes, successes) = match &self.phase {
            Phase::HalfOpen { probes, successes } => (probes.len(), *successes),
            _ => (0, 0),
        };
        Snapshot {
            breaker: self.name.clone(),
            state: self.state(),
            cause: self.cause.clone(),
            manual: self.manual.clone(),
            held: self.now - self.since,
            wait: self.wait_left(),
            window: self.window.tally(self.now),
            probes: u32::try_from(probes).unwrap_or(u32::MAX),
            successes,
            last: self.last.clone(),
            totals: self.totals,
        }
    }

    fn admit(&mut self) -> Ticket {
        self.totals.admitted += 1;
        let number = self.totals.admitted;
        if let Phase::HalfOpen { probes, .. } = &mut self.phase {
            let deadline = self.now.saturating_add(self.config.probe_deadline);
            probes.push_back(Probe { number, deadline });
            self.stirred = true;
        }
        Ticket {
            generation: self.generation,
            number,
            started: self.now,
        }
    }

    fn inject(&mut self) -> Option<Cause> {
        let idle = self.fault_rate == 0.0 || self.manual.is_some();
        (!idle && self.faults.f64() < self.fault_rate).then_some(Cause::Injected)
    }

    fn refusal(&self, cause: Cause) -> Open {
        Open {
            breaker: self.name.clone(),
            state: self.state(),
            cause,
            held: self.now - self.since,
            retry_in: self.wait_left(),
            last: self.last.clone(),
        }
    }

    fn wait_left(&self) -> Option<Duration> {
        match self.phase {
            Phase::Open { until } => until.map(|until| until.saturating_sub(self.now)),
            _ => None,
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Success => &mut self.totals.successes,
            Outcome::Failure(_) => &mut self.totals.failures,
            Outcome::Ignore => &mut self.totals.ignored,
        };
        *counter += 1;
    }

    fn settle_call(&mut self, outcome: Outcome, slow: bool) {
        let failed = match outcome {
            Outcome::Ignore => return,
            Outcome::Success => false,
            Outcome::Failure(failure) => {
                self.note(failure);
                true
            }
        };
        self.window.record(self.now, failed, slow);
        if self.manual.is_some() {
            return;
        }
        if let Some(cause) = self.config.judge(self.window.tally(self.now)) {
            if self.now - self.since >= self.config.backoff.reset_after {
                self.streak = 0;
            }
            self.reopen(self.now, cause);
        }
    }

    fn settle_probe(&mut self, number: u64, outcome: Outcome, slow: bool) {
        let Phase::HalfOpen { successes, probes } = &mut self.phase else {
            return;
        };
        probes.retain(|probe| probe.number != number);
        self.stirred = true;
        match outcome {
            Outcome::Ignore => {}
            Outcome::Failure(failure) => {
                self.note(failure);
                self.reopen(self.now, Cause::ProbeFailed);
            }
            Outcome::Success if slow => self.reopen(self.now, Cause::ProbeSlow),
            Outcome::Success => {
                *successes += 1;
                if *successes >= self.config.successes {
                    let cause = Cause::Probes(*successes);
                    self.enter(self.now, Phase::Closed, cause);
                }
            }
        }
    }

    /// Remembers what a failure said.
    fn note(&mut self, failure: Failure) {
        let wish = self
            .now
            .saturating_add(self.config.grant(failure.retry_after));
        self.not_before = self.not_before.max(wish);
        self.last = failure.reason.map(|reason| cut(&reason));
    }

    fn hold(&mut self, reason: &str) -> Arc<str> {
        let reason = cut(reason);
        self.manual = Some(reason.clone());
        reason
    }

    /// Opens for its own wait, or for the server's if that is longer.
    fn reopen(&mut self, at: Duration, cause: Cause) {
        self.streak = self.streak.saturating_add(1);
        let wait = self.config.backoff.wait(self.streak, &mut self.waits);
        let until = at.saturating_add(wait).max(self.not_before);
        self.enter(at, Phase::Open { until: Some(until) }, cause);
    }

    fn enter(&mut self, at: Duration, phase: Phase, cause: Cause) {
        let from = self.state();
        self.generation += 1;
        (self.phase, self.since, self.cause) = (phase, at, cause);
        self.stirred = true;
        self.not_before = Duration::ZERO;
        match self.phase {
            Phase::Closed => self.window.clear(),
            Phase::Open { .. } => self.totals.opened += 1,
            Phase::HalfOpen { .. } => {}
        }
        self.announce(from);
    }

    fn announce(&mut self, from: State) {
        if self.transitions.len() >= TRANSITIONS_KEPT {
            self.transitions.pop_front();
        }
        let wait = match self.phase {
            Phase::Open { until } => until.map(|until| until - self.since),
            _ => None,
        };
        self.transitions.push_back(Transition {
            breaker: self.name.clone(),
            number: self.generation,
            at: self.since,
            from,
            to: self.state(),
            cause: self.cause.clone(),
            wait,
            last: self.last.clone(),
        });
    }
}

fn half_open() -> Phase {
    Phase::HalfOpen {
        successes: 0,
        probes: VecDeque::new(),
    }
}
