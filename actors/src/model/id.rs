//! Identifiers: a prefix that says what it names, and a UUIDv7 that sorts by time of creation.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}<uuid>")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// How such an id begins.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|rest| Uuid::try_parse(rest).ok())
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.to_owned(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A task: the room in which agents work.
    TaskId,
    "task_"
);
id!(
    /// A run: one unit of work of one agent, and its record.
    RunId,
    "run_"
);
id!(
    /// An executor: a worker with a file system and a shell.
    ExecutorId,
    "exec_"
);

/// Where in its run a tool call stands: the turn that asked for it and its place among that turn's calls, both from 0.
///
/// Unlike the id a model gives its calls, a step means the same call after any number of restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    /// The turn, from 0.
    pub turn: u32,
    /// The call's place in the turn's reply, from 0.
    pub index: u32,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn, self.index)
    }
}

impl FromStr for Step {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.split_once('.')
            .and_then(|(turn, index)| {
                Some(Self {
                    turn: turn.parse().ok()?,
                    index: index.parse().ok()?,
                })
            })
            .ok_or_else(|| IdError {
                text: text.to_owned(),
                prefix: "TURN.INDEX of ",
            })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The id of one tool call for ever: `run/step`. It is the idempotency key of keyed tools and the call id on an executor's link.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct CallId(pub String);

impl CallId {
    /// The id of the call at `step` of `run`.
    #[must_use]
    pub fn new(run: RunId, step: Step) -> Self {
        Self(format!("{run}/{step}"))
    }

    /// The id of that call when it is made again for the `retries`-th time, after its outcome was unknown and somebody decided so:
    /// another call for whoever keeps a record of it.
    #[must_use]
    pub fn again(run: RunId, step: Step, retries: u32) -> Self {
        match retries {
            0 => Self::new(run, step),
            more => Self(format!("{run}/{step}/{more}")),
        }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
