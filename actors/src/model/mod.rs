//! The nouns: plain data with serde, and the legal transitions between their states.
//!
//! Nothing here waits, spawns, reads a clock or knows an actor. Reading order: [`id`], [`agent`], [`team`], [`task`], [`run`],
//! [`chat`], [`tool`], [`topology`], [`executor`], [`usage`], [`budget`], and last [`event`], the records that everything else is folded from.

pub mod agent;
pub mod budget;
mod build;
pub mod chat;
pub mod event;
pub mod executor;
pub mod id;
mod kind;
pub mod run;
pub mod task;
pub mod team;
pub mod time;
pub mod tool;
pub mod topology;
pub mod usage;

pub use agent::{AgentName, AgentSpec, InDoubtPolicy, Recovery};
pub use budget::{
    AlertKind, Amount, Budget, BudgetScope, Exceeded, Measure, OnExceeded, Price, Reservation,
};
pub use build::PROJECT;
pub use chat::{ChatMessage, ModelRequest, Reply, StopReason, ToolCall};
pub use event::{Content, Event, EventBody, Seq};
pub use id::{CallId, ExecutorId, RunId, Step, TaskId};
pub use run::{
    ContextMode, Delegation, Pause, ProviderLimit, RunSpec, RunStatus, Scope, WaitReason, Whom,
};
pub use task::{
    Attention, ForkedFrom, Limits, Question, Sender, TaskDefinition, TaskStatus, WorkflowPin,
};
pub use team::{TeamMode, TeamSpec};
pub use time::Timestamp;
pub use tool::{EffectClass, Place, ToolSpec};
pub use topology::Topology;
pub use usage::Usage;
