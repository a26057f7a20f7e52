//! The words of a breaker: what callers say, which states there are, and why one follows another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// So many transitions wait for a listener; beyond that the oldest are lost, which their numbers show.
pub const TRANSITIONS_KEPT: usize = 1_024;

/// Longer reasons are cut.
const REASON: usize = 200;

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// A few probes.
    HalfOpen,
}

/// A call that failed, in the caller's opinion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// For how long the one who was called wants to be left alone.
    pub retry_after: Option<Duration>,
    /// What happened, in a few words.
    pub reason: Option<Arc<str>>,
}

impl Failure {
    /// A failure and what happened, in a few words; more than 200 characters are cut.
    #[must_use]
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self {
            retry_after: None,
            reason: Some(cut(reason.as_ref())),
        }
    }

    /// The same with the wish to be left alone for so long.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// What the caller says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It worked, or failed in a way that says nothing against the one who was called.
    Success,
    /// It failed in a way that does.
    Failure(Failure),
    /// It says nothing either way.
    Ignore,
}

/// Why a breaker is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Nothing has happened yet.
    New,
    /// So many failures in the window.
    Failures(u64),
    /// Too many of the calls in the window failed.
    FailureRate {
        /// So many failed
        failures: u64,
        /// of so many.
        calls: u64,
    },
    /// Too many of the calls in the window were slow.
    SlowRate {
        /// So many were slow
        slow: u64,
        /// of so many.
        calls: u64,
    },
    /// A probe failed.
    ProbeFailed,
    /// A probe succeeded, but slowly.
    ProbeSlow,
    /// A probe did not come back in time.
    ProbeOverdue,
    /// It was open for long enough.
    WaitOver,
    /// So many probes succeeded.
    Probes(u32),
    /// Somebody opened or closed it by hand, for this reason.
    Manual(Arc<str>),
    /// Somebody left it to itself again.
    Automatic,
    /// A call was refused because faults are being injected.
    Injected,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The breaker's name.
    pub breaker: Arc<str>,
    /// Counted from 1 without gaps.
    pub number: u64,
    /// The time since the breaker was made.
    pub at: Duration,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// How long it will be open; none when it is not, or for as long as somebody wants.
    pub wait: Option<Duration>,
    /// What the newest failure was.
    pub last: Option<Arc<str>>,
}

impl Cause {
    /// Whether the newest failure has to do with it.
    pub(super) fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Failures(_) | Self::FailureRate { .. } | Self::ProbeFailed
        )
    }
}

impl Transition {
    pub(super) fn log(&self) {
        let Self {
            breaker, number, ..
        } = self;
        if self.to == State::Open {
            tracing::warn!(%breaker, number, "circuit breaker {self}");
        } else {
            tracing::info!(%breaker, number, "circuit breaker {self}");
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Failures(1) => f.write_str("a failure"),
            Self::Failures(count) => write!(f, "{count} failures"),
            Self::FailureRate { failures, calls } => {
                write!(f, "{failures} of {calls} calls failed")
            }
            Self::SlowRate { slow, calls } => write!(f, "{slow} of {calls} calls were slow"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::ProbeSlow => f.write_str("a probe was slow"),
            Self::ProbeOverdue => f.write_str("a probe did not come back in time"),
            Self::WaitOver => f.write_str("its wait is over"),
            Self::Probes(1) => f.write_str("a probe succeeded"),
            Self::Probes(count) => write!(f, "{count} probes succeeded"),
            Self::Manual(reason) => write!(f, "by hand: {reason}"),
            Self::Automatic => f.write_str("no longer held by hand"),
            Self::Injected => f.write_str("an injected fault"),
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}: {}", self.from, self.to, self.cause)?;
        if let Some(last) = self.last.as_ref().filter(|_| self.cause.is_failure()) {
            write!(f, ", the last: {last}")?;
        }
        self.wait
            .map_or(Ok(()), |wait| write!(f, ", for {:?}", rounded(wait)))
    }
}

/// A reason of bearable length.
pub(super) fn cut(reason: &str) -> Arc<str> {
    let end = reason.char_indices().nth(REASON).map(|(end, _)| end);
    reason[..end.unwrap_or(reason.len())].into()
}

/// A time as people read it: seconds, or milliseconds when it is short; never less than it is, or a wait would look over.
pub(super) fn rounded(time: Duration) -> Duration {
    let unit = if time >= Duration::from_secs(10) {
        1_000_000_000
    } else {
        1_000_000
    };
    let units = time.as_nanos().div_ceil(unit);
    let nanoseconds = units.saturating_mul(unit);
    u64::try_from(nanoseconds).map_or(time, Duration::from_nanos)
}
