//! Faults on purpose, as data: where, when and what. Pure but for the counting of occasions.
//!
//! A [`FaultPlan`] is given to a root ([`Root::faults`](crate::Root::faults)). Each fault that strikes is
//! [reported](crate::Decision::Injected) before it does. Whether one strikes is decided from the plan's seed, the fault's place in
//! the plan, the child's path and how often the occasion has come there, so the same seed gives the same faults wherever the
//! children do the same things in the same order. Without a plan nothing is asked and nothing counted.
//!
//! | | [`Point::Start`] | [`Point::Handle`] | [`Point::Stop`] | [`Point::Deliver`] |
//! |---|---|---|---|---|
//! | [`FaultKind::Panic`] | in place of the initialiser | in place of the handler | in place of the clean-up | – |
//! | [`FaultKind::Error`] | the start fails | the handler fails | – | – |
//! | [`FaultKind::Hang`] | never comes up | the handler waits for ever | refuses to stop | – |
//! | [`FaultKind::Block`] | the thread is blocked before it | the same | the same | – |
//! | [`FaultKind::Slow`] | waits before it | the same | the same | – |
//! | [`FaultKind::Kill`] | killed while it starts | killed over the message | killed while it cleans up | – |
//! | [`FaultKind::Drop`] | – | – | – | the message vanishes, counted as a dead letter |
//! | [`FaultKind::Duplicate`] | – | – | – | the message is handled twice, one after the other |
//!
//! A worker has no messages, and a supervisor is only struck when it starts.

mod injector;
mod pattern;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) use self::injector::{Armed, Injector};
pub use self::pattern::Pattern;
use crate::spec::{SpecError, unknown_word};

/// How many faults a plan may have.
pub const MOST_FAULTS: usize = 1_000;

/// For how long a fault may block a thread: nothing can end that but time.
pub const LONGEST_BLOCK: Duration = Duration::from_secs(60);

/// Faults and the seed of their chances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan {
    /// The seed.
    pub seed: u64,
    /// The faults. Where several could strike at once, the first does.
    pub faults: Vec<Fault>,
}

impl FaultPlan {
    /// A plan without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let faults = Vec::new();
        Self { seed, faults }
    }

    /// The same with one more fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Checks every fault.
    ///
    /// # Errors
    /// The first offence, with the fault's pattern.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.faults.len() > MOST_FAULTS {
            return Err(SpecError::Invalid {
                field: "faults",
                value: format!("{} faults", self.faults.len()),
                expected: format!("at most {MOST_FAULTS}"),
            });
        }
        self.faults.iter().try_for_each(Fault::check)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Whom it strikes.
    pub target: Pattern,
    /// In which of their lives.
    pub incarnations: RangeInclusive<u64>,
    /// At which point.
    pub point: Point,
    /// On which occasions.
    pub when: When,
    /// What happens.
    pub kind: FaultKind,
    /// A seed of its own, mixed into the plan's.
    pub seed: u64,
}

impl Fault {
    /// A fault that strikes at every occasion, in every life.
    #[must_use]
    pub fn new(target: impl Into<Pattern>, point: Point, kind: FaultKind) -> Self {
        Self {
            target: target.into(),
            incarnations: 1..=u64::MAX,
            point,
            when: When::default(),
            kind,
            seed: 0,
        }
    }

    /// The same on some occasions only.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// The same with a seed of its own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same in some lives only.
    #[must_use]
    pub fn incarnations(mut self, incarnations: RangeInclusive<u64>) -> Self {
        self.incarnations = incarnations;
        self
    }

    /// Checks it.
    ///
    /// # Errors
    /// Names what is wrong, and in which fault.
    pub fn check(&self) -> Result<(), SpecError> {
        let wrong = |field, value: String, expected: String| {
            let value = format!("{value} for `{}`", self.target);
            Err(SpecError::Invalid {
                field,
                value,
                expected,
            })
        };
        if !self.target.is_valid() {
            return wrong("fault.target", "empty in a part".into(), "a path".into());
        }
        if self.incarnations.is_empty() || *self.incarnations.start() == 0 {
            let value = format!("{:?}", self.incarnations);
            return wrong("fault.incarnations", value, "a range from 1 on".into());
        }
        if let Some(points) = self.kind.elsewhere(self.point) {
            let value = format!("{} at `{}`", self.kind, self.point);
            return wrong("fault.kind", value, format!("at {points}"));
        }
        if let Some((value, expected)) = self.kind.bad_time() {
            return wrong("fault.time", value, expected);
        }
        self.when
            .offence()
            .map_or(Ok(()), |(field, value, expected)| {
                wrong(field, value, expected.into())
            })
    }
}

/// Where in a child's life a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// Before its initialiser.
    Start,
    /// Before a message is handled.
    Handle,
    /// Before it cleans up, whatever ended it.
    Stop,
    /// Between its inbox and its handler.
    Deliver,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Handle => "handle",
            Self::Stop => "stop",
            Self::Deliver => "deliver",
        })
    }
}

impl FromStr for Point {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        match word {
            "start" => Ok(Self::Start),
            "handle" => Ok(Self::Handle),
            "stop" => Ok(Self::Stop),
            "deliver" => Ok(Self::Deliver),
            _ => Err(unknown_word(
                "fault.point",
                word,
                "start, handle, stop or deliver",
            )),
        }
    }
}

/// On which of its occasions a fault strikes: on those that meet all of this. Occasions are counted for each path apart, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// On this occasion only.
    pub nth: Option<u64>,
    /// On every so-manieth occasion.
    pub every: Option<u64>,
    /// With this probability, from the plan's seed.
    pub chance: f64,
    /// Not more often than this, all paths together.
    pub at_most: Option<u64>,
    /// Not before this time since the root's start.
    pub after: Duration,
    /// Not sooner than this after it struck last.
    pub apart: Duration,
    /// Only when it was pulled, once for each pull.
    pub trigger: Option<Trigger>,
}

/// Lets a fault strike that waits for something outside the tree. Copies are the same trigger.
#[derive(Debug, Clone, Default)]
pub struct Trigger(Arc<AtomicU64>);

impl PartialEq for Trigger {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Trigger {
    /// At the next occasion that meets all else, the fault strikes.
    pub fn pull(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Uses one pull up, if there is one.
    fn take(&self) -> bool {
        let less = |pulls: u64| pulls.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

impl Default for When {
    fn default() -> Self {
        Self {
            nth: None,
            every: None,
            chance: 1.0,
            at_most: None,
            after: Duration::ZERO,
            apart: Duration::ZERO,
            trigger: None,
        }
    }
}

impl When {
    /// The field, its value, and what it should be.
    fn offence(&self) -> Option<(&'static str, String, &'static str)> {
        let zero = |field| Some((field, "0".into(), "from 1 on"));
        if !(0.0..=1.0).contains(&self.chance) {
            let value = self.chance.to_string();
            return Some(("fault.chance", value, "from 0 to 1"));
        }
        if self.nth.is_some() && self.every.is_some() {
            let value = "set beside fault.nth".into();
            return Some(("fault.every", value, "left out there"));
        }
        match (self.nth, self.every, self.at_most) {
            (Some(0), ..) => zero("fault.nth"),
            (_, Some(0), _) => zero("fault.every"),
            (.., Some(0)) => zero("fault.at_most"),
            _ => None,
        }
    }
}

/// What a fault does; the table of this [module](self) says what that means where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// A panic.
    Panic,
    /// An error.
    Error,
    /// A wait without end, which a kill ends.
    Hang,
    /// A thread that is blocked for so long, which nothing ends.
    Block(Duration),
    /// A wait.
    Slow(Duration),
    /// A kill.
    Kill,
    /// A message that vanishes.
    Drop,
    /// A message that comes twice. Only for inboxes that can copy, those of [`inbox_redelivering`](crate::inbox_redelivering): the
    /// start of a child with another one fails.
    Duplicate,
}

impl FaultKind {
    /// Reads a word of a file, with the point that it implies, if it does: `panic`, `error`, `hang`, `block`, `slow` or `delay`,
    /// `kill`, `drop`, `duplicate`, `start_failure`, `refuse_stop`. `block` and `slow` take a time.
    ///
    /// # Errors
    /// Another word, or a time that is missing or too much.
    pub fn read(word: &str, time: Option<Duration>) -> Result<(Self, Option<Point>), SpecError> {
        let missing = || SpecError::Invalid {
            field: "fault.time",
            value: format!("missing for `{word}`"),
            expected: "given".into(),
        };
        let read = match word {
            "block" => return Ok((Self::Block(time.ok_or_else(missing)?), None)),
            "slow" | "delay" => return Ok((Self::Slow(time.ok_or_else(missing)?), None)),
            "panic" => (Self::Panic, None),
            "error" => (Self::Error, None),
            "hang" => (Self::Hang, None),
            "kill" => (Self::Kill, None),
            "drop" => (Self::Drop, Some(Point::Deliver)),
            "duplicate" => (Self::Duplicate, Some(Point::Deliver)),
            "start_failure" => (Self::Error, Some(Point::Start)),
            "refuse_stop" => (Self::Hang, Some(Point::Stop)),
            _ => return Err(unknown_word("fault.kind", word, WORDS)),
        };
        match time {
            Some(time) => Err(SpecError::Invalid {
                field: "fault.time",
                value: format!("{time:?} for `{word}`"),
                expected: "left out: only block and slow take one".into(),
            }),
            None => Ok(read),
        }
    }

    /// Where it can happen, if not at this point.
    fn elsewhere(self, point: Point) -> Option<&'static str> {
        let is_delivery = point == Point::Deliver;
        match self {
            Self::Drop | Self::Duplicate => (!is_delivery).then_some("`deliver`"),
            Self::Error => (is_delivery || point == Point::Stop).then_some("`start` or `handle`"),
            _ => is_delivery.then_some("`start`, `handle` or `stop`"),
        }
    }

    /// The time it takes and what it should be, if it is wrong.
    fn bad_time(self) -> Option<(String, String)> {
        match self {
            Self::Block(time) | Self::Slow(time) if time.is_zero() => {
                Some(("0".into(), "more than zero".into()))
            }
            Self::Block(time) if time > LONGEST_BLOCK => {
                Some((format!("{time:?}"), format!("at most {LONGEST_BLOCK:?}")))
            }
            _ => None,
        }
    }
}

const WORDS: &str =
    "panic, error, hang, block, slow, kill, drop, duplicate, start_failure or refuse_stop";

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Error => f.write_str("error"),
            Self::Hang => f.write_str("hang"),
            Self::Block(time) => write!(f, "block {time:?}"),
            Self::Slow(time) => write!(f, "slow {time:?}"),
            Self::Kill => f.write_str("kill"),
            Self::Drop => f.write_str("drop"),
            Self::Duplicate => f.write_str("duplicate"),
        }
    }
}
