//! How a node's things look from outside.

use actors::model::{
    Attention, ForkedFrom, RunId, RunStatus, Sender, TaskId, TaskStatus, Timestamp, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// These.
    pub data: Vec<T>,
    /// Where the next ones begin; none at the end.
    pub next_cursor: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// How many, from 1 to 500; 50 when left out.
    pub limit: Option<usize>,
    /// The [`next_cursor`](Page::next_cursor) of the page before.
    pub cursor: Option<String>,
}

impl Paging {
    /// The first so many.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self {
            limit: Some(limit),
            cursor: None,
        }
    }

    /// The part after this page; none where there is no more.
    #[must_use]
    pub fn after<T>(&self, page: &Page<T>) -> Option<Self> {
        Some(Self {
            limit: self.limit,
            cursor: Some(page.next_cursor.clone()?),
        })
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// The run of its root agent.
    pub root_run: Option<RunId>,
    /// The number of its newest event.
    pub last_event: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its newest event was written.
    pub updated_at: Timestamp,
}

/// A task in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// What lists say of it.
    #[serde(flatten)]
    pub task: Task,
    /// What is to be done.
    pub description: String,
    /// The agent that got it.
    pub root_agent: String,
    /// The agents that work may be delegated to.
    #[serde(default)]
    pub available_agents: Vec<String>,
    /// The team that does it, if one does.
    pub team: Option<String>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: i32,
    /// Where it was forked from, if it was.
    #[serde(default)]
    pub forked_from: Option<ForkedFrom>,
    /// Its result, once it is completed.
    pub result: Option<String>,
    /// Why it has none, once it failed or was cancelled.
    pub error: Option<String>,
    /// What somebody has to decide, where it needs attention: [`Client::answer`](super::Client::answer) does.
    pub attention: Option<Attention>,
}

impl TaskDetail {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.task.id
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its task.
    pub task_id: TaskId,
    /// The run that delegated it.
    pub parent: Option<RunId>,
    /// Who does it.
    pub agent: String,
    /// What people read in lists.
    pub title: String,
    /// 0 for the root run.
    pub depth: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// How often it was claimed: 1, and one more for each crash it went on after.
    pub attempt: u64,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When it was claimed first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it used.
    pub usage: Usage,
}

/// A run in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// What lists say of it.
    #[serde(flatten)]
    pub run: Run,
    /// What it was given.
    pub input: String,
    /// Its result, if it has one.
    pub result: Option<String>,
    /// Why it has none, if it ended without.
    pub error: Option<String>,
    /// Why it does not go on at this moment, or what it is doing; none when it has ended.
    pub why: Option<Why>,
}

/// Why a run does not go on, or what it is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// In words.
    pub sentence: String,
    /// For programs.
    #[serde(flatten)]
    pub reason: Value,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The number of the event that says it.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub from: Sender,
    /// To whom alone; to all when left out.
    pub to: Option<String>,
    /// What.
    pub content: String,
}
