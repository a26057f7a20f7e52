//! A run: a unit of work of one agent, and its states.

use serde::{Deserialize, Serialize};

use super::agent::AgentName;
use super::event::Seq;
use super::id::{RunId, Step};

/// What of its parent's conversation a delegated run begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextMode {
    /// The parent's conversation up to the delegation.
    Full,
    /// The task and chosen snippets.
    #[default]
    Scoped,
    /// The brief alone.
    None,
}

/// How a run was delegated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delegation {
    /// The parent's call waits for the result.
    Foreground,
    /// The parent goes on and is told later.
    Background,
}

/// The run that delegated, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The delegating run.
    pub run: RunId,
    /// The tool call that delegated.
    pub step: Step,
    /// In the foreground or in the background.
    pub delegation: Delegation,
    /// With [`ContextMode::Full`]: how far the parent's conversation is shared.
    pub up_to: Seq,
}

/// A run as it was queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Who does it.
    pub agent: AgentName,
    /// What people read in lists.
    pub title: String,
    /// The brief.
    pub input: String,
    /// 0 for the root run.
    pub depth: u32,
    /// What it begins with.
    pub context: ContextMode,
    /// With [`ContextMode::Scoped`]: what the parent chose to share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snippets: Vec<String>,
    /// Whether it is a worker: a light run of the delegating agent's own persona, with its tools and a conversation of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub worker: bool,
    /// Who delegated it; none for the root run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// Where a run stands. Folded from its events.
///
/// ```text
/// queued → running → completed | failed | cancelled      running → quarantined → running (a human's answer)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Accepted and not yet begun.
    Queued,
    /// At work or waiting; see [`WaitReason`].
    Running,
    /// It crashed again and again at one point and waits for a decision.
    Quarantined,
    /// Ended with a result.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by somebody's wish.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Why a run that could go on does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum WaitReason {
    /// All permits of its pool are taken.
    Permit {
        /// The pool.
        pool: String,
    },
    /// No executor of its project that has the tool is connected.
    Executor {
        /// The tool.
        tool: String,
        /// The executor that has begun the call and must be asked what it has done, if one has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Delegated runs have not ended.
    Children {
        /// How many.
        count: u32,
    },
    /// Model calls of others that have set aside what is left of a budget.
    Budget,
    /// A human's answer.
    Human {
        /// What is asked.
        question: String,
    },
    /// The next try of a model call that failed.
    Retry {
        /// How long from the event's time, in milliseconds.
        delay_ms: u64,
    },
}
