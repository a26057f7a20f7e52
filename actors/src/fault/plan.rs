//! What may be brought about, where and when: data.

use std::fmt;
use std::time::Duration;

use humantime::format_duration;

/// The most faults of a plan.
pub const MOST_FAULTS: usize = 100;

/// The longest delay on purpose.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60 * 60);

/// The supervisors that can be named.
pub const SUPERVISORS: &[&str] = &["services", "executors", "tasks", "agents", "runs"];

/// Faults in the order of their file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan(pub Vec<Fault>);

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Whom it strikes.
    pub target: Target,
    /// What happens.
    pub kind: Kind,
    /// When.
    pub when: When,
    /// The seed of whatever is drawn for it.
    pub seed: u64,
}

/// Whom a fault strikes; `*` in a name stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The actor of an agent, by the agent's name.
    Agent(String),
    /// The actor of a run, by the run's id.
    Run(String),
    /// A provider, by its name.
    Provider(String),
    /// An executor, by its name.
    Executor(String),
    /// What one agent tells another in the room, by their names.
    Link(String, String),
    /// A supervisor, by its name.
    Supervisor(String),
    /// The whole process.
    Node,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A panic; the node aborts.
    Panic,
    /// A kill.
    Kill,
    /// Nothing comes any more.
    Hang,
    /// What was to come comes so much later.
    Delay(Duration),
    /// It is lost on its way.
    Drop,
    /// It comes twice.
    Duplicate,
    /// What comes is garbage.
    Corrupt,
    /// It fails.
    Error,
    /// The connection breaks in the middle.
    Disconnect,
}

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// Once: so long after the start, or at the first occasion from then on.
    At(Duration),
    /// Again and again, at least so long apart.
    Every(Duration),
    /// At each occasion with this probability.
    Chance(f64),
    /// After an event of this type: each, or only the n-th of its task.
    On {
        /// The type.
        event: String,
        /// The how manieth, from 1.
        nth: Option<u64>,
    },
}

/// Why a plan cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Too many.
    #[error("{0} faults; {MOST_FAULTS} are the most")]
    TooMany(usize),
    /// This cannot happen there.
    #[error("`{kind}` cannot happen to `{target}`, which knows {known}")]
    Kind {
        /// The kind.
        kind: Kind,
        /// The target.
        target: Target,
        /// What can.
        known: String,
    },
    /// Nobody said how the process is ended.
    #[error(
        "a fault is to end the node, and the system was not given a way to: see `Deps::end_node`"
    )]
    NoNode,
    /// A number makes no sense.
    #[error("{what} of the fault at `{target}` must be {expected}")]
    Value {
        /// Which.
        what: &'static str,
        /// The target.
        target: Target,
        /// What it should be.
        expected: &'static str,
    },
}

impl FaultPlan {
    /// Checks every fault.
    ///
    /// # Errors
    /// The first that cannot be played.
    pub fn check(&self) -> Result<(), PlanError> {
        match self.0.len() {
            n if n > MOST_FAULTS => Err(PlanError::TooMany(n)),
            _ => self.0.iter().try_for_each(Fault::check),
        }
    }
}

impl Fault {
    fn check(&self) -> Result<(), PlanError> {
        let target = || self.target.clone();
        if !self.target.kinds().contains(&self.kind.word()) {
            return Err(PlanError::Kind {
                kind: self.kind,
                target: target(),
                known: self.target.kinds().join(", "),
            });
        }
        let value = |what, expected| {
            let target = target();
            Err(PlanError::Value {
                what,
                target,
                expected,
            })
        };
        match (&self.when, self.kind) {
            (_, Kind::Delay(time)) if time.is_zero() || time > LONGEST_DELAY => {
                value("the delay", "more than nothing and at most an hour")
            }
            (When::Every(time), _) if time.is_zero() => value("the time", "more than nothing"),
            (When::Chance(chance), _) if !(0.0..=1.0).contains(chance) => {
                value("the chance", "from 0 to 1")
            }
            (When::On { nth: Some(0), .. }, _) => value("`nth`", "from 1 on"),
            _ => Ok(()),
        }
    }

    /// Whether it strikes from outside, at a moment, and not where its target passes.
    pub(super) fn is_active(&self) -> bool {
        match &self.target {
            Target::Node | Target::Supervisor(_) => true,
            Target::Agent(_) | Target::Run(_) => {
                self.kind == Kind::Kill && !matches!(self.when, When::Chance(_))
            }
            _ => false,
        }
    }
}

impl Target {
    /// The kinds of faults that make sense there.
    #[must_use]
    pub fn kinds(&self) -> &'static [&'static str] {
        match self {
            Self::Agent(_) | Self::Run(_) => &["panic", "kill", "hang", "delay", "error"],
            Self::Provider(_) => &["panic", "hang", "delay", "corrupt", "error", "disconnect"],
            Self::Executor(_) => &["hang", "delay", "drop", "duplicate", "error", "disconnect"],
            Self::Link(..) => &["delay", "drop", "duplicate"],
            Self::Supervisor(_) => &["kill"],
            Self::Node => &["kill", "panic"],
        }
    }
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Kill => "kill",
            Self::Hang => "hang",
            Self::Delay(_) => "delay",
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Error => "error",
            Self::Disconnect => "disconnect",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "delay {}", format_duration(*time)),
            kind => f.write_str(kind.word()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Run(name) => write!(f, "run:{name}"),
            Self::Provider(name) => write!(f, "provider:{name}"),
            Self::Executor(name) => write!(f, "executor:{name}"),
            Self::Link(from, to) => write!(f, "link:{from}->{to}"),
            Self::Supervisor(name) => write!(f, "supervisor:{name}"),
            Self::Node => f.write_str("node"),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(f, "at {}", format_duration(*time)),
            Self::Every(time) => write!(f, "every {}", format_duration(*time)),
            Self::Chance(chance) => write!(f, "chance {chance}"),
            Self::On { event, nth: None } => write!(f, "on {event}"),
            Self::On {
                event,
                nth: Some(n),
            } => write!(f, "on {event} {n}"),
        }
    }
}
