//! An agent: a persona, and how its work is recovered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::budget::{Budget, OnExceeded, Price};
use super::tool::EffectClass;

/// An agent's name, unique in its project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentName(pub Arc<str>);

impl AgentName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AgentName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens to a run whose actor, agent or node died in the middle of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// It goes on where its journal ends.
    #[default]
    Resume,
    /// Its conversation begins again from its brief; what was already done in the outside world is told to the model.
    CleanSlate,
}

/// What happens to a tool call whose outcome is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubtPolicy {
    /// The model is told that the outcome is unknown and decides.
    #[default]
    TellModel,
    /// The run waits for a human's answer.
    Ask,
    /// The call is made again.
    Retry,
    /// The tool's compensation is run, then the model is told.
    Compensate,
}

/// What becomes of a message for an agent that is at work: said to it alone, by a person or by another agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// It is read at the next turn.
    #[default]
    Queue,
    /// It is refused, with a reason that the sender can read.
    Reject,
    /// The model call under way is dropped, and made again with the message.
    Interrupt,
}

/// When an agent's actor is restarted; OTP's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartType {
    /// Always.
    #[default]
    Permanent,
    /// After a failure or a kill.
    Transient,
    /// Never.
    Temporary,
}

/// A persona: instructions, tools, provider, model and settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSpec {
    /// One line for the other agents.
    pub description: String,
    /// The system prompt.
    pub instructions: String,
    /// The name of the provider it thinks with.
    pub provider: String,
    /// The model; empty for the provider's own default.
    pub model: String,
    /// The tools it may call.
    pub tools: Vec<String>,
    /// Effect classes that differ from what the tools say themselves.
    pub effects: BTreeMap<String, EffectClass>,
    /// What happens to its tool calls of unknown outcome.
    pub in_doubt: InDoubtPolicy,
    /// How its interrupted runs go on.
    pub recovery: Recovery,
    /// When its actor is restarted.
    pub restart: RestartType,
    /// What becomes of a message for it while it is at work.
    #[serde(skip_serializing_if = "is_queue")]
    pub when_busy: WhenBusy,
    /// The pool its model calls take their permits from.
    pub pool: String,
    /// Limit for one model call.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// Limit for one tool call.
    #[serde(with = "millis")]
    pub tool_timeout: Duration,
    /// How many turns one of its runs may take.
    pub max_turns: u32,
    /// What one of its runs, with all it delegates, may use up.
    pub budget: Budget,
    /// What happens to a run of it that a budget or the loop detector stops; left out, a root run asks and a delegated one fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exceeded: Option<OnExceeded>,
    /// How long one of its runs may take, in milliseconds; the time in which the task waits for a person does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_timeout_ms: Option<u64>,
    /// The price of its model, where its provider does not say what a call costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// For how long it and its runs may make no progress while they are at work; without a limit when left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "maybe_millis"
    )]
    pub hang_after: Option<Duration>,
    /// `temperature`, `max_tokens` and the like, handed to the provider.
    pub settings: Map<String, Value>,
}

impl Default for AgentSpec {
    fn default() -> Self {
        Self {
            description: String::new(),
            instructions: String::new(),
            provider: String::new(),
            model: String::new(),
            tools: Vec::new(),
            effects: BTreeMap::new(),
            in_doubt: InDoubtPolicy::default(),
            recovery: Recovery::default(),
            restart: RestartType::default(),
            when_busy: WhenBusy::default(),
            pool: "workers".to_owned(),
            timeout: Duration::from_secs(300),
            tool_timeout: Duration::from_secs(120),
            max_turns: 50,
            budget: Budget::default(),
            on_exceeded: None,
            run_timeout_ms: None,
            price: None,
            hang_after: None,
            settings: Map::new(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if hands over a reference"
)]
fn is_queue(when: &WhenBusy) -> bool {
    *when == WhenBusy::Queue
}

/// Durations in records: whole milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}

/// The same, where there may be none.
pub(crate) mod maybe_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::ref_option,
        reason = "serde's `with` hands over a reference to the field"
    )]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::millis::serialize(value, s),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<u64>::deserialize(d)?;
        Ok(millis.map(Duration::from_millis))
    }
}
