//! When a child counts as hung, and what is done about it, step by step. Pure but for [`Pulse`].
//!
//! Progress is what a child declares ([`Pulse::beat`]), not that bytes move: a spinner is no progress. A child is only watched
//! while something is under way: a message is being handled, or an [`Activity`] is open. The limits for silence, for one handler
//! and for one activity as a whole are apart, because each of them kills healthy workers if it has to stand for the others; and
//! what is slow on purpose stands in a protected zone, which has an owner and a maximum.

mod pulse;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::pulse::{Activity, Pulse, Zone};

use crate::spec::SpecError;

/// The limits whose excess makes a child count as hung, and how long each step against it is given to work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HangLimits {
    /// Without progress while something is under way.
    pub silence: Option<Duration>,
    /// For the handling of one message.
    pub handler: Option<Duration>,
    /// For one activity from its begin to its end, whatever its progress.
    pub whole: Option<Duration>,
    /// After a nudge; zero leaves the step out.
    pub after_nudge: Duration,
    /// After what is under way was told to end; zero leaves the step out.
    pub after_cancel: Duration,
    /// After a kill; then the incarnation is declared lost and the next one is started beside whatever is left of it.
    pub after_kill: Duration,
}

impl Default for HangLimits {
    /// A minute of silence, nothing else; five seconds for each step.
    fn default() -> Self {
        let step = Duration::from_secs(5);
        Self {
            silence: Some(Duration::from_secs(60)),
            handler: None,
            whole: None,
            after_nudge: step,
            after_cancel: step,
            after_kill: step,
        }
    }
}

impl HangLimits {
    /// Limited silence, and the default steps.
    #[must_use]
    pub fn silence(limit: Duration) -> Self {
        Self {
            silence: Some(limit),
            ..Self::default()
        }
    }

    /// The same with a limit for the handling of one message.
    #[must_use]
    pub fn handler(mut self, limit: Duration) -> Self {
        self.handler = Some(limit);
        self
    }

    /// The same with a limit for one activity as a whole.
    #[must_use]
    pub fn whole(mut self, limit: Duration) -> Self {
        self.whole = Some(limit);
        self
    }

    /// The same with other times for the steps: after a nudge, after a cancel, after a kill.
    #[must_use]
    pub fn steps(mut self, nudge: Duration, cancel: Duration, kill: Duration) -> Self {
        (self.after_nudge, self.after_cancel, self.after_kill) = (nudge, cancel, kill);
        self
    }

    /// Checks that there is a limit and none is zero.
    ///
    /// # Errors
    /// Names the offending field.
    pub fn check(&self) -> Result<(), SpecError> {
        let limits = [
            ("hang.silence", self.silence),
            ("hang.handler", self.handler),
            ("hang.whole", self.whole),
            ("hang.after_kill", Some(self.after_kill)),
        ];
        if let Some((field, _)) = limits
            .iter()
            .find(|(_, limit)| *limit == Some(Duration::ZERO))
        {
            return Err(SpecError::zero(field));
        }
        if limits[..3].iter().all(|(_, limit)| limit.is_none()) {
            return Err(SpecError::Invalid {
                field: "hang",
                value: "without a limit".into(),
                expected: "a limit for silence, for a handler or for an activity as a whole".into(),
            });
        }
        Ok(())
    }

    /// The time after which a child that is well has to be looked at again, at the latest.
    pub(crate) fn shortest(&self) -> Duration {
        let limits = [self.silence, self.handler, self.whole];
        limits.into_iter().flatten().min().unwrap_or(Duration::MAX)
    }
}

/// What is seen of a child at one moment. Ages, not times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Since the last progress; none while nothing is under way.
    pub silent: Option<Duration>,
    /// Since the handler that runs was called.
    pub handling: Option<Duration>,
    /// Since the oldest open activity was begun.
    pub working: Option<Duration>,
    /// How long it is still protected.
    pub protected: Option<Duration>,
    /// What is under way, the oldest first, and who protects it.
    pub under_way: Vec<Arc<str>>,
}

/// Which limit a child has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`HangLimits::silence`].
    Silence,
    /// [`HangLimits::handler`].
    Handler,
    /// [`HangLimits::whole`].
    Whole,
}

/// Why a child counts as hung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symptom {
    /// The limit.
    pub limit: Limit,
    /// How long it is.
    pub allowed: Duration,
    /// How long it was.
    pub seen: Duration,
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.limit {
            Limit::Silence => "no progress",
            Limit::Handler => "one message was being handled",
            Limit::Whole => "one activity was under way",
        };
        write!(f, "{what} for {:?} (limit {:?})", self.seen, self.allowed)
    }
}

/// The steps against a child that hangs, each when the one before it did not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// It was asked whether it is still there.
    Nudged,
    /// What it has under way was told to end.
    Cancelled,
    /// It was killed.
    Killed,
    /// It did not end when it was killed: nobody waits for it any more.
    Lost,
}

/// What the vitals say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is well, and to be looked at again after this time.
    Well(Duration),
    /// It hangs.
    Hung(Symptom),
}

/// Judges a child by its limits.
#[must_use]
pub fn judge(limits: &HangLimits, vitals: &Vitals) -> Judgement {
    let shortest = limits.shortest();
    if let Some(left) = vitals.protected.filter(|left| !left.is_zero()) {
        return Judgement::Well(left.min(shortest));
    }
    let held = [
        (Limit::Handler, limits.handler, vitals.handling),
        (Limit::Whole, limits.whole, vitals.working),
        (Limit::Silence, limits.silence, vitals.silent),
    ];
    let held = held.into_iter().filter_map(|(limit, allowed, seen)| {
        let (allowed, seen) = (allowed?, seen?);
        Some(Symptom {
            limit,
            allowed,
            seen,
        })
    });
    let held: Vec<_> = held.collect();
    if let Some(symptom) = held.iter().find(|held| held.seen >= held.allowed) {
        return Judgement::Hung(*symptom);
    }
    let left = held
        .iter()
        .map(|held| held.allowed.saturating_sub(held.seen));
    Judgement::Well(left.min().unwrap_or(shortest).min(shortest))
}

/// The step that follows one, and how long it is given to work. None when nothing is left to try.
pub(crate) fn next_step(limits: &HangLimits, after: Option<Step>) -> Option<(Step, Duration)> {
    let steps = [
        (Step::Nudged, limits.after_nudge),
        (Step::Cancelled, limits.after_cancel),
        (Step::Killed, limits.after_kill),
        (Step::Lost, Duration::ZERO),
    ];
    let later = steps.into_iter().filter(|(step, _)| Some(*step) > after);
    later
        .into_iter()
        .find(|(step, wait)| !wait.is_zero() || *step == Step::Lost)
}

#[cfg(test)]
mod tests;
