//! Tools that live on executors, and the directory of the executors that are connected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use supervision::{CallError, Handle};
use tokio::sync::Notify;

use crate::model::executor::{CallErrorCode, CallOutcome, ToExecutor};
use crate::model::{CallId, ToolSpec, WaitReason};
use crate::tool::{Invocation, Probe, Tool, ToolError, Waits};

use super::actor::ExecutorMessage;

/// The executors that are connected, by project. Read-mostly; the actors of the connections write it.
#[derive(Debug, Clone, Default)]
pub struct Executors(Arc<Directory>);

#[derive(Debug, Default)]
struct Directory {
    connected: Mutex<Vec<Connected>>,
    /// Who was sent which call, until that is settled: nobody else can say what has become of it.
    sent: Mutex<BTreeMap<CallId, String>>,
    changed: Notify,
}

#[derive(Debug, Clone)]
struct Connected {
    project: String,
    name: String,
    tools: Vec<String>,
    handle: Handle<ExecutorMessage>,
}

impl Executors {
    fn connected_now(&self) -> MutexGuard<'_, Vec<Connected>> {
        self.0
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) -> MutexGuard<'_, BTreeMap<CallId, String>> {
        let sent = &self.0.sent;
        sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(
        &self,
        project: &str,
        name: &str,
        tools: &[ToolSpec],
        handle: &Handle<ExecutorMessage>,
    ) {
        let tools = tools.iter().map(|tool| tool.name.clone()).collect();
        let mut connected = self.connected_now();
        connected.retain(|other| other.handle != *handle);
        connected.push(Connected {
            project: project.to_owned(),
            name: name.to_owned(),
            tools,
            handle: handle.clone(),
        });
        drop(connected);
        self.0.changed.notify_waiters();
    }

    pub(super) fn disconnected(&self, handle: &Handle<ExecutorMessage>) {
        self.connected_now().retain(|other| other.handle != *handle);
    }

    fn find(&self, project: &str, tool: &str, name: Option<&str>) -> Option<Connected> {
        let mut fitting = self.all(project, tool).into_iter();
        fitting.find(|executor| name.is_none_or(|name| executor.name == name))
    }

    fn all(&self, project: &str, tool: &str) -> Vec<Connected> {
        let fits = |executor: &&Connected| {
            executor.project == project && executor.tools.iter().any(|name| name == tool)
        };
        let connected = self.connected_now();
        connected.iter().filter(fits).cloned().collect()
    }

    /// An executor of this project that has this tool, or the one of this name; waits for one, and says so.
    async fn wait_for(
        &self,
        project: &str,
        tool: &str,
        name: Option<&str>,
        waits: Waits<'_>,
    ) -> Connected {
        let mut has_said = false;
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(executor) = self.find(project, tool, name) {
                return executor;
            }
            if !std::mem::replace(&mut has_said, true) {
                waits(WaitReason::Executor {
                    tool: tool.to_owned(),
                    name: name.map(str::to_owned),
                });
            }
            changed.await;
        }
    }

    /// This tool of any executor, as a tool of the node.
    #[must_use]
    pub fn tool(&self, spec: ToolSpec) -> Arc<dyn Tool> {
        Arc::new(ExecutorTool {
            spec,
            executors: self.clone(),
        })
    }
}

struct ExecutorTool {
    spec: ToolSpec,
    executors: Executors,
}

/// How much longer than the executor itself the node waits, and how long it waits for its word that a call was stopped.
const GRACE: Duration = Duration::from_secs(30);

impl Tool for ExecutorTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        async move { self.call_visibly(call, &|_| {}).await }.boxed()
    }

    fn call_visibly<'a>(
        &'a self,
        call: Invocation,
        waits: Waits<'a>,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        async move {
            // That there is no executor yet costs the call nothing: it has not begun.
            let (name, project) = (&self.spec.name, &call.project);
            let first = self.executors.wait_for(project, name, None, waits).await;
            let limit = call.timeout.saturating_add(GRACE);
            match tokio::time::timeout(limit, self.call_from(first, &call, waits)).await {
                Ok(result) => result,
                Err(_) => self.too_late(call).await,
            }
        }
        .boxed()
    }

    fn keeps_limit(&self) -> bool {
        true
    }

    /// The executor's ledger answers: what was done, what was begun, and what never began is done now.
    fn probe(&self, call: Invocation) -> BoxFuture<'_, Probe> {
        async move {
            match self.call(call).await {
                Ok(text) => Probe::Done(text),
                Err(ToolError::Failed(why)) => Probe::Failed(why),
                Err(ToolError::Unknown(why)) => Probe::Unknown(why),
            }
        }
        .boxed()
    }

    /// The executor that was sent it is told; whichever of them has it, if that was before the node was started.
    fn stop(
        &self,
        call_id: CallId,
        project: String,
    ) -> BoxFuture<'_, Option<Result<String, ToolError>>> {
        async move {
            let sent = self.executors.sent().remove(&call_id);
            let mut executors = self.executors.all(&project, &self.spec.name);
            executors.retain(|executor| sent.as_ref().is_none_or(|name| *name == executor.name));
            let stops = executors.iter().map(|executor| {
                executor
                    .handle
                    .call(|reply| ExecutorMessage::Stop(call_id.clone(), reply), GRACE)
            });
            let outcomes = join_all(stops).await.into_iter().flatten();
            outcomes.map(result).max_by_key(|result| match result {
                Ok(_) => 2,
                Err(ToolError::Unknown(_)) => 1,
                Err(ToolError::Failed(_)) => 0,
            })
        }
        .boxed()
    }

    fn settled(&self, call_id: CallId, project: String) -> BoxFuture<'_, ()> {
        async move {
            self.executors.sent().remove(&call_id);
            // Whichever of them has it in its ledger.
            for executor in self.executors.all(&project, &self.spec.name) {
                let ack = ExecutorMessage::Ack(call_id.clone());
                let _ = executor.handle.send(ack).await;
            }
        }
        .boxed()
    }
}

impl ExecutorTool {
    /// Makes the call, on this executor first; asks again whoever may have begun it.
    async fn call_from(
        &self,
        first: Connected,
        call: &Invocation,
        waits: Waits<'_>,
    ) -> Result<String, ToolError> {
        let (mut executor, mut asked) = (first, None);
        loop {
            let id = call.call_id.clone();
            self.executors.sent().insert(id, executor.name.clone());
            match self.call_on(&executor.handle, call).await {
                Ok(outcome) => return result(outcome),
                // It never heard of the call: any other will do.
                Err(CallError::Stopped | CallError::Restarting) => {}
                // Its connection ended. It alone knows what it has done, and is asked under the same id when it is back; another
                // one would do it a second time.
                Err(_) => asked = Some(executor.name),
            }
            self.executors.disconnected(&executor.handle);
            let (project, tool) = (&call.project, &self.spec.name);
            let again = self
                .executors
                .wait_for(project, tool, asked.as_deref(), waits);
            executor = again.await;
        }
    }

    /// It is told to stop, and its word is waited for: what it says of the call is what is known of it.
    async fn too_late(&self, call: Invocation) -> Result<String, ToolError> {
        let limit = call.timeout;
        let late = |rest: &str| format!("no answer within {limit:?} (tool_timeout); {rest}");
        match self.stop(call.call_id, call.project).await {
            Some(Ok(text)) => Ok(text),
            Some(Err(ToolError::Failed(why))) => Err(ToolError::Failed(late(&why))),
            Some(Err(ToolError::Unknown(why))) => Err(ToolError::Unknown(late(&why))),
            None => {
                let nobody = "its executor did not say either whether it has stopped";
                Err(ToolError::Unknown(late(nobody)))
            }
        }
    }

    async fn call_on(
        &self,
        executor: &Handle<ExecutorMessage>,
        call: &Invocation,
    ) -> Result<CallOutcome, CallError> {
        let frame = ToExecutor::Call {
            call_id: call.call_id.clone(),
            epoch: call.epoch,
            tool: self.spec.name.clone(),
            args: call.args.clone(),
            timeout_ms: u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX),
        };
        executor
            .ask(|reply| ExecutorMessage::Call(call.call_id.clone(), frame, reply))
            .await
    }
}

fn result(outcome: CallOutcome) -> Result<String, ToolError> {
    match outcome {
        CallOutcome::Ok(text) => Ok(text),
        CallOutcome::Error(error) if error.code == CallErrorCode::Interrupted => {
            Err(ToolError::Unknown(error.message))
        }
        CallOutcome::Error(error) => Err(ToolError::Failed(error.message)),
    }
}
