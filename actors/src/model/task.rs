//! A task: the room in which agents work, and its states.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::{AgentName, AgentSpec};
use super::budget::{Budget, Exceeded};
use super::event::Seq;
use super::id::{RunId, TaskId};
use super::team::TeamSpec;

/// Limits of one task's tree of runs. Every one has a default and a clear refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How deep delegation may go; the root run has depth 0.
    pub depth: u32,
    /// Live children of one run.
    pub fan_out: u32,
    /// Live runs of the whole task.
    pub live_runs: u32,
    /// Runs of the whole task, ended ones included.
    pub total_runs: u32,
    /// Characters of a child's result that its parent is shown.
    pub capsule_chars: u32,
    /// Bytes of a tool result kept in the journal; a larger one goes to a blob.
    pub inline_bytes: u32,
    /// Bytes of a tool result that the model is shown.
    pub tool_result_bytes: u32,
    /// How often a delegated run that is still at it says so, in milliseconds.
    pub progress_ms: u64,
    /// Crashes of a run at one and the same point before it is quarantined.
    pub poison_after: u32,
    /// What all runs of the task together may use up.
    pub budget: Budget,
    /// How long the task may take, in milliseconds; the time in which it waits for a person does not count.
    pub wall_time_ms: u64,
    /// After how many repetitions a run that goes round in circles is told so; 0 for never.
    pub loop_warn: u32,
    /// After how many it is stopped; 0 for never.
    pub loop_stop: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 8,
            fan_out: 16,
            live_runs: 64,
            total_runs: 512,
            capsule_chars: 4_000,
            inline_bytes: 16 * 1024,
            tool_result_bytes: 64 * 1024,
            progress_ms: 60_000,
            poison_after: 5,
            budget: Budget {
                tokens: Some(10_000_000),
                cost_usd_micros: None,
                turns: Some(5_000),
            },
            wall_time_ms: 24 * 60 * 60 * 1_000,
            loop_warn: 3,
            loop_stop: 6,
        }
    }
}

/// One version of a workflow, pinned: publishing a later one leaves the task alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its instructions.
    pub instructions: String,
}

/// Where a fork comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkedFrom {
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// The last event of that task that is part of the fork's past.
    pub event: Seq,
}

/// A task as it was created, with everything it depends on pinned: editing a file later leaves it alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// A short name.
    pub name: String,
    /// What is to be done; the root run's brief.
    pub description: String,
    /// The project whose keys, executors and memory it uses.
    pub project: String,
    /// The agent that gets the task.
    pub root_agent: AgentName,
    /// The agents work may be delegated to, in the order in which they are started.
    pub available_agents: Vec<AgentName>,
    /// The team, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamSpec>,
    /// The workflow whose instructions every agent of the task is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowPin>,
    /// The definitions of all agents concerned.
    pub agents: BTreeMap<AgentName, AgentSpec>,
    /// Limits of the tree of runs.
    #[serde(default)]
    pub limits: Limits,
    /// How urgent it is, from -10 to 10: where model calls of several tasks wait for the same, those of a higher priority go first.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub priority: i32,
    /// The run whose conversation its root run began with, and up to which event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkedFrom>,
    /// Whatever the program that embeds the system needs to go on with the task after a restart; opaque here.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub source: Value,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if hands over a reference"
)]
fn is_usual(priority: &i32) -> bool {
    *priority == 0
}

/// Where a task stands. Folded from its events, never written on its own.
///
/// ```text
/// running ⇄ needs_attention      running → completed | failed      any live state → cancelled
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Its root run works or waits.
    Running,
    /// Somebody has to decide something; see [`Attention`].
    NeedsAttention,
    /// Its root run came to an end with a result.
    Completed,
    /// Its root run failed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl TaskStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::NeedsAttention,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Why a task needs a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Attention {
    /// A tool call's outcome is unknown and the agent's policy is to ask.
    InDoubt {
        /// The run that waits.
        run: RunId,
        /// What to decide.
        question: String,
    },
    /// A run crashes again and again at one point.
    Quarantined {
        /// The run.
        run: RunId,
        /// Its last end.
        reason: String,
    },
    /// A run may not go on: a budget is used up, or it goes round in circles.
    Limit {
        /// The run that waits.
        run: RunId,
        /// What to decide.
        question: String,
        /// The budget, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exceeded: Option<Exceeded>,
    },
    /// A supervisor of the task gave up.
    GaveUp {
        /// The supervisor's path.
        path: String,
        /// Its reason.
        reason: String,
    },
}

/// An open question of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The event with which it was asked.
    pub asked: Seq,
    /// What about.
    pub attention: Attention,
}

/// Who said something in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// A person.
    Human,
    /// The runtime.
    System,
    /// An agent.
    Agent(AgentName),
}
