//! The contract of tools that run in the node. Tools of executors implement it too, through [`crate::executor`].

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::{AgentName, CallId, RunId, TaskId, ToolSpec};

/// One call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The call's id for ever; the idempotency key of keyed tools.
    pub call_id: CallId,
    /// The epoch of the run that makes it.
    pub epoch: u64,
    /// Its arguments.
    pub args: Value,
    /// How long it may take.
    pub timeout: Duration,
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// The agent.
    pub agent: AgentName,
    /// The task's project.
    pub project: String,
}

/// What [`Tool::probe`] found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It happened, and this was its result.
    Done(String),
    /// It did not happen: it can be called.
    NotDone,
    /// Nobody knows.
    Unknown(String),
}

/// Why a tool call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// It failed and had no effect, or one that its message describes; the model reads it.
    #[error("{0}")]
    Failed(String),
    /// It may or may not have taken effect.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Something a model can call.
///
/// Dropping the future of [`Tool::call`] must stop what it does as far as that is possible.
pub trait Tool: Send + Sync + 'static {
    /// Its name, arguments and effect class.
    fn spec(&self) -> ToolSpec;

    /// Does it.
    ///
    /// # Errors
    /// [`ToolError::Failed`] with a message for the model; [`ToolError::Unknown`] where the effect may have happened.
    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>>;

    /// Asks whether an earlier call with this id took effect; for tools of class [`queryable`](crate::model::EffectClass::Queryable).
    fn probe(&self, call: Invocation) -> BoxFuture<'_, Probe> {
        let _ = call;
        Box::pin(async { Probe::Unknown("the tool cannot be asked".to_owned()) })
    }

    /// Undoes whatever an earlier call with this id may have done, for the in-doubt policy `compensate`.
    ///
    /// # Errors
    /// [`ToolError::Failed`] where nothing could be undone; a human is asked then.
    fn compensate(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        let _ = call;
        Box::pin(async { Err(ToolError::Failed("the tool has no compensation".to_owned())) })
    }
}
