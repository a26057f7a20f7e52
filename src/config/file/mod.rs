//! What a file may say, section by section. The comments on the fields are the reference, and what editors show.
//!
//! A [`Config`] is plain data without places: it can be pinned in a journal as JSON and read back. What each setting is when the
//! file leaves it out is in one place, `defaults`.

mod agent;
mod fault;
mod limits;
mod node;
mod outside;
mod provider;
mod task;
mod team;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::read::{Node, Read, Report, Table, table};
use super::whole::Count;

pub use agent::{AgentConfig, Budget};
pub use fault::{FaultConfig, FaultKind, FaultTarget};
pub use limits::{ExecutorConfig, LimitsConfig, ShellConfig, TextBytes};
pub use node::{Durability, Engine, NodeConfig, StoreUrl};
pub use outside::{HookConfig, HookDecision, McpServerConfig, WebhookConfig, WorkflowConfig};
pub use provider::{
    Breaker, Failure, PriceConfig, ProviderConfig, ProviderKind, ReplyBytes, Retry, ScriptedCall,
    ScriptedReply, ScriptedUsage,
};
pub use task::TaskConfig;
pub use team::{
    Backoff, PeersConfig, PipelinePreset, TeamConfig, TeamMode, TopologyName, TopologyRule,
    TopologyRules,
};

/// A team file or a node file, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "Impresario file", deny_unknown_fields)]
pub struct Config {
    /// The node itself.
    pub node: NodeConfig,
    /// Limits on live work: a pool's name and how many model calls may hold one of its permits at a time. Agents choose theirs with
    /// `pool`. `workers` and `claude_code` are always there.
    pub pools: BTreeMap<String, Count>,
    /// What agents think with.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Personas.
    pub agents: BTreeMap<String, AgentConfig>,
    /// Agents that work together.
    pub teams: BTreeMap<String, TeamConfig>,
    /// Versioned instructions in Markdown files.
    pub workflows: BTreeMap<String, WorkflowConfig>,
    /// External MCP servers whose tools agents may use.
    pub mcp_servers: BTreeMap<String, McpServerConfig>,
    /// Limits of a task and of the runs it delegates.
    pub limits: LimitsConfig,
    /// Limits of the tools that work on files and with the shell.
    pub executor: ExecutorConfig,
    /// What is done before or after a tool call.
    pub hooks: Vec<HookConfig>,
    /// Where events are sent.
    pub webhooks: BTreeMap<String, WebhookConfig>,
    /// What is to be done when the command line names no task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskConfig>,
    /// Failures that are brought about on purpose.
    pub faults: Vec<FaultConfig>,
    /// Further files, as globs relative to this one.
    pub include: Vec<String>,
}

table!(Config { ;
    node, pools, providers, agents, teams, workflows, mcp_servers, limits, executor, hooks, webhooks, task,
    faults, include
});

/// Tells a schema which keys the reader requires; a required key has no default.
fn required<T: Table>(schema: &mut Schema) {
    if !T::REQUIRED.is_empty() {
        schema.insert("required".to_owned(), T::REQUIRED.into());
    }
    for &key in T::REQUIRED {
        if let Some(setting) = schema
            .pointer_mut(&format!("/properties/{key}"))
            .and_then(|s| s.as_object_mut())
        {
            setting.remove("default");
        }
    }
}

/// A setting that is one word of a few or, for more, a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum NameOr<N, T> {
    /// The word.
    Name(N),
    /// The table.
    Table(T),
}

impl<N: Default, T> Default for NameOr<N, T> {
    fn default() -> Self {
        Self::Name(N::default())
    }
}

impl<N: Read, T: Read> Read for NameOr<N, T> {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        match node.value.is_table() {
            true => Self::Table(T::read(node, report)),
            false => Self::Name(N::read(node, report)),
        }
    }
}
