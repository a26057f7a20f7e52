//! `[[faults]]`

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::required;
use crate::config::choice::choices;
use crate::config::read::{Node, Read, Report, table};
use crate::config::values::{Delay, Notation, NotationError, Period, notation};
use crate::config::whole::Count;

/// A failure that is brought about on purpose: one of `at`, `every`, `chance` and `on` says when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct FaultConfig {
    /// Whom it hits.
    pub target: FaultTarget,
    /// What happens.
    pub kind: FaultKind,
    /// With `kind = "delay"`: how much later it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Period>,
    /// Once, so long after the start of the node, or at the first occasion from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Delay>,
    /// Again and again, at the first occasion each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
    /// At each opportunity with this probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub chance: Option<f64>,
    /// When an event of this type happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// With `on`: the how manieth of these events of the task; each one when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<Count>,
    /// What is drawn for this fault is drawn from this seed: another one gives other moments, and whoever else is struck.
    pub seed: u64,
}

table!(FaultConfig { target, kind; delay, at, every, chance, on, nth, seed });

choices! {
    /// What happens.
    #[serde(rename_all = "snake_case")]
    pub enum FaultKind {
        /// A panic: of an agent, a run, a provider; the node aborts.
        #[default]
        Panic,
        /// A kill: of an agent, a run, a supervisor, the node.
        Kill,
        /// An agent, a run, a provider or a call of an executor comes to no end.
        Hang,
        /// It comes later, by `delay`.
        Delay,
        /// The result of an executor's call is lost, or somebody is not told of a message.
        Drop,
        /// The result comes twice, or somebody is told twice.
        Duplicate,
        /// A provider's answer is garbage.
        Corrupt,
        /// It fails: what an agent or a run is at, a call of a provider or an executor.
        Error,
        /// The connection to a provider or an executor breaks in the middle of a call.
        Disconnect,
    }
}

/// Whom a fault hits; names may be globs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FaultTarget {
    /// The actor of an agent.
    Agent(String),
    /// The actor of a run, by its id.
    Run(String),
    /// A provider.
    Provider(String),
    /// An executor.
    Executor(String),
    /// What one agent tells another in the room.
    Link(String, String),
    /// A supervisor: `services`, `executors`, `tasks`, `agents`, `runs`.
    Supervisor(String),
    /// The node.
    #[default]
    Node,
}

impl FromStr for FaultTarget {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let owned = || match name.is_empty() {
            true => Err(NotationError(format!(
                "`{kind}:` needs a name, or `*` for all"
            ))),
            false => Ok(name.to_owned()),
        };
        Ok(match kind {
            "agent" => Self::Agent(owned()?),
            "run" => Self::Run(owned()?),
            "provider" => Self::Provider(owned()?),
            "executor" => Self::Executor(owned()?),
            "link" => link(name)?,
            "supervisor" => Self::Supervisor(owned()?),
            "node" if text == "node" => Self::Node,
            _ => {
                return Err(NotationError(
                    "there are agent, run, provider, executor, link, supervisor and node"
                        .to_owned(),
                ));
            }
        })
    }
}

fn link(name: &str) -> Result<FaultTarget, NotationError> {
    match name.split_once("->") {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => {
            Ok(FaultTarget::Link(from.to_owned(), to.to_owned()))
        }
        _ => Err(NotationError(
            "a link is written `link:FROM->TO`".to_owned(),
        )),
    }
}

impl fmt::Display for FaultTarget {
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

impl Notation for FaultTarget {
    const WHAT: &'static str = "a target such as `agent:NAME`, `run:*`, `link:FROM->TO` or `node`";
    const EXAMPLES: &'static [&'static str] = &[
        "node",
        "agent:*",
        "provider:*",
        "run:*",
        "executor:*",
        "link:*->*",
        "supervisor:tasks",
    ];
}

notation!(FaultTarget);
