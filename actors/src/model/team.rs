//! A team: a lead, members, who hears whom, and the supervision its file declares.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::agent::{AgentName, millis};

/// Who sees which messages of the room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Everybody sees everything.
    #[default]
    Broadcast,
    /// The lead sees everything; members see the lead, people, and what is addressed to them.
    Hierarchical,
}

/// Whom a crash restarts; OTP's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamStrategy {
    /// The agent that crashed.
    #[default]
    OneForOne,
    /// All agents of the team.
    OneForAll,
    /// The agent that crashed and those declared after it.
    RestForOne,
}

/// How long a crashed agent waits before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamBackoff {
    /// The first wait, doubled at each further crash.
    #[serde(with = "millis")]
    pub base: Duration,
    /// The longest wait.
    #[serde(with = "millis")]
    pub cap: Duration,
}

/// A team as declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeamSpec {
    /// Its name.
    pub name: String,
    /// Who gets the task.
    pub lead: AgentName,
    /// The others, in the order in which they are started.
    pub members: Vec<AgentName>,
    /// Who hears whom.
    pub topology: Topology,
    /// Whom a crash restarts.
    pub strategy: TeamStrategy,
    /// Restarts of agents that are forgiven within [`TeamSpec::within`].
    pub max_restarts: u32,
    /// The period of the restart intensity.
    #[serde(with = "millis")]
    pub within: Duration,
    /// Waits before restarts; none for at once.
    pub backoff: Option<TeamBackoff>,
    /// How many runs of the team may be live at a time.
    pub max_workers: Option<u32>,
}

impl Default for TeamSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            lead: "".into(),
            members: Vec::new(),
            topology: Topology::default(),
            strategy: TeamStrategy::default(),
            max_restarts: 5,
            within: Duration::from_secs(60),
            backoff: None,
            max_workers: None,
        }
    }
}
