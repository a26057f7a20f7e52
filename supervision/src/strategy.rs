//! What a supervisor does about its children as a set.

use std::str::FromStr;
use std::time::Duration;

use crate::spec::{SpecError, unknown_word};

/// Whom the end of one child concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The child alone.
    #[default]
    OneForOne,
    /// All children: they are stopped in reverse order and started in order.
    OneForAll,
    /// The child and those started after it.
    RestForOne,
}

impl FromStr for Strategy {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        match word {
            "one_for_one" => Ok(Self::OneForOne),
            "one_for_all" => Ok(Self::OneForAll),
            "rest_for_one" => Ok(Self::RestForOne),
            _ => Err(unknown_word(
                "strategy",
                word,
                "one_for_one, one_for_all or rest_for_one",
            )),
        }
    }
}

/// Whether the end of significant children ends the supervisor (OTP 24's `auto_shutdown`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// Never; no child may be significant.
    #[default]
    Never,
    /// When one significant child has ended by itself.
    AnySignificant,
    /// When the last active significant child has ended by itself.
    AllSignificant,
}

impl AutoShutdown {
    /// Whether the end of a significant child ends the supervisor, given whether it was the last active one.
    pub(crate) fn applies(self, is_last: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Never => false,
            Self::AnySignificant => true,
            Self::AllSignificant => is_last(),
        }
    }
}

impl FromStr for AutoShutdown {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        match word {
            "never" => Ok(Self::Never),
            "any_significant" => Ok(Self::AnySignificant),
            "all_significant" => Ok(Self::AllSignificant),
            _ => Err(unknown_word(
                "auto_shutdown",
                word,
                "never, any_significant or all_significant",
            )),
        }
    }
}

/// How many restarts are forgiven within which time. The window slides, on monotonic time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Intensity {
    /// Restarts within [`Intensity::within`] that are forgiven; one more and the supervisor gives up. A million or more is no
    /// limit at all.
    pub restarts: u32,
    /// The period. Waits of the backoff do not count towards it.
    pub within: Duration,
}

impl Default for Intensity {
    /// OTP's: 1 in 5 seconds.
    fn default() -> Self {
        Self {
            restarts: 1,
            within: Duration::from_secs(5),
        }
    }
}

impl Intensity {
    /// This many restarts within this time.
    #[must_use]
    pub fn new(restarts: u32, within: Duration) -> Self {
        Self { restarts, within }
    }

    /// Checks the period.
    ///
    /// # Errors
    /// When it is zero.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.within.is_zero() {
            return Err(SpecError::zero("period"));
        }
        Ok(())
    }
}

/// What is said about a supervisor as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// Whom a restart concerns. A dynamic supervisor is always one-for-one.
    pub strategy: Strategy,
    /// Its restart intensity.
    pub intensity: Intensity,
    /// Whether significant children end it.
    pub auto_shutdown: AutoShutdown,
    /// Children a supervisor will hold at most; 100 000 unless said otherwise.
    pub max_children: usize,
    /// The seed of its jitter.
    pub seed: u64,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            auto_shutdown: AutoShutdown::default(),
            max_children: 100_000,
            seed: 0,
        }
    }
}

impl Flags {
    /// Flags with a strategy and OTP's defaults.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            ..Self::default()
        }
    }

    /// The same with another restart intensity.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, within: Duration) -> Self {
        self.intensity = Intensity { restarts, within };
        self
    }

    /// The same with another auto-shutdown.
    #[must_use]
    pub fn auto_shutdown(mut self, mode: AutoShutdown) -> Self {
        self.auto_shutdown = mode;
        self
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// A zero period, or room for no child.
    pub fn check(&self) -> Result<(), SpecError> {
        self.intensity.check()?;
        if self.max_children == 0 {
            return Err(SpecError::Invalid {
                field: "max_children",
                value: "0".into(),
                expected: "at least 1".into(),
            });
        }
        Ok(())
    }
}
