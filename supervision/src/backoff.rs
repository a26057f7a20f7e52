//! How long a failed child waits before it is started again. Pure.
//!
//! Exponential with a cap and full jitter, as Akka's `restartWithBackoff` and the "Exponential Backoff And Jitter" article of AWS
//! describe them; OTP has none (otp#1287 and eep#28 were closed unmerged), so it is off unless asked for.

use std::time::Duration;

use crate::spec::SpecError;

/// Whether the wait is spread out at random.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// Uniform between nothing and the whole wait.
    #[default]
    Full,
    /// The whole wait, always.
    None,
}

/// A growing wait between a failure and the restart it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The wait after the first failure; doubled after each further one.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
    /// Whether the wait is spread out.
    pub jitter: Jitter,
    /// A child that has been up for so long starts at `base` again.
    pub reset_after: Duration,
}

impl Backoff {
    /// A wait from `base` up to `cap` with full jitter, reset after the child was up for `cap`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            jitter: Jitter::default(),
            reset_after: cap,
        }
    }

    /// The same with or without jitter.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same with another time after which a child counts as stable.
    #[must_use]
    pub fn reset_after(mut self, stable: Duration) -> Self {
        self.reset_after = stable;
        self
    }

    /// The wait before the restart that follows the `failures`-th failure in a row (from 1).
    pub(crate) fn wait(&self, failures: u32, random: &mut fastrand::Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.base.saturating_mul(1 << doublings).min(self.cap);
        match self.jitter {
            Jitter::None => whole,
            Jitter::Full => whole.mul_f64(random.f64()),
        }
    }

    /// Checks the numbers against each other.
    ///
    /// # Errors
    /// A zero base, or a cap below it.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.base.is_zero() {
            return Err(SpecError::zero("backoff.base"));
        }
        if self.cap < self.base {
            let (value, expected) = (
                format!("{:?}", self.cap),
                format!("at least the base, {:?}", self.base),
            );
            return Err(SpecError::Invalid {
                field: "backoff.cap",
                value,
                expected,
            });
        }
        Ok(())
    }
}
