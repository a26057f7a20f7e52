//! A run: a unit of work of one agent, and its states.

use serde::{Deserialize, Serialize};

use super::agent::AgentName;
use super::event::Seq;
use super::id::{RunId, Step};
use super::task::Sender;
use super::time::Timestamp;

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
    /// Who delegated it; none for the root run and for those of peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// With peers: the newest event of the room that it was asked about, in which it may engage or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Seq>,
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
    /// Its provider takes no call now.
    Provider {
        /// The provider.
        provider: String,
        /// What keeps it from taking one.
        #[serde(flatten)]
        limit: ProviderLimit,
        /// How long from the event's time until it takes the next, in milliseconds; none where that depends on calls under way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
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
    /// Somebody paused it: what is in flight ends and is recorded, and nothing new begins.
    Paused(Pause),
}

/// That a run is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who wants it.
    pub by: Sender,
    /// Since when.
    pub since: Timestamp,
    /// What was paused.
    pub scope: Scope,
}

/// What was paused together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The run alone.
    Run,
    /// A run and all that works for it, now and later.
    Subtree,
    /// All runs of its agent in the task, now and later.
    Agent,
    /// All runs of the task, now and later.
    Task,
}

impl Scope {
    /// Whether runs that are delegated meanwhile are paused too.
    #[must_use]
    pub fn is_inherited(self) -> bool {
        matches!(self, Self::Subtree | Self::Task)
    }
}

/// What is to be paused or resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// This run alone.
    Run(RunId),
    /// This run and all that works for it.
    Subtree(RunId),
    /// All runs of this agent.
    Agent(AgentName),
    /// Everything.
    Task,
}

impl Whom {
    /// What that is called in the journal.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Run(_) => Scope::Run,
            Self::Subtree(_) => Scope::Subtree,
            Self::Agent(_) => Scope::Agent,
            Self::Task => Scope::Task,
        }
    }
}

/// What keeps a provider from taking one more call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum ProviderLimit {
    /// As many calls are under way as may be.
    Concurrent {
        /// How many.
        calls: u32,
    },
    /// As many calls were made in a time as may be.
    Rate {
        /// The rate, as files write it.
        rate: String,
    },
    /// It has refused a call because there were too many, and is left alone for a while.
    Refused,
    /// It has refused a call lately, and is asked by few at a time.
    SlowStart,
    /// It is ill and left alone, or one call tries whether it is well again.
    Breaker,
}

impl WaitReason {
    /// Whether it is the same wait, however long it still takes.
    #[must_use]
    pub fn is_still(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Provider {
                    provider, limit, ..
                },
                Self::Provider {
                    provider: other,
                    limit: of_other,
                    ..
                },
            ) => (provider, limit) == (other, of_other),
            (one, other) => one == other,
        }
    }
}
