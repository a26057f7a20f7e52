//! `[workflows.NAME]`, `[mcp_servers.NAME]`, `[[hooks]]` and `[webhooks.NAME]`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::required;
use crate::config::catalog::events_schema;
use crate::config::choice::choices;
use crate::config::read::table;

/// Versioned instructions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct WorkflowConfig {
    /// The Markdown file, relative to this one.
    pub file: String,
}

table!(WorkflowConfig { file; });

/// An external MCP server: a program that is started, or an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct McpServerConfig {
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables it is given beside those of the node; for values that are not secret.
    pub env: BTreeMap<String, String>,
    /// The address, with `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

table!(McpServerConfig { ; command, args, env, url });

/// What is done before or after a tool call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct HookConfig {
    /// Before calls of tools whose names fit this glob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// After calls of tools whose names fit this glob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only for calls of these agents; of all when left out.
    pub agents: Vec<String>,
    /// What is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide: Option<HookDecision>,
    /// Why, for the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Instead of `decide`: the program that decides, with its arguments.
    pub command: Vec<String>,
}

table!(HookConfig { ; before, after, agents, decide, reason, command });

choices! {
    /// What a hook decides.
    #[serde(rename_all = "snake_case")]
    pub enum HookDecision {
        /// The call is made.
        Allow,
        /// The call is refused.
        #[default]
        Deny,
        /// A human is asked.
        Ask,
    }
}

/// Where events are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct WebhookConfig {
    /// The address, with `http://` or `https://`.
    pub url: String,
    /// The types of the events; all when left out.
    #[schemars(schema_with = "events_schema")]
    pub events: Vec<String>,
    /// The environment variable that holds the key the deliveries are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
}

table!(WebhookConfig { url; events, secret_env });
