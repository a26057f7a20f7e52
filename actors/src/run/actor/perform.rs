//! What is done: each effect once, beside the actor.

use std::sync::Arc;
use std::time::Duration;

use supervision::{CallError, Context, Handle, Pulse, Reply};
use tokio::task::AbortHandle;

use crate::agent::{AgentMessage, Gate, Thought};
use crate::model::{ModelRequest, RunId, Step};
use crate::pool::Permit;
use crate::run::context;
use crate::run::load;
use crate::run::next::Effect;
use crate::run::tools::CreateRun;
use crate::tool::{Invocation, Probe, Tool, ToolError};

use super::limits::unaffordable;
use super::{Doing, Queued, RunActor, RunMessage, RunReport};

impl RunActor {
    pub(super) fn perform(&mut self, effect: Effect, cx: &Context<RunMessage>) {
        let doing = match &effect {
            Effect::Record(bodies) => return self.write(bodies.clone()),
            Effect::Permit => Doing::Permit,
            Effect::Admit(_) => Doing::Admit,
            Effect::Think { .. } => Doing::Think,
            Effect::Call(step) => Doing::Call(*step),
            Effect::Probe(step) => Doing::Probe(*step),
            Effect::Compensate(step) => Doing::Compensate(*step),
            Effect::Delegate(step, _) => Doing::Delegate(*step),
            Effect::Say(step, _) => Doing::Say(*step),
            Effect::EnsureChild(run) => Doing::Child(*run),
            Effect::WakeAt(at) => Doing::Wake(*at),
            Effect::Over => Doing::Over,
        };
        if self.doing.contains_key(&doing) {
            return;
        }
        self.parts.insert(doing.clone(), self.gate.for_one());
        let started = match effect {
            Effect::Record(_) => return,
            Effect::Permit => self.ask_permit(cx),
            Effect::Admit(reserved) => self.admit(reserved, cx),
            Effect::Think { seen, .. } => self.think(seen, cx),
            Effect::Call(step) => self.call(step, cx),
            Effect::Probe(step) => self.probe(step, cx),
            Effect::Compensate(step) => self.compensate(step, cx),
            Effect::Delegate(step, wish) => self.ask_room(step, wish, cx),
            Effect::Say(step, wish) => self.ask_to_say(step, *wish, cx),
            Effect::EnsureChild(run) => self.ensure_child(run, cx),
            Effect::WakeAt(at) => {
                let wait = at.since(self.context.journal.clock().now());
                cx.after(wait, RunMessage::Wake)
            }
            Effect::Over => self.tell_over(cx),
        };
        self.doing.insert(doing, started);
    }

    fn think(&mut self, seen: u64, cx: &Context<RunMessage>) -> AbortHandle {
        let request = Arc::new(context::request(&self.state, seen, self.scene()));
        let agent = self.context.agents.get(&self.name).cloned();
        let (gate, permit) = (self.part(&Doing::Think), self.permit.take().map(Arc::new));
        let pulse = cx.pulse();
        cx.attach(async move {
            let thought = match agent {
                Some(agent) => ask_agent(&agent, request, &gate, permit.as_ref(), &pulse).await,
                None => Err(CallError::Stopped),
            };
            RunMessage::Thought(Box::new(thought))
        })
    }

    /// The part of the gate through which this goes.
    fn part(&self, doing: &Doing) -> Gate {
        self.parts.get(doing).unwrap_or(&self.gate).clone()
    }

    fn probe(&self, step: Step, cx: &Context<RunMessage>) -> AbortHandle {
        let answer = self.with_tool(Doing::Probe(step), step, |tool, call| async move {
            let answer = within(limit(&*tool, &call), tool.probe(call)).await;
            answer.unwrap_or_else(Probe::Unknown)
        });
        cx.attach_maybe(async move {
            let answer = answer.await.unwrap_or_else(Probe::Unknown);
            Some(RunMessage::Probed(step, answer))
        })
    }

    fn compensate(&self, step: Step, cx: &Context<RunMessage>) -> AbortHandle {
        let done = self.with_tool(Doing::Compensate(step), step, |tool, call| async move {
            let done = within(limit(&*tool, &call), tool.compensate(call)).await;
            done.unwrap_or_else(|late| Err(ToolError::Failed(late)))
        });
        cx.attach_maybe(async move {
            let done = done
                .await
                .unwrap_or_else(|gone| Err(ToolError::Failed(gone)));
            Some(RunMessage::Compensated(step, done))
        })
    }

    /// Something with the tool of a call, through the gate. A tool that was there when the call was begun may be gone by now.
    pub(super) fn with_tool<R, F, Fut>(
        &self,
        doing: Doing,
        step: Step,
        act: F,
    ) -> impl Future<Output = Result<R, String>> + Send + use<R, F, Fut>
    where
        F: FnOnce(Arc<dyn Tool>, Invocation) -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send,
        R: Send,
    {
        let name = self.state.call(step).map(|call| call.call.name.clone());
        let name = name.unwrap_or_default();
        let (tool, call) = (self.context.tools.get(&name), self.invocation(step));
        let gate = self.part(&doing);
        async move {
            let Some(inside) = gate.enter() else {
                return std::future::pending().await;
            };
            let Some((tool, call)) = tool.zip(call) else {
                return Err(format!("there is no tool `{name}` any more"));
            };
            let done = tokio::select! {
                biased;
                done = act(tool, call) => Some(done),
                () = gate.closed() => None,
            };
            if let Some(done) = done {
                return Ok(done);
            }
            drop(inside);
            std::future::pending().await
        }
    }

    fn ask_room(&self, step: Step, wish: Box<CreateRun>, cx: &Context<RunMessage>) -> AbortHandle {
        let (room, run) = (self.context.room.clone(), self.run);
        let spec = self.state.spec.as_ref();
        let depth = spec.map_or(0, |spec| spec.depth).saturating_add(1);
        let (context, name) = (self.context.clone(), self.name.clone());
        cx.attach(async move {
            match unaffordable(&context, run, &name, &wish).await {
                Ok(None) => {}
                Ok(Some(crowded)) => return RunMessage::NotAffordable(step, crowded),
                Err(error) => return RunMessage::Read(Err(error)),
            }
            let (reply, answer) = Reply::channel();
            let question = RunReport::Delegate {
                run,
                step,
                depth,
                reply,
            };
            room.tell(question).await;
            RunMessage::Granted(step, wish, answer.await.ok())
        })
    }

    fn ensure_child(&self, run: RunId, cx: &Context<RunMessage>) -> AbortHandle {
        let child = self.state.children.get(&run);
        let agent = child.map(|child| child.agent.as_str().into());
        let queued = Queued {
            run,
            agent: agent.unwrap_or_else(|| self.name.clone()),
            parent: Some(self.run),
        };
        self.report(RunReport::Queued(queued), cx)
    }

    pub(super) fn report(&self, report: RunReport, cx: &Context<RunMessage>) -> AbortHandle {
        let room = self.context.room.clone();
        cx.attach_maybe(async move {
            room.tell(report).await;
            None
        })
    }

    fn tell_over(&mut self, cx: &Context<RunMessage>) -> AbortHandle {
        let replies = self.cancel.take().map(|cancel| cancel.replies);
        for reply in replies.into_iter().flatten() {
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

/// How long a call of this tool may take, unless it sees to that itself.
pub(super) fn limit(tool: &dyn Tool, call: &Invocation) -> Option<Duration> {
    (!tool.keeps_limit()).then_some(call.timeout)
}

/// Does something within a tool's limit; `Err` says that it was too late, and then it is dropped.
pub(super) async fn within<R>(
    limit: Option<Duration>,
    work: impl Future<Output = R>,
) -> Result<R, String> {
    let Some(limit) = limit else {
        return Ok(work.await);
    };
    let late = |_| format!("no answer within {limit:?} (tool_timeout); it was stopped");
    tokio::time::timeout(limit, work).await.map_err(late)
}

/// How often a stopped agent is asked again before its run gives up: it may be about to be started by a supervisor further up.
const AGENT_PATIENCE: u32 = 25;

/// How long a stopped agent is left alone before it is asked again.
const AGENT_PAUSE: Duration = Duration::from_millis(200);

async fn ask_agent(
    agent: &Handle<AgentMessage>,
    request: Arc<ModelRequest>,
    gate: &Gate,
    permit: Option<&Arc<Permit>>,
    pulse: &Pulse,
) -> Result<Thought, CallError> {
    let (gate, _abandoned) = gate.within();
    for _ in 0..AGENT_PATIENCE {
        let (request, gate) = (request.clone(), gate.clone());
        let permit = permit.map(Arc::downgrade).unwrap_or_default();
        let pulse = pulse.clone();
        let question = |reply| AgentMessage::Think(request, gate, permit, pulse, reply);
        match agent.ask(question).await {
            Err(CallError::Stopped) => tokio::time::sleep(AGENT_PAUSE).await,
            answer => return answer,
        }
    }
    Err(CallError::Stopped)
}
