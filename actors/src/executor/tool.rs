//! Tools that live on executors.

use std::sync::Arc;
use std::time::Duration;

use crate::model::ToolSpec;
use crate::model::executor::{CallErrorCode, CallOutcome, ExecutorName, ToExecutor};
use crate::tool::{CallObserver, Invocation, Probe, RemoteCall, Tool, ToolError, Unobserved};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use supervision::{CallError, Handle};

use super::actor::ExecutorMessage;
use super::directory::{Connected, Executors};

impl Executors {
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

/// To whom a call goes.
enum To {
    /// This one, which has not heard of it.
    Chosen(Connected),
    /// This one, which may have begun it, as soon as it is there.
    Asked(ExecutorName),
}

/// How much longer than the executor itself the node waits, and how long it waits for its word that a call was stopped.
const GRACE: Duration = Duration::from_secs(30);

impl Tool for ExecutorTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn call(&self, call: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        async move { self.call_visibly(call, &Unobserved).await }.boxed()
    }

    fn call_visibly<'a>(
        &'a self,
        call: Invocation,
        observer: &'a dyn CallObserver,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        async move {
            let first = match self.begun_by(&call) {
                Some(executor) => To::Asked(executor),
                // That there is no executor yet costs the call nothing: it has not begun.
                None => To::Chosen(self.choose(&call, observer).await?),
            };
            let limit = call.timeout.saturating_add(GRACE);
            match tokio::time::timeout(limit, self.call_from(first, &call, observer)).await {
                Ok(result) => result,
                Err(_) => self.too_late(call).await,
            }
        }
        .boxed()
    }

    fn executor(&self, project: &str) -> Option<ExecutorName> {
        let found = self.executors.find(project, &self.spec.name, None);
        found.map(|connected| connected.executor)
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

    /// The executor that it went to is told; whichever of them has it, where that is not known. One that is not there, or whose word
    /// does not come, is told when it comes back.
    fn stop(&self, call: RemoteCall) -> BoxFuture<'_, Option<Result<String, ToolError>>> {
        async move {
            let (known, there) = self.of_call(&call);
            let id = &call.call_id;
            let stops = there.iter().map(|executor| {
                executor
                    .handle
                    .call(|reply| ExecutorMessage::Stop(id.clone(), reply), GRACE)
            });
            let outcomes: Vec<_> = join_all(stops).await.into_iter().flatten().collect();
            if let (Some(known), true) = (known, outcomes.is_empty()) {
                self.executors.stop_later(&call.project, id, known);
            }
            let outcomes = outcomes.into_iter().map(result);
            outcomes.max_by_key(|result| match result {
                Ok(_) => 2,
                Err(ToolError::Unknown(_)) => 1,
                Err(ToolError::Failed(_)) => 0,
            })
        }
        .boxed()
    }

    fn settled(&self, call: RemoteCall) -> BoxFuture<'_, ()> {
        async move {
            let (_, there) = self.of_call(&call);
            for executor in there {
                let ack = ExecutorMessage::Ack(call.call_id.clone());
                let _ = executor.handle.send(ack).await;
            }
        }
        .boxed()
    }
}

impl ExecutorTool {
    /// Who has a call that is about to be over, if that is known, and those who are there of those who may have it.
    fn of_call(&self, call: &RemoteCall) -> (Option<ExecutorName>, Vec<Connected>) {
        let sent = self.executors.over(&call.call_id);
        let known = sent.or_else(|| call.executor.clone());
        let mut there = self.executors.all(&call.project, &self.spec.name);
        there.retain(|it| known.as_ref().is_none_or(|known| it.executor.is(known)));
        (known, there)
    }

    /// The executor that may have begun a call.
    fn begun_by(&self, call: &Invocation) -> Option<ExecutorName> {
        let assigned = call.executor.as_ref()?;
        let sent = || self.executors.was_sent(&call.call_id);
        (assigned.may_have_begun || sent()).then(|| assigned.executor.clone())
    }

    /// The executor for a call that nobody can have begun. That it goes there is durable then.
    async fn choose(
        &self,
        call: &Invocation,
        observer: &dyn CallObserver,
    ) -> Result<Connected, ToolError> {
        let (project, tool) = (&call.project, &self.spec.name);
        let written = call.executor.as_ref().map(|assigned| &assigned.executor);
        let there = written.and_then(|written| self.executors.find(project, tool, Some(written)));
        if let Some(there) = there {
            return Ok(there);
        }
        let chosen = self.executors.wait_for(project, tool, None, observer).await;
        match observer.goes_to(chosen.executor.clone()).await {
            true => Ok(chosen),
            false => Err(given_up()),
        }
    }

    /// Makes the call, on this executor first; asks again whoever may have begun it.
    async fn call_from(
        &self,
        first: To,
        call: &Invocation,
        observer: &dyn CallObserver,
    ) -> Result<String, ToolError> {
        let (project, tool) = (&call.project, &self.spec.name);
        let mut to = first;
        loop {
            let (connected, is_new) = match to {
                To::Chosen(connected) => (connected, true),
                To::Asked(it) => {
                    let there = self.executors.wait_for(project, tool, Some(&it), observer);
                    let there = there.await;
                    // Whether it ever heard of the call nobody knows: it may be about to begin.
                    if !observer.goes_again().await {
                        return Err(given_up());
                    }
                    (there, false)
                }
            };
            let executor = connected.executor;
            self.executors.sends(&call.call_id, &executor);
            let ended = self.call_on(&connected.handle, call).await;
            if let Ok(outcome) = ended {
                return result(outcome);
            }
            self.executors.disconnected(&connected.handle);
            let never_heard = matches!(ended, Err(CallError::Stopped | CallError::Restarting));
            to = match is_new && never_heard {
                // Any other will do.
                true => To::Chosen(self.choose(call, observer).await?),
                // Its connection ended. It alone knows what it has done, and is asked under the same id when it is back; another
                // one would do it a second time.
                false => To::Asked(executor),
            };
        }
    }

    /// It is told to stop, and its word is waited for: what it says of the call is what is known of it.
    async fn too_late(&self, call: Invocation) -> Result<String, ToolError> {
        let limit = call.timeout;
        let late = |rest: &str| format!("no answer within {limit:?} (tool_timeout); {rest}");
        match self.stop(call.into()).await {
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

fn given_up() -> ToolError {
    ToolError::Failed("the call was given up".to_owned())
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
