//! `[teams.NAME]`

use actors::model::team::TeamStrategy;
use actors::model::topology::Decide;
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
    /// With `mode = "peers"`: what keeps them from talking for ever.
    pub peers: PeersConfig,
    /// Who sees which messages of the room. What is said to one agent alone is seen by no third one.
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
    members, mode, peers, topology, strategy, max_restarts, within, backoff, max_workers, pipeline
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
        /// Everybody sees what is meant for them: what names nobody, and of what names somebody (`@ann`, `@all`), what names them.
        Filtered,
        /// The lead sees everything; members see the lead, people, and what is addressed to them.
        Hierarchical,
        /// Everybody sees the one before in the order of the team, the lead and people; the lead sees the last.
        Chain,
    }
}

/// Rules that say who sees which messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct TopologyRules {
    /// The rules, at most 64: the first that fits decides. Where none does, people are heard and agents are not.
    pub rules: Vec<TopologyRule>,
}

table!(TopologyRules { rules; });

/// One rule about who sees what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, transform = required::<Self>)]
pub struct TopologyRule {
    /// Who says it: an agent of the team, `@lead`, `@members`, `@human`, `@system`, or `*` for anybody.
    pub from: String,
    /// Who may see it: an agent of the team, `@lead`, `@members`, or `*` for anybody.
    pub to: String,
    /// What it says, as a regular expression; anything when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Whether it is seen.
    #[schemars(schema_with = "choice::schema::<Decide>")]
    pub decide: Decide,
}

table!(TopologyRule { from, to; when, decide });

/// What keeps peers from talking for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct PeersConfig {
    /// How often a peer is asked whether it engages, until a person says something again.
    pub rounds: Count,
    /// How many messages a peer may have said in the room and still be asked.
    pub messages: Count,
}

table!(PeersConfig { ; rounds, messages });

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
