//! `[teams.NAME]`

use actors::model::team::TeamStrategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{NameOr, required};
use crate::config::choice::{self, choices};
use crate::config::read::table;
use crate::config::values::Period;
use crate::config::whole::Count;

/// Agents that work together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct TeamConfig {
    /// The agent that gets the task.
    pub lead: String,
    /// The other agents, in the order in which they are started.
    pub members: Vec<String>,
    /// Who gets what to do.
    pub mode: TeamMode,
    /// Who sees which messages of the room.
    pub topology: NameOr<TopologyName, TopologyRules>,
    /// Whom the crash of an agent restarts: that agent (`one_for_one`), all (`one_for_all`), or that agent and those after it
    /// (`rest_for_one`).
    #[schemars(schema_with = "choice::schema::<TeamStrategy>")]
    pub strategy: TeamStrategy,
    /// How many restarts of agents are forgiven within `within`; one more and the task needs attention.
    pub max_restarts: u32,
    /// The period of `max_restarts`.
    pub within: Period,
    /// Waits before restarts; none when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// How many runs of the team may be live at a time; only the pools limit them when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_workers: Option<Count>,
    /// The stages a task goes through: a preset, or its parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<NameOr<PipelinePreset, Map<String, Value>>>,
}

table!(TeamConfig { lead;
    members, mode, topology, strategy, max_restarts, within, backoff, max_workers, pipeline
});

choices! {
    /// Who gets what to do.
    #[serde(rename_all = "snake_case")]
    pub enum TeamMode {
        /// The lead gets the task and delegates.
        #[default]
        Delegate,
        /// All get the same task.
        SameTask,
        /// All hear everything and decide for themselves whether to engage.
        Peers,
    }
}

choices! {
    /// Who sees which messages of the room.
    #[serde(rename_all = "snake_case")]
    pub enum TopologyName {
        /// Everybody sees everything.
        #[default]
        Broadcast,
        /// Everybody sees what is meant for them.
        Filtered,
        /// The lead sees everything; members see the lead, people, and what is addressed to them.
        Hierarchical,
        /// Everybody sees the one before.
        Chain,
    }
}

/// Rules that say who sees which messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct TopologyRules {
    /// The rules, the first that fits decides.
    pub rules: Vec<Value>,
}

table!(TopologyRules { rules; });

choices! {
    /// Ready-made stages of a task.
    #[serde(rename_all = "snake_case")]
    pub enum PipelinePreset {
        /// Strict standards, every check.
        #[default]
        Production,
        /// Light standards.
        Development,
    }
}

/// How long a crashed agent waits before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Backoff {
    /// The first wait, doubled at each further crash.
    pub base: Period,
    /// The longest wait.
    pub cap: Period,
}

table!(Backoff { ; base, cap });
