//! A team: a lead, members, who hears whom, and the supervision its file declares.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::agent::{AgentName, millis};
use super::topology::Topology;

/// Who gets what to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamMode {
    /// The lead gets the task and delegates.
    #[default]
    Delegate,
    /// All hear what is said and decide for themselves whether to engage.
    Peers,
}

/// What keeps peers from talking for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerLimits {
    /// How often a peer is asked whether it engages, until a person says something again.
    pub rounds: u32,
    /// How many messages a peer may have said in the room and still be asked.
    pub messages: u32,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            rounds: 8,
            messages: 20,
        }
    }
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
    /// Who gets what to do.
    pub mode: TeamMode,
    /// With [`TeamMode::Peers`]: what keeps them from talking for ever.
    pub peers: PeerLimits,
    /// Who hears whom, until it is changed.
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
            mode: TeamMode::default(),
            peers: PeerLimits::default(),
            topology: Topology::default(),
            strategy: TeamStrategy::default(),
            max_restarts: 5,
            within: Duration::from_secs(60),
            backoff: None,
            max_workers: None,
        }
    }
}
