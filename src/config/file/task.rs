//! `[task]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::required;
use crate::config::priority::Priority;
use crate::config::read::table;

/// What is to be done when the command line names no task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct TaskConfig {
    /// What is to be done.
    pub description: String,
    /// A short name; the beginning of the description when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The team that does it. When both this and `root_agent` are left out, the file's only team, or else its only agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Instead of a team: the agent that gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_agent: Option<String>,
    /// With `root_agent`: the agents it may delegate to.
    pub available_agents: Vec<String>,
    /// The workflow it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// How urgent it is, from -10 to 10: where model calls of several tasks wait for the same, those of a higher priority go first. A
    /// call that has waited a minute counts one more.
    pub priority: Priority,
}

table!(TaskConfig { description; name, team, root_agent, available_agents, workflow, priority });
