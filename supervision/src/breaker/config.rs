//! When a breaker opens, for how long, and what closes it: every limit, its default and its check.

use std::fmt::Debug;
use std::time::Duration;

use super::transition::Cause;
use super::window::Tally;
use crate::backoff::Backoff;
use crate::spec::SpecError;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a permit that is dropped without a word counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Abandoned {
    /// Nothing: the caller was cancelled, which says nothing about the one who was called.
    #[default]
    Ignored,
    /// A failure.
    Failed,
}

/// When calls that succeed are too slow all the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// A call that takes longer is slow.
    pub after: Duration,
    /// This part of the calls in the window, more than 0 and at most 1, opens the breaker.
    pub rate: f64,
}

/// Every limit of a breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// So many failures in the window open it; none for no such rule.
    pub failures: Option<u32>,
    /// This part of the calls in the window, more than 0 and at most 1, opens it; none for no such rule.
    pub failure_rate: Option<f64>,
    /// When calls count as slow, and how many of them open it; none for no such rule.
    pub slow: Option<Slow>,
    /// The length of the window.
    pub within: Duration,
    /// With fewer calls in the window the two rates say nothing.
    pub minimum_calls: u32,
    /// How long it stays open: doubled with each opening in a row, back to `base` after it was closed for `reset_after`.
    pub backoff: Backoff,
    /// A `Retry-After` beyond this is cut to it.
    pub max_retry_after: Duration,
    /// So many probes may be out at once while it is half-open.
    pub probes: u32,
    /// So many successful probes close it.
    pub successes: u32,
    /// A probe that is still out after this time has failed.
    pub probe_deadline: Duration,
    /// What a permit counts as that is dropped without a word.
    pub abandoned: Abandoned,
    /// The seed of the jitter and of injected refusals: same seed, same waits.
    pub seed: u64,
}

impl Default for Config {
    /// Opens after 5 failures, or at half of at least 10 calls failed, within a minute; waits half a minute and up to five, jittered;
    /// one probe at a time, for at most two minutes, one success closes.
    fn default() -> Self {
        Self {
            failures: Some(5),
            failure_rate: Some(0.5),
            slow: None,
            within: 60 * SECOND,
            minimum_calls: 10,
            backoff: Backoff::new(30 * SECOND, 300 * SECOND),
            max_retry_after: 600 * SECOND,
            probes: 1,
            successes: 1,
            probe_deadline: 120 * SECOND,
            abandoned: Abandoned::default(),
            seed: 0,
        }
    }
}

impl Config {
    /// Checks every limit.
    ///
    /// # Errors
    /// The first offence: its field, its value and what is expected there.
    pub fn check(&self) -> Result<(), SpecError> {
        count("failures", self.failures.unwrap_or(1), 1_000_000)?;
        rate("failure_rate", self.failure_rate.unwrap_or(1.0))?;
        if let Some(slow) = self.slow {
            span("slow.after", slow.after, Duration::from_millis(1))?;
            rate("slow.rate", slow.rate)?;
        }
        span("within", self.within, Duration::from_millis(1))?;
        count("minimum_calls", self.minimum_calls, 1_000_000)?;
        self.backoff.check()?;
        span("backoff.cap", self.backoff.cap, Duration::ZERO)?;
        span("max_retry_after", self.max_retry_after, Duration::ZERO)?;
        count("probes", self.probes, 1_000)?;
        count("successes", self.successes, 1_000_000)?;
        span(
            "probe_deadline",
            self.probe_deadline,
            Duration::from_millis(1),
        )
    }

    /// Whether the calls in the window open the breaker.
    pub(super) fn judge(&self, window: Tally) -> Option<Cause> {
        let Tally {
            calls,
            failures,
            slow,
        } = window;
        let many = |limit| failures >= u64::from(limit);
        if self.failures.is_some_and(many) {
            return Some(Cause::Failures(failures));
        }
        if calls < u64::from(self.minimum_calls) {
            return None;
        }
        if reached(window.failure_rate(), self.failure_rate) {
            return Some(Cause::FailureRate { failures, calls });
        }
        reached(window.slow_rate(), self.slow.map(|slow| slow.rate))
            .then_some(Cause::SlowRate { slow, calls })
    }

    /// What of a server's wish is granted.
    pub(super) fn grant(&self, retry_after: Option<Duration>) -> Duration {
        retry_after.unwrap_or_default().min(self.max_retry_after)
    }

    /// Whether a call that took so long is a slow one.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        self.slow.is_some_and(|slow| took > slow.after)
    }
}

fn reached(part: Option<f64>, limit: Option<f64>) -> bool {
    part.zip(limit).is_some_and(|(part, limit)| part >= limit)
}

/// A checked rate; no number at all (NaN) is refused too.
pub(super) fn rate(field: &'static str, value: f64) -> Result<(), SpecError> {
    let fits = value > 0.0 && value <= 1.0;
    expect(fits, field, &value, || "more than 0 and at most 1".into())
}

fn count(field: &'static str, value: u32, max: u32) -> Result<(), SpecError> {
    let fits = (1..=max).contains(&value);
    expect(fits, field, &value, || format!("from 1 to {max}"))
}

fn span(field: &'static str, value: Duration, min: Duration) -> Result<(), SpecError> {
    let fits = (min..=DAY).contains(&value);
    expect(fits, field, &value, || format!("from {min:?} to {DAY:?}"))
}

fn expect(
    fits: bool,
    field: &'static str,
    value: &dyn Debug,
    expected: impl FnOnce() -> String,
) -> Result<(), SpecError> {
    if fits {
        return Ok(());
    }
    Err(SpecError::Invalid {
        field,
        value: format!("{value:?}"),
        expected: expected(),
    })
}
