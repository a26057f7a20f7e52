//! What is said about one child: all words, all defaults and all checks in one place.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::health::HangLimits;
use crate::strategy::{AutoShutdown, Flags, Intensity};

/// A child's name among its siblings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: AsRef<str>> From<S> for ChildId {
    fn from(name: S) -> Self {
        Self(name.as_ref().into())
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// When it failed or was killed.
    Transient,
    /// Never; its spec goes with it.
    Temporary,
}

impl FromStr for Restart {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        match word {
            "permanent" => Ok(Self::Permanent),
            "transient" => Ok(Self::Transient),
            "temporary" => Ok(Self::Temporary),
            _ => Err(unknown_word(
                "restart",
                word,
                "permanent, transient or temporary",
            )),
        }
    }
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Killed at once, without clean-up.
    Kill,
    /// Asked, and killed if it is not gone after this time.
    After(Duration),
    /// Asked, and waited for.
    Infinity,
}

impl FromStr for Shutdown {
    type Err = SpecError;

    /// Reads `kill`, `infinity`, or milliseconds.
    fn from_str(word: &str) -> Result<Self, SpecError> {
        match word {
            "kill" => Ok(Self::Kill),
            "infinity" => Ok(Self::Infinity),
            _ => word
                .parse()
                .map(|ms| Self::After(Duration::from_millis(ms)))
                .map_err(|_| {
                    unknown_word("shutdown", word, "kill, infinity or milliseconds from 0")
                }),
        }
    }
}

/// What a child is; supervisors get unlimited time to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Does the work.
    #[default]
    Worker,
    /// Has children of its own.
    Supervisor,
}

impl FromStr for Kind {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        match word {
            "worker" => Ok(Self::Worker),
            "supervisor" => Ok(Self::Supervisor),
            _ => Err(unknown_word("kind", word, "worker or supervisor")),
        }
    }
}

/// Everything a supervisor must know of a child but how to start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name among its siblings.
    pub id: ChildId,
    /// When it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its own end may end the supervisor.
    pub significant: bool,
    /// What it is.
    pub kind: Kind,
    /// Waits before it is started again; none for OTP's behaviour, at once.
    pub backoff: Option<Backoff>,
    /// Restarts that are forgiven to this child alone; only what exceeds them is charged to the supervisor's intensity. None for
    /// OTP's behaviour: all are.
    pub budget: Option<Intensity>,
    /// How long a start may take before it is killed and counts as failed; none for OTP's behaviour, as long as it takes.
    pub start_within: Option<Duration>,
    /// When it counts as hung; none for OTP's behaviour, never.
    pub hang: Option<Arc<HangLimits>>,
    /// What it depends on, by name: while one of these is unavailable it is not started again, and the wait is not charged.
    pub needs: Vec<Arc<str>>,
}

impl Plan {
    /// OTP's defaults: permanent, not significant, five seconds to stop for a worker and no limit for a supervisor.
    #[must_use]
    pub fn new(id: impl Into<ChildId>, kind: Kind) -> Self {
        let shutdown = match kind {
            Kind::Worker => Shutdown::After(Duration::from_secs(5)),
            Kind::Supervisor => Shutdown::Infinity,
        };
        Self {
            id: id.into(),
            restart: Restart::default(),
            shutdown,
            significant: false,
            kind,
            backoff: None,
            budget: None,
            start_within: None,
            hang: None,
            needs: Vec::new(),
        }
    }

    /// Checks one child against its supervisor's flags.
    ///
    /// # Errors
    /// Names the offending field and value.
    pub fn check(&self, flags: &Flags) -> Result<(), SpecError> {
        if self.id.as_str().is_empty() {
            return Err(SpecError::Invalid {
                field: "id",
                value: "\"\"".into(),
                expected: "a name".into(),
            });
        }
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecError::Significant {
                child: self.id.clone(),
                because: "it is permanent",
            });
        }
        if self.significant && flags.auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::Significant {
                child: self.id.clone(),
                because: "auto_shutdown is never",
            });
        }
        if self.hang.is_some() && self.kind == Kind::Supervisor {
            return Err(SpecError::Invalid {
                field: "hang",
                value: format!("set for `{}`", self.id),
                expected: "left out for a supervisor, which waits for nothing itself".into(),
            });
        }
        if self.start_within == Some(Duration::ZERO) {
            return Err(SpecError::zero("start_within"));
        }
        self.budget.as_ref().map_or(Ok(()), Intensity::check)?;
        self.hang.as_ref().map_or(Ok(()), |limits| limits.check())?;
        self.backoff.as_ref().map_or(Ok(()), Backoff::check)
    }
}

/// Checks a whole set of children, before any of them is started.
///
/// # Errors
/// The first offence, with its field and value.
pub fn check<'a>(
    flags: &Flags,
    plans: impl IntoIterator<Item = &'a Plan>,
) -> Result<(), SpecError> {
    flags.check()?;
    let plans = plans.into_iter();
    let mut seen = HashSet::with_capacity(plans.size_hint().0.min(flags.max_children));
    for plan in plans {
        plan.check(flags)?;
        if !seen.insert(&plan.id) {
            return Err(SpecError::Duplicate(plan.id.clone()));
        }
        if seen.len() > flags.max_children {
            return Err(SpecError::TooMany {
                max: flags.max_children,
            });
        }
    }
    Ok(())
}

/// A description that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Two children of one name.
    #[error("two children are called `{0}`: give one of them another id")]
    Duplicate(ChildId),
    /// A value a field does not take.
    #[error("{field} is {value}, but must be {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// A child cannot be significant.
    #[error("child `{child}` cannot be significant: {because}")]
    Significant {
        /// The child.
        child: ChildId,
        /// Why not.
        because: &'static str,
    },
    /// A dynamic supervisor has one template, not another number.
    #[error("a dynamic supervisor takes exactly one template, {0} were given")]
    Templates(usize),
    /// More children than the supervisor may hold.
    #[error("more than {max} children: raise max_children or start another supervisor")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

impl SpecError {
    pub(crate) fn zero(field: &'static str) -> Self {
        Self::Invalid {
            field,
            value: "0".into(),
            expected: "more than zero".into(),
        }
    }
}

pub(crate) fn unknown_word(field: &'static str, word: &str, expected: &str) -> SpecError {
    SpecError::Invalid {
        field,
        value: format!("`{word}`"),
        expected: expected.to_owned(),
    }
}
