//! What is done: each effect once, beside the actor.

use std::sync::Arc;

use supervision::{CallError, Context, Handle, Reply};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::{AgentMessage, Thought};
use crate::model::{CallId, EffectClass, Place, RunId, Step, WaitReason};
use crate::pool::provider_pool;
use crate::run::context::{self, Scene};
use crate::run::load;
use crate::run::next::Effect;
use crate::run::state::Call;
use crate::run::tools::CreateRun;
use crate::tool::{Invocation, ToolError};

use super::{Doing, RunActor, RunMessage, RunReport};

impl RunActor {
    pub(super) fn perform(&mut self, effect: Effect, cx: &Context<RunMessage>) {
        let doing = match &effect {
            Effect::Record(bodies) => return self.write(bodies.clone()),
            Effect::Think { .. } => Doing::Think,
            Effect::Call(step) => Doing::Call(*step),
            Effect::Probe(step) => Doing::Probe(*step),
            Effect::Compensate(step) => Doing::Compensate(*step),
            Effect::Delegate(step, _) => Doing::Delegate(*step),
            Effect::EnsureChild(run) => Doing::Child(*run),
            Effect::WakeAt(at) => Doing::Wake(*at),
            Effect::Over => Doing::Over,
        };
        if self.doing.contains_key(&doing) {
            return;
        }
        let started = match effect {
            Effect::Record(_) => None,
            Effect::Think { seen, .. } => self.think(seen, cx),
            Effect::Call(step) => self.call(step, cx),
            Effect::Probe(step) => self.with_tool(step, cx, |tool, call, step| async move {
                RunMessage::Probed(step, tool.probe(call).await)
            }),
            Effect::Compensate(step) => self.with_tool(step, cx, |tool, call, step| async move {
                RunMessage::Compensated(step, tool.compensate(call).await)
            }),
            Effect::Delegate(step, wish) => Some(self.ask_room(step, wish, cx)),
            Effect::EnsureChild(run) => self.ensure_child(run, cx),
            Effect::WakeAt(at) => {
                let wait = at.since(self.context.journal.clock().now());
                Some(cx.after(wait, RunMessage::Wake))
            }
            Effect::Over => Some(self.tell_over(cx)),
        };
        if let Some(handle) = started {
            self.doing.insert(doing, handle);
        }
    }

    pub(super) fn think(&self, seen: u64, cx: &Context<RunMessage>) -> Option<AbortHandle> {
        let scene = Scene {
            task: &self.context.definition,
            name: &self.name,
            inherited: self.inherited.as_deref(),
            tools: self.context.tools.specs(),
            blobs: &self.blobs,
        };
        let request = Box::new(context::request(&self.state, seen, scene));
        let agent = self.context.agents.get(&self.name)?.clone();
        let spec = self.agent();
        let (pools, own) = (self.context.pools.clone(), cx.handle());
        Some(cx.attach(async move {
            let waits = |pool: String| {
                let _ = own.try_send(RunMessage::Waits(WaitReason::Permit { pool }));
            };
            let limited = provider_pool(&spec.provider);
            let _permit = pools.permit(&spec.pool, || waits(spec.pool.clone())).await;
            let _limit = pools
                .provider_permit(&spec.provider, || waits(limited))
                .await;
            RunMessage::Thought(Box::new(ask_agent(&agent, request).await))
        }))
    }

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
        })
    }

    pub(super) fn call(&self, step: Step, cx: &Context<RunMessage>) -> Option<AbortHandle> {
        let own = cx.handle();
        self.with_tool(step, cx, move |tool, call, step| async move {
            let (epoch, limit) = (call.epoch, call.timeout);
            let waits = move |reason| {
                let _ = own.try_send(RunMessage::Waits(reason));
            };
            let grace = limit + tool.grace();
            let result = match tokio::time::timeout(grace, tool.call_visibly(call, &waits)).await {
                Ok(result) => result,
                Err(_) => Err(ToolError::Unknown(format!(
                    "no answer within {limit:?} (tool_timeout)"
                ))),
            };
            RunMessage::Called(step, epoch, result)
        })
    }

    pub(super) fn with_tool<F, Fut>(
        &self,
        step: Step,
        cx: &Context<RunMessage>,
        act: F,
    ) -> Option<AbortHandle>
    where
        F: FnOnce(Arc<dyn crate::tool::Tool>, Invocation, Step) -> Fut,
        Fut: Future<Output = RunMessage> + Send + 'static,
    {
        let tool = self.context.tools.get(&self.state.call(step)?.call.name)?;
        Some(cx.attach(act(tool, self.invocation(step)?, step)))
    }

    pub(super) fn ask_room(
        &self,
        step: Step,
        wish: Box<CreateRun>,
        cx: &Context<RunMessage>,
    ) -> AbortHandle {
        let (room, run) = (self.context.room.clone(), self.run);
        let depth = self.state.spec.as_ref().map_or(0, |spec| spec.depth) + 1;
        cx.attach(async move {
            let (reply, answer) = Reply::channel();
            room.tell(RunReport::Delegate {
                run,
                step,
                depth,
                reply,
            })
            .await;
            let answer = answer
                .await
                .unwrap_or_else(|_| Err("the room was restarted; try again".to_owned()));
            RunMessage::Granted(step, wish, answer)
        })
    }

    pub(super) fn ensure_child(&self, run: RunId, cx: &Context<RunMessage>) -> Option<AbortHandle> {
        let agent = self.state.children.get(&run)?.agent.as_str().into();
        Some(self.report(RunReport::Queued(run, agent), cx))
    }

    pub(super) fn report(&self, report: RunReport, cx: &Context<RunMessage>) -> AbortHandle {
        let room = self.context.room.clone();
        cx.attach_maybe(async move {
            room.tell(report).await;
            None
        })
    }

    pub(super) fn tell_over(&mut self, cx: &Context<RunMessage>) -> AbortHandle {
        for reply in self
            .cancel
            .take()
            .into_iter()
            .flat_map(|(_, replies)| replies)
        {
            reply.send(());
        }
        let (context, run, end) = (self.context.clone(), self.run, self.end.clone());
        cx.attach(async move {
            match end {
                Some(end) => drop(context.room.tell(RunReport::Over(end)).await),
                None => load::tell_end(&context, run).await,
            }
            RunMessage::OverTold
        })
    }
}

/// How often a stopped agent is asked again before its run gives up: it may be about to be started by a supervisor further up.
const AGENT_PATIENCE: u32 = 25;

async fn ask_agent(
    agent: &Handle<AgentMessage>,
    request: Box<crate::model::ModelRequest>,
) -> Result<Thought, CallError> {
    let abandoned = CancellationToken::new();
    let _guard = abandoned.clone().drop_guard();
    for _ in 0..AGENT_PATIENCE {
        let (request, abandoned) = (request.clone(), abandoned.clone());
        match agent
            .ask(|reply| AgentMessage::Think(request, abandoned, reply))
            .await
        {
            Err(CallError::Stopped) => {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await
            }
            answer => return answer,
        }
    }
    Err(CallError::Stopped)
}
