//! `[agents.NAME]`

use std::collections::BTreeMap;

use actors::model::agent::RestartType;
use actors::model::{EffectClass, InDoubtPolicy, Recovery};
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
    /// What one of its runs, with all it delegates, may use up; no limit when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What a crash may do to the effect of a tool, where it differs from what the tool says itself.
    #[schemars(schema_with = "effects_schema")]
    pub effects: BTreeMap<String, EffectClass>,
    /// What happens when nobody knows whether a tool call took effect: the model is told (`tell_model`), a human is asked (`ask`),
    /// the call is made again (`retry`) or undone (`compensate`).
    #[schemars(schema_with = "choice::schema::<InDoubtPolicy>")]
    pub in_doubt: InDoubtPolicy,
    /// `temperature`, `max_tokens` and whatever else the provider takes.
    pub settings: Map<String, Value>,
    /// The folder a coding agent works in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

table!(AgentConfig { provider;
    model, description, instructions, instructions_file, tools, mcp, pool, timeout, tool_timeout, max_turns, recovery, restart,
    hang_after, budget, effects, in_doubt, settings, cwd
});

fn effects_schema(generator: &mut SchemaGenerator) -> Schema {
    let class = choice::schema::<EffectClass>(generator);
    json_schema!({ "type": "object", "additionalProperties": class })
}

/// What a run, with all it delegates, may use up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Budget {
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

table!(Budget { ; tokens, cost_usd });
