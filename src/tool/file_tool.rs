//! What the tools that work on files have in common: they run on a thread that may block, and hear when to stop.

use std::sync::Arc;
use std::time::Duration;

use actors::model::executor::{CallError, CallErrorCode};
use actors::model::{EffectClass, Place, ToolSpec};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::workspace::Workspace;
use super::{Context, Job, LocalTool, error, schema};

/// How long a thread may take to hear that it is to stop.
const GRACE: Duration = Duration::from_secs(5);

type Run<A> = fn(&Workspace, &A, &Stop) -> Result<String, CallError>;

/// Asked now and then by whatever takes long.
pub(super) struct Stop(CancellationToken);

impl Stop {
    /// For what nobody stops.
    pub(super) fn never() -> Self {
        Self(CancellationToken::new())
    }

    /// An error once the call is to end.
    pub(super) fn check(&self) -> Result<(), CallError> {
        match self.0.is_cancelled() {
            true => Err(error(CallErrorCode::Cancelled, "the call was cancelled")),
            false => Ok(()),
        }
    }
}

/// A tool made of a function on a workspace, before there is one.
pub(super) struct FileTool<A> {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) effect: EffectClass,
    pub(super) run: Run<A>,
}

/// The same, on a workspace.
struct OnWorkspace<A> {
    tool: FileTool<A>,
    workspace: Arc<Workspace>,
}

impl<A: DeserializeOwned + JsonSchema + Send + Sync + 'static> FileTool<A> {
    pub(super) fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            parameters: schema::parameters::<A>(),
            effect: self.effect,
            place: Place::Executor,
        }
    }

    pub(super) fn on(self, workspace: &Arc<Workspace>) -> Box<dyn LocalTool> {
        let workspace = Arc::clone(workspace);
        Box::new(OnWorkspace {
            tool: self,
            workspace,
        })
    }
}

impl<A: DeserializeOwned + JsonSchema + Send + Sync + 'static> LocalTool for OnWorkspace<A> {
    fn spec(&self) -> ToolSpec {
        self.tool.spec()
    }

    fn prepare(&self, args: Value) -> Result<Job, CallError> {
        let FileTool {
            name, run, effect, ..
        } = self.tool;
        let args: A = schema::read(name, args)?;
        let workspace = Arc::clone(&self.workspace);
        Ok(Box::new(move |context| {
            in_a_thread(effect, context, move |stop| run(&workspace, &args, stop))
        }))
    }
}

/// Runs `work` where it may block. It is told to stop when the call is cancelled, out of time, or its future dropped.
fn in_a_thread(
    effect: EffectClass,
    context: Context,
    work: impl FnOnce(&Stop) -> Result<String, CallError> + Send + 'static,
) -> BoxFuture<'static, Result<String, CallError>> {
    async move {
        let stop = context.stop.child_token();
        let _on_drop = stop.clone().drop_guard();
        let told = Stop(stop.clone());
        let mut thread = tokio::task::spawn_blocking(move || work(&told));
        let why = tokio::select! {
            done = &mut thread => return done.unwrap_or_else(|_| Err(broken(effect))),
            () = stop.cancelled() => error(CallErrorCode::Cancelled, "the call was cancelled"),
            () = tokio::time::sleep(context.timeout) => out_of_time(context.timeout),
        };
        stop.cancel();
        match tokio::time::timeout(GRACE, thread).await {
            Ok(Ok(done)) => done.map_err(|end| instead_of_cancelled(end, why)),
            Ok(Err(_)) => Err(broken(effect)),
            Err(_) => Err(given_up(effect, why)),
        }
    }
    .boxed()
}

fn out_of_time(timeout: Duration) -> CallError {
    let message = format!(
        "it took longer than {} ms; ask for less at once",
        timeout.as_millis()
    );
    error(CallErrorCode::Timeout, message)
}

/// A thread that stopped says it was cancelled; whoever stopped it knows why.
fn instead_of_cancelled(end: CallError, why: CallError) -> CallError {
    match end.code {
        CallErrorCode::Cancelled => why,
        _ => end,
    }
}

fn broken(effect: EffectClass) -> CallError {
    match effect {
        EffectClass::Pure => {
            super::failed("the tool broke down on this input; nothing was changed")
        }
        _ => unknown("the tool broke down in the middle"),
    }
}

fn given_up(effect: EffectClass, why: CallError) -> CallError {
    match effect {
        EffectClass::Pure => why,
        _ => unknown("the disk did not answer"),
    }
}

fn unknown(what: &str) -> CallError {
    let message =
        format!("{what}: whether the file was changed is unknown; read it before going on");
    error(CallErrorCode::Interrupted, message)
}
