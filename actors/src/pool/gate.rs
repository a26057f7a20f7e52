//! What one provider takes: so many calls at a time, so many in each time, none for a while after it refused one. Pure.

use std::time::Duration;

use supervision::breaker;
use supervision::{Backoff, Jitter};

use super::Outcome;
use super::cool::{self, Cooling};
use super::rate::{Rate, Room, Window};
use crate::model::ProviderLimit;

/// What a provider takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// So many calls at a time; any number when there is none.
    pub max_concurrent: Option<u32>,
    /// So many calls in each of these times.
    pub rates: Vec<Rate>,
    /// When it is left alone because it is ill; never when there is none.
    pub breaker: Option<BreakerLimits>,
}

/// When a provider counts as ill. A call counts against it that finds it overloaded, unreachable, silent, or broken inside; one that it
/// answers, if only with a refusal, does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// So many such calls open the breaker,
    pub failures: u32,
    /// if they end within this time.
    pub within: Duration,
    /// For so long it is left alone then, and twice as long each time the call that tries again fails as well, up to eight times.
    pub reset_after: Duration,
}

/// The longest time that a provider is left alone.
pub const LONGEST_OPEN: Duration = Duration::from_secs(24 * 60 * 60);

/// A call that tries whether a provider is well again has its own limits; this is for those that have none.
const PROBE: Duration = Duration::from_secs(60 * 60);

impl BreakerLimits {
    fn config(self, seed: u64) -> breaker::Config {
        let span = |time: Duration| time.clamp(Duration::from_millis(1), LONGEST_OPEN);
        let base = span(self.reset_after);
        let cap = span(base.saturating_mul(8));
        breaker::Config {
            failures: Some(self.failures.clamp(1, 1_000_000)),
            failure_rate: None,
            within: span(self.within),
            backoff: Backoff::new(base, cap).jitter(Jitter::None),
            probe_deadline: PROBE,
            seed,
            ..breaker::Config::default()
        }
    }
}

/// A provider's limits and what counts for them.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) name: String,
    pub(super) most: Option<u32>,
    pub(super) under_way: u32,
    pub(super) windows: Vec<Window>,
    pub(super) cooling: Cooling,
    breaker: Option<breaker::Core>,
    breaker_limits: Option<BreakerLimits>,
    seed: u64,
}

/// Why nobody may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) limit: ProviderLimit,
    /// When it will be over; none where that depends on calls that are under way.
    pub(super) until: Option<Duration>,
}

impl Hold {
    fn until_a_call_ends(limit: ProviderLimit) -> Self {
        Self { limit, until: None }
    }
}

/// A call that was let through.
#[derive(Debug)]
pub(super) struct Pass {
    generation: u64,
    is_sent: bool,
    ticket: Option<breaker::Ticket>,
}

impl Gate {
    pub(super) fn new(name: &str, limits: &ProviderLimits, seed: u64) -> Self {
        let own = name.bytes().fold(seed, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            name: name.to_owned(),
            most: limits.max_concurrent,
            under_way: 0,
            windows: limits.rates.iter().copied().map(Window::new).collect(),
            cooling: Cooling::new(own),
            breaker: limits
                .breaker
                .and_then(|it| breaker::Core::new(name, it.config(own)).ok()),
            breaker_limits: limits.breaker,
            seed: own,
        }
    }

    /// From now on these limits hold. What has not changed goes on counting; a rate that is new counts from now on.
    pub(super) fn configure(&mut self, limits: &ProviderLimits) {
        self.most = limits.max_concurrent;
        if !self
            .windows
            .iter()
            .map(|it| it.rate)
            .eq(limits.rates.iter().copied())
        {
            let old = std::mem::take(&mut self.windows);
            let kept = |rate: &Rate| old.iter().find(|window| window.rate == *rate).cloned();
            let new = |rate: &Rate| kept(rate).unwrap_or_else(|| Window::new(*rate));
            self.windows = limits.rates.iter().map(new).collect();
        }
        if self.breaker_limits != limits.breaker {
            let made = limits
                .breaker
                .and_then(|it| breaker::Core::new(self.name.as_str(), it.config(self.seed)).ok());
            (self.breaker, self.breaker_limits) = (made, limits.breaker);
        }
    }

    /// Why nobody may call it now; of several reasons the one that lasts longest.
    pub(super) fn hold(&self, now: Duration) -> Option<Hold> {
        let pause = match self.cooling.hold(now) {
            Some(cool::Hold::Pause(until)) => Some((ProviderLimit::Refused, until)),
            _ => None,
        };
        let full = |window: &Window| match window.room(now) {
            Room::At(at) => Some((rate(window), at)),
            Room::Free | Room::Unknown => None,
        };
        let breaker = self
            .open_until()
            .map(|until| (ProviderLimit::Breaker, until));
        let timed = self.windows.iter().filter_map(full);
        let timed = timed.chain(pause).chain(breaker);
        let longest = timed.max_by_key(|(_, until)| *until);
        longest
            .map(|(limit, until)| Hold {
                limit,
                until: Some(until),
            })
            .or_else(|| self.busy(now).map(Hold::until_a_call_ends))
    }

    /// While the breaker is open, or a call that tries again is out, when that is over at the latest.
    fn open_until(&self) -> Option<Duration> {
        let breaker = self.breaker.as_ref()?;
        match breaker.state() {
            breaker::State::Closed => None,
            breaker::State::Open | breaker::State::HalfOpen => breaker.due(),
        }
    }

    /// What time alone changes happens.
    pub(super) fn advance(&mut self, now: Duration) {
        if let Some(breaker) = &mut self.breaker {
            breaker.advance(now);
        }
    }

    /// Whether the breaker has opened or closed, as one says why and for how long.
    pub(super) fn news(&mut self) -> Option<Option<(String, Option<Duration>)>> {
        let breaker = self.breaker.as_mut()?;
        while let Some(transition) = breaker.next_transition() {
            match transition.to {
                breaker::State::Open => {
                    let last = transition.last.map(|last| format!(", the last: {last}"));
                    let why = format!("{}{}", transition.cause, last.unwrap_or_default());
                    return Some(Some((why, transition.wait)));
                }
                breaker::State::Closed => return Some(None),
                breaker::State::HalfOpen => {}
            }
        }
        None
    }

    /// What calls that are under way leave no room in.
    fn busy(&self, now: Duration) -> Option<ProviderLimit> {
        if let Some(calls) = self.most.filter(|most| self.under_way >= *most) {
            return Some(ProviderLimit::Concurrent { calls });
        }
        if self.cooling.hold(now).is_some() {
            return Some(ProviderLimit::SlowStart);
        }
        let is_reserved = |window: &&Window| window.room(now) == Room::Unknown;
        self.windows.iter().find(is_reserved).map(rate)
    }

    pub(super) fn pass(&mut self, now: Duration) -> Pass {
        self.under_way += 1;
        self.windows.iter_mut().for_each(Window::reserve);
        Pass {
            generation: self.cooling.begin(),
            is_sent: false,
            ticket: self.breaker.as_mut().and_then(|it| it.acquire(now).ok()),
        }
    }

    pub(super) fn sent(&mut self, now: Duration, pass: &mut Pass) {
        if !std::mem::replace(&mut pass.is_sent, true) {
            self.windows.iter_mut().for_each(|window| window.sent(now));
        }
    }

    /// What became of a call that was sent.
    pub(super) fn heard(&mut self, now: Duration, pass: &mut Pass, outcome: Outcome) {
        if let Some((breaker, ticket)) = self.breaker.as_mut().zip(pass.ticket.take()) {
            breaker.settle(now, ticket, health(&outcome));
        }
        match outcome {
            Outcome::Answered => self.cooling.answered(now, pass.generation),
            Outcome::Refused(asked) => {
                self.cooling
                    .refused(now, pass.generation, asked, self.under_way);
            }
            Outcome::Ill(..) | Outcome::Failed => {}
        }
    }

    /// A call is over. One that was never sent leaves nothing behind.
    pub(super) fn end(&mut self, now: Duration, pass: Pass) {
        if let Some((breaker, ticket)) = self.breaker.as_mut().zip(pass.ticket) {
            breaker.abandon(now, ticket);
        }
        self.under_way = self.under_way.saturating_sub(1);
        self.cooling.end(pass.generation);
        if !pass.is_sent {
            self.windows.iter_mut().for_each(Window::refund);
        }
    }
}

fn health(outcome: &Outcome) -> breaker::Outcome {
    match outcome {
        Outcome::Answered | Outcome::Failed => breaker::Outcome::Success,
        Outcome::Refused(_) => breaker::Outcome::Ignore,
        Outcome::Ill(what, asked) => {
            let failure = breaker::Failure::new(what);
            breaker::Outcome::Failure(match asked {
                Some(asked) => failure.retry_after(*asked),
                None => failure,
            })
        }
    }
}

fn rate(window: &Window) -> ProviderLimit {
    let rate = window.rate.to_string();
    ProviderLimit::Rate { rate }
}
