//! Calls of tools: each made once, and to one executor.

use futures_util::future::BoxFuture;
use supervision::{Context, Handle, Reply, SendError};
use tokio::task::AbortHandle;

use crate::model::executor::ExecutorName;
use crate::model::{CallId, EffectClass, EventBody, Place, Step, WaitReason};
use crate::run::state::{Call, CallPhase};
use crate::tool::{Assigned, CallObserver, Invocation, ToolError};

use super::hang::AtWork;
use super::perform::{limit, within};
use super::{Doing, RunActor, RunMessage};

impl RunActor {
    /// A call that is made again is another one for an executor's ledger; for a tool with keys it is the same one.
    pub(super) fn counted(&self, call: &Call, retries: u32) -> u32 {
        let class = self.agent().effects.get(&call.call.name).copied();
        let own = || self.context.tools.specs().get(&call.call.name);
        let in_node = own().is_some_and(|spec| spec.place == Place::Node);
        match class.or_else(|| own().map(|spec| spec.effect)) {
            Some(EffectClass::Keyed) if in_node => 0,
            _ => retries,
        }
    }

    pub(super) fn invocation(&self, step: Step) -> Option<Invocation> {
        let call = self.state.call(step)?;
        Some(Invocation {
            call_id: CallId::again(self.run, step, self.counted(call, call.retries)),
            epoch: self.state.epoch,
            args: call.call.args.clone(),
            timeout: self.agent().tool_timeout,
            task: self.context.task,
            run: self.run,
            agent: self.name.clone(),
            project: self.context.definition.project.clone(),
            executor: call.executor.as_ref().map(|(executor, epoch)| Assigned {
                executor: executor.clone(),
                may_have_begun: *epoch < self.state.epoch,
            }),
        })
    }

    pub(super) fn call(&self, step: Step, cx: &Context<RunMessage>) -> AbortHandle {
        let (own, next, epoch) = (cx.handle(), cx.handle(), self.state.epoch);
        let stays = self.stays_where_it_began(step);
        let pulse = cx.pulse();
        let result = self.with_tool(Doing::Call(step), step, move |tool, call| async move {
            let limit = limit(&*tool, &call);
            let observer = Observer {
                at_work: AtWork::begin(&pulse, &call.agent, tool.as_ref()),
                own,
                step,
                epoch,
                stays,
            };
            let result = within(limit, tool.call_visibly(call, &observer));
            tokio::select! {
                biased;
                hung = observer.at_work.hung() => Err(ToolError::Unknown(hung)),
                result = result => result.unwrap_or_else(|late| Err(ToolError::Unknown(late))),
            }
        });
        cx.attach_maybe(async move {
            let result = result
                .await
                .unwrap_or_else(|gone| Err(ToolError::Unknown(gone)));
            // Whoever has the run by then hears of it: this incarnation may have been declared lost.
            let ended = next.try_send(RunMessage::Called(step, epoch, result));
            ended.err().map(SendError::into_message)
        })
    }

    fn stays_where_it_began(&self, step: Step) -> bool {
        match self.state.call(step).map(|call| &call.phase) {
            Some(CallPhase::Started { class, .. }) => class.stays_where_it_began(),
            _ => false,
        }
    }

    /// To which executor a call goes is written with its start, where one is there already.
    pub(super) fn with_executor(&self, body: EventBody) -> EventBody {
        match body {
            EventBody::ToolCallStarted {
                step,
                tool,
                class,
                executor: None,
            } if class.stays_where_it_began() => EventBody::ToolCallStarted {
                step,
                executor: self.executor_for(step, &tool),
                tool,
                class,
            },
            body => body,
        }
    }

    /// The executor for a call that has none yet.
    fn executor_for(&self, step: Step, tool: &str) -> Option<ExecutorName> {
        let call = self.state.call(step);
        if call.is_some_and(|call| call.executor.is_some()) {
            return None;
        }
        let tool = self.context.tools.get(tool)?;
        tool.executor(&self.context.definition.project)
    }

    /// A call is about to go to this executor, and does when that is durable, or again to the one that it went to.
    pub(super) fn goes_to(
        &mut self,
        step: Step,
        epoch: u64,
        executor: Option<ExecutorName>,
        reply: Reply<()>,
    ) {
        match executor {
            Some(executor) => self.goes_to_another(step, epoch, executor, reply),
            None if self.is_held() => self.let_go(step),
            None => {
                self.begins(step);
                reply.send(());
            }
        }
    }

    fn goes_to_another(
        &mut self,
        step: Step,
        epoch: u64,
        executor: ExecutorName,
        reply: Reply<()>,
    ) {
        let Some(call) = self.state.call(step) else {
            return;
        };
        let CallPhase::Started { class, .. } = call.phase else {
            return;
        };
        if epoch != self.state.epoch || !self.doing.contains_key(&Doing::Call(step)) {
            return;
        }
        let tool = call.call.name.clone();
        self.sending.insert(step, reply);
        self.write([EventBody::ToolCallStarted {
            step,
            tool,
            class,
            executor: Some(executor),
        }]);
    }
}

/// What a call in this incarnation says before it begins.
struct Observer {
    own: Handle<RunMessage>,
    at_work: AtWork,
    step: Step,
    epoch: u64,
    stays: bool,
}

impl Observer {
    fn goes(&self, executor: Option<ExecutorName>) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let (reply, may) = Reply::channel();
            let message = RunMessage::GoesTo(self.step, self.epoch, executor, reply);
            self.own.send(message).await.is_ok() && may.await.is_ok()
        })
    }
}

impl CallObserver for Observer {
    fn waits(&self, reason: WaitReason) {
        self.at_work.waits();
        let _ = self.own.try_send(RunMessage::CallWaits(self.step, reason));
    }

    fn goes_to(&self, executor: ExecutorName) -> BoxFuture<'_, bool> {
        self.goes(self.stays.then_some(executor))
    }

    fn goes_again(&self) -> BoxFuture<'_, bool> {
        self.goes(None)
    }
}
