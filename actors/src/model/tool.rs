//! What a tool is, and what may happen to its effect in a crash.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a tool's effect allows when a crash leaves a call started and not finished.
///
/// The classes and their table are in `docs/guarantees.md`. A tool that says nothing is [`EffectClass::Once`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Has no effect: run again.
    Pure,
    /// The effect lies in our own store and is written in one commit with its record: run again, nothing had happened.
    Transactional,
    /// Takes an idempotency key: run again with the same key.
    Keyed,
    /// Can be asked whether it happened.
    Queryable,
    /// Runs on an executor, whose own ledger is asked by call id.
    Ledgered,
    /// Cannot be asked and must not be repeated: an unfinished call is in doubt.
    #[default]
    Once,
}

impl EffectClass {
    /// Whether *started* must be durable before the call is made.
    #[must_use]
    pub fn records_start(self) -> bool {
        !matches!(self, Self::Pure | Self::Transactional)
    }

    /// Whether a call that may have reached an executor must not be made by another one.
    #[must_use]
    pub fn stays_where_it_began(self) -> bool {
        self.records_start() && self != Self::Keyed
    }
}

/// Where a tool does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the node itself.
    Node,
    /// On an executor of the task's project.
    Executor,
}

/// A tool as a model sees it, with what the runtime must know of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolSpec {
    /// The name models call it by.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// What a crash may do to its effect.
    pub effect: EffectClass,
    /// Where it runs.
    pub place: Place,
}
