//! `[agents.NAME]`

use std::collections::BTreeMap;

use actors::model::agent::RestartType;
use actors::model::agent::WhenBusy;
use actors::model::{EffectClass, InDoubtPolicy, OnExceeded, Recovery};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::required;
use crate::config::catalog::tools_schema;
use crate::config::choice;
use crate::config::read::table;
use crate::config::values::Period;
use crate::config::whole::Count;

/// A persona.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct AgentConfig {
    /// The name of the provider it thinks with.
    pub provider: String,
    /// The model; its provider's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// One line for the other agents.
    pub description: String,
    /// The system prompt.
    pub instructions: String,
    /// A file that holds the system prompt, relative to this one; read once, when this file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions_file: Option<String>,
    /// The tools it may call.
    #[schemars(schema_with = "tools_schema")]
    pub tools: Vec<String>,
    /// The MCP servers whose tools it may call.
    pub mcp: Vec<String>,
    /// The pool its model calls take their permits from.
    pub pool: String,
    /// Limit for one model call; its provider's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// Limit for one tool call.
    pub tool_timeout: Period,
    /// How many turns (model calls with the tool calls they ask for) one of its runs may take.
    pub max_turns: Count,
    /// How its interrupted runs go on: `resume` where the journal ends, or with a `clean_slate` from the brief.
    #[schemars(schema_with = "choice::schema::<Recovery>")]
    pub recovery: Recovery,
    /// When its actor is restarted: always (`permanent`), after a failure (`transient`) or never (`temporary`).
    #[schemars(schema_with = "choice::schema::<RestartType>")]
    pub restart: RestartType,
    /// It and its runs are taken for hung when they are at work and make no progress for this long; never when left out. Tokens and
    /// the ends of tool calls are progress; who waits is not at work, and tools of an executor have `tool_timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_after: Option<Period>,
    /// What one of its runs, with all it delegates, may use up; no limit of its own when left out. The task's stands in `[limits]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What happens to a run of it whose next model call no budget allows, or that goes round in circles: it fails (`fail`), or a
    /// human is asked (`ask`). When left out, the run that a task begins with asks, and a delegated one fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "choice::schema::<OnExceeded>")]
    pub on_exceeded: Option<OnExceeded>,
    /// How long one of its runs may take before it is cancelled; only the task's `wall_time` when left out. Time in which the task
    /// waits for a human does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_timeout: Option<Period>,
    /// What a crash may do to the effect of a tool, where it differs from what the tool says itself.
    #[schemars(schema_with = "effects_schema")]
    pub effects: BTreeMap<String, EffectClass>,
    /// What happens when nobody knows whether a tool call took effect: the model is told (`tell_model`), a human is asked (`ask`),
    /// the call is made again (`retry`) or undone (`compensate`).
    #[schemars(schema_with = "choice::schema::<InDoubtPolicy>")]
    pub in_doubt: InDoubtPolicy,
    /// What becomes of a message for it alone while it is at work: it is read at the next turn (`queue`), refused (`reject`), or the
    /// model call under way is dropped and made again with it (`interrupt`).
    #[schemars(schema_with = "choice::schema::<WhenBusy>")]
    pub when_busy: WhenBusy,
    /// `temperature`, `max_tokens` and whatever else the provider takes.
    pub settings: Map<String, Value>,
    /// The folder a coding agent works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

table!(AgentConfig { provider;
    model, description, instructions, instructions_file, tools, mcp, pool, timeout, tool_timeout, max_turns, recovery, restart,
    hang_after, budget, on_exceeded, run_timeout, effects, in_doubt, when_busy, settings, cwd
});

fn effects_schema(generator: &mut SchemaGenerator) -> Schema {
    let class = choice::schema::<EffectClass>(generator);
    json_schema!({ "type": "object", "additionalProperties": class })
}

/// What may be used up, wasted tokens included. Before a model call what it may use is set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Budget {
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars, as far as a provider says what a call costs, or its `price` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Answers of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
}

table!(Budget { ; tokens, cost_usd, turns });
