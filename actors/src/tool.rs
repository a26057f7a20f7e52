//! The contract of tools that run in the node. Tools of executors implement it too, through [`crate::executor`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::executor::ExecutorName;
use crate::model::{AgentName, CallId, RunId, TaskId, ToolSpec, WaitReason};

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
    /// The executor that it goes to, if that is written down already.
    pub executor: Option<Assigned>,
}

/// To whom a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The executor.
    pub executor: ExecutorName,
    /// Whether it may have begun: then nobody else can say what became of the call.
    pub may_have_begun: bool,
}

/// A call as whoever does it outside of the node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCall {
    /// The call's id for ever.
    pub call_id: CallId,
    /// The task's project.
    pub project: String,
    /// The executor that it went to, if that was written down.
    pub executor: Option<ExecutorName>,
}

impl From<Invocation> for RemoteCall {
    fn from(call: Invocation) -> Self {
        Self {
            call_id: call.call_id,
            project: call.project,
            executor: call.executor.map(|assigned| assigned.executor),
        }
    }
}

/// What [`Tool::probe`] found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It happened, and this was its result.
    Done(String),
    /// It was tried and failed, and this is why.
    Failed(String),
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

/// Whoever makes a call, as a tool sees it that has something to say before it begins.
pub trait CallObserver: Send + Sync {
    /// It waits for this.
    fn waits(&self, reason: WaitReason);

    /// It is about to go to this executor. Resolves when that is durable; to `false` where it must not go there.
    fn goes_to(&self, executor: ExecutorName) -> BoxFuture<'_, bool>;

    /// It is about to go again to the executor that may have begun it. Resolves to `false` where it must not go there now.
    fn goes_again(&self) -> BoxFuture<'_, bool>;
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn waits(&self, _: WaitReason) {}

    fn goes_to(&self, _: ExecutorName) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }

    fn goes_again(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }
}

/// Something a model can call.
///
/// Dropping the future of [`Tool::call`] must stop what it does in the node as far as that is possible.
pub trait Tool: Send + Sync + 'static {
    /// Its name, arguments and effect class.
    fn spec(&self) -> ToolSpec;

    /// Does it.
    ///
    /// # Errors
    /// [`ToolError::Failed`] with a message for the model; [`ToolError::Unknown`] where the effect may have happened.
    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>>;

    /// Like [`Tool::call`], for tools that may have to wait for something before they begin and say so.
    ///
    /// # Errors
    /// As [`Tool::call`].
    fn call_visibly<'a>(
        &'a self,
        call: Invocation,
        observer: &'a dyn CallObserver,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        let _ = observer;
        self.call(call)
    }

    /// The executor of this project that would do it now, for tools that are done by executors.
    fn executor(&self, project: &str) -> Option<ExecutorName> {
        let _ = project;
        None
    }

    /// Whether it keeps [`Invocation::timeout`] itself. A call of any other tool is dropped when that is over.
    fn keeps_limit(&self) -> bool {
        false
    }

    /// Stops a call that is under way somewhere else, and returns when nothing of it runs any more, with what it came to as far as that
    /// is known. What a call does in the node is stopped by dropping its future; what it does elsewhere goes on when its future is
    /// dropped, because the run that made it may only have crashed and will ask for it again.
    fn stop(&self, call: RemoteCall) -> BoxFuture<'_, Option<Result<String, ToolError>>> {
        let _ = call;
        Box::pin(async { None })
    }

    /// The call's result is durable: whoever kept it for us may forget it.
    fn settled(&self, call: RemoteCall) -> BoxFuture<'_, ()> {
        let _ = call;
        Box::pin(async {})
    }

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

/// The tools of a system, by name.
#[derive(Clone, Default)]
pub struct Toolbox {
    tools: BTreeMap<String, Arc<dyn Tool>>,
    specs: BTreeMap<String, ToolSpec>,
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.specs.keys()).finish()
    }
}

impl Toolbox {
    /// These tools, and those of which there is only a spec because whoever uses them does their work itself. A later tool of a name
    /// replaces an earlier one.
    #[must_use]
    pub fn new(
        own: impl IntoIterator<Item = ToolSpec>,
        tools: impl IntoIterator<Item = Arc<dyn Tool>>,
    ) -> Self {
        let mut toolbox = Self::default();
        toolbox
            .specs
            .extend(own.into_iter().map(|spec| (spec.name.clone(), spec)));
        for tool in tools {
            let spec = tool.spec();
            toolbox.tools.insert(spec.name.clone(), tool);
            toolbox.specs.insert(spec.name.clone(), spec);
        }
        toolbox
    }

    /// The tool of this name, if it is one that is called; delegation and the room are not.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<dyn Tool>> {
        self.tools.get(name).cloned()
    }

    /// What every tool says of itself.
    #[must_use]
    pub fn specs(&self) -> &BTreeMap<String, ToolSpec> {
        &self.specs
    }
}
