//! Scripts as data, and the errors that name a place in one. PURE.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::provider::ProviderErrorKind;

/// How many entries a script may have.
pub const MAX_ENTRIES: usize = 10_000;
/// How long a reply may be held back.
pub const MAX_LATENCY: Duration = Duration::from_secs(3600);

/// What a scripted provider is made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedSettings {
    /// How long each call takes before its first piece; written `20ms`.
    #[serde(with = "duration_text")]
    pub latency: Duration,
    /// The agents' scripts, by agent name.
    pub scripts: BTreeMap<String, Script>,
}

/// What one agent says and does, turn by turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
}

/// One turn of a script, or one failure before a turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// What the agent says. With `fail = "disconnect"`: what had arrived before the connection broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    /// The one tool it calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The arguments of `call`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Map<String, Value>>,
    /// Several tools it calls at once, instead of `call`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ScriptedCall>,
    /// A regular expression: the entry is passed over in turns whose newest message it does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The entry is no turn but a failed model call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Failure>,
    /// What the turn costs; estimated where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ScriptedUsage>,
}

/// One of several tool calls of an entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Map<String, Value>,
}

/// How a model call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// As if too many requests had been made.
    RateLimited,
    /// As if the provider had too much to do.
    Overloaded,
    /// As if no answer had come in time.
    Timeout,
    /// As if the connection had broken.
    Disconnect,
    /// As if the request were wrong.
    BadRequest,
}

impl Failure {
    /// The kind of error the caller gets.
    #[must_use]
    pub fn kind(self) -> ProviderErrorKind {
        match self {
            Self::RateLimited => ProviderErrorKind::RateLimited,
            Self::Overloaded => ProviderErrorKind::Overloaded,
            Self::Timeout => ProviderErrorKind::Timeout,
            Self::Disconnect => ProviderErrorKind::Cut,
            Self::BadRequest => ProviderErrorKind::BadRequest,
        }
    }
}

/// Tokens of a scripted turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScriptedUsage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
}

/// One mistake in the scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The agent whose script it is in; none for a mistake outside the scripts.
    pub agent: Option<String>,
    /// The entry's place in the script, from 0; messages for people count from 1.
    pub entry: Option<usize>,
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(agent) = &self.agent {
            write!(f, "script of `{agent}`, ")?;
        }
        if let Some(entry) = self.entry {
            write!(f, "entry {}, ", entry + 1)?;
        }
        write!(f, "`{}`: {}", self.key, self.problem)
    }
}

/// Everything that is wrong with the scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptErrors(pub Vec<ScriptError>);

impl fmt::Display for ScriptErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for ScriptErrors {}

mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&humantime::format_duration(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(d)?;
        humantime::parse_duration(&text)
            .map_err(|error| D::Error::custom(format!("`{text}`: {error}")))
    }
}
