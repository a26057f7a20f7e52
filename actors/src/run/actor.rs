//! The run's actor: performs what [`next`] calls for, writes down what comes of it, and folds that.
//!
//! One append is under way at a time; what happens meanwhile goes into the next. No handler waits: model calls, tool calls and
//! appends are attached, and their ends come back as messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use supervision::{Actor, CallError, Context, Exit, Failure, Handle, Init, Reply, Start};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::{AgentMessage, Thought};
use crate::journal::{Journal, JournalError};
use crate::model::event::{Outcome, Resolution};
use crate::model::run::Parent;
use crate::model::{
    AgentName, AgentSpec, CallId, Content, Delegation, EffectClass, Event, EventBody,
    InDoubtPolicy, Place, RunId, RunSpec, RunStatus, Sender, Step, TaskDefinition, TaskId,
    Timestamp, WaitReason,
};
use crate::pool::{Pools, provider_pool};
use crate::recipient::Recipient;
use crate::store::{Append, Blob, Draft, Rejected};
use crate::tool::{Invocation, Probe, ToolError, Toolbox};

use super::context::{self, Scene};
use super::load;
use super::next::{Effect, RetryPolicy, Surroundings, in_doubt, model_call_failed, next, resolve};
use super::snapshot;
use super::state::{Call, CallPhase, RunState};
use super::tools::CreateRun;

/// What all runs of a task share.
#[derive(Clone)]
pub struct RunContext {
    /// The task.
    pub task: TaskId,
    /// Its definition.
    pub definition: Arc<TaskDefinition>,
    /// Where everything is written.
    pub journal: Journal,
    /// Who thinks.
    pub agents: Arc<BTreeMap<AgentName, Handle<AgentMessage>>>,
    /// What can be called.
    pub tools: Arc<Toolbox>,
    /// Where permits come from.
    pub pools: Pools,
    /// How often each agent's provider is tried again.
    pub retries: Arc<BTreeMap<AgentName, RetryPolicy>>,
    /// Whom runs report to.
    pub room: Recipient<RunReport>,
    /// Whom runs tell what was said in the room.
    pub said: Recipient<Arc<Event>>,
}

impl std::fmt::Debug for RunContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// What one run's actor is given.
#[derive(Debug, Clone)]
pub struct RunArguments {
    /// The run.
    pub run: RunId,
    /// Its agent.
    pub agent: AgentName,
    /// What it shares with the others.
    pub context: Arc<RunContext>,
}

/// What runs report to their room.
#[derive(Debug)]
pub enum RunReport {
    /// May this be delegated? Answered with the child's id, or with why not.
    Delegate {
        /// The run that asks.
        run: RunId,
        /// The call that asks; asking again for the same one gives the same id.
        step: Step,
        /// How deep the child would be.
        depth: u32,
        /// Where the answer goes.
        reply: Reply<Result<RunId, String>>,
    },
    /// This run is queued, durably: it is to be started, if it is not.
    Queued(RunId, AgentName),
    /// This run has ended, durably.
    Over(Arc<Event>),
    /// This run is left alone until somebody decides.
    Quarantined(RunId),
    /// This run is still at it.
    Progress(Arc<Event>),
}

/// What a run's actor is told.
#[derive(Debug)]
pub enum RunMessage {
    /// Something that concerns it happened elsewhere, durably: something said in the room, the end of a run it delegated.
    Heard(Arc<Event>),
    /// Somebody cancels it; answered when its end is durable.
    Cancel(String, Reply<()>),
    /// A human decides about what is in doubt; whether there was anything.
    Answer(String, Reply<bool>),
    /// An append has ended.
    Recorded(Result<Vec<Event>, JournalError>),
    /// A model call has ended.
    Thought(Box<Result<Thought, CallError>>),
    /// A tool call has ended.
    Called(Step, u64, Result<String, ToolError>),
    /// A tool was asked whether a call took effect.
    Probed(Step, Probe),
    /// A compensation has ended.
    Compensated(Step, Result<String, ToolError>),
    /// The room has answered.
    Granted(Step, Box<CreateRun>, Result<RunId, String>),
    /// It waits.
    Waits(WaitReason),
    /// It may be time.
    Wake,
    /// It is time to say how it is getting on.
    Progress,
    /// The room knows that it is over.
    OverTold,
}

impl From<Arc<Event>> for RunMessage {
    fn from(event: Arc<Event>) -> Self {
        Self::Heard(event)
    }
}

/// What is under way in this incarnation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    Think,
    Call(Step),
    Probe(Step),
    Compensate(Step),
    Delegate(Step),
    Child(RunId),
    Wake(Timestamp),
    Over,
}

/// Something to be written: an event of this run, or the beginning of one it delegates.
#[derive(Debug, Clone)]
enum Out {
    Own(EventBody),
    Child(RunId, AgentName, Box<RunSpec>),
}

struct RunActor {
    run: RunId,
    name: AgentName,
    context: Arc<RunContext>,
    state: RunState,
    /// The parent's conversation, where the run was given it.
    inherited: Option<String>,
    /// Texts of blobs, by hash.
    blobs: HashMap<String, String>,
    outbox: Vec<Out>,
    is_recording: bool,
    doing: BTreeMap<Doing, AbortHandle>,
    cancel: Option<(String, Vec<Reply<()>>)>,
    last_snapshot: u64,
    is_telling_progress: bool,
    /// The event of its end, once it is durable.
    end: Option<Arc<Event>>,
}

/// How a run's actor is started.
pub fn start(reads: supervision::Inbox<RunMessage>, arguments: RunArguments) -> Start {
    let name = arguments.run.to_string();
    Start::init(reads, move |cx| {
        let (arguments, incarnation) = (arguments.clone(), cx.incarnation());
        let wake = cx.handle();
        async move {
            let begun = load::begin(&arguments, incarnation).await?;
            let Some(loaded) = begun else {
                return Ok(Init::Declined);
            };
            let last_snapshot = loaded.state.head;
            let actor = RunActor {
                run: arguments.run,
                name: arguments.agent,
                context: arguments.context,
                state: loaded.state,
                inherited: loaded.inherited,
                blobs: loaded.blobs,
                outbox: Vec::new(),
                is_recording: false,
                doing: BTreeMap::new(),
                cancel: None,
                last_snapshot,
                is_telling_progress: false,
                end: None,
            };
            // The first look; should the inbox be full, any other message does as well.
            let _ = wake.try_send(RunMessage::Wake);
            Ok(Init::Up(actor))
        }
    })
    .named(name)
}

impl Actor for RunActor {
    type Message = RunMessage;

    async fn handle(
        &mut self,
        message: RunMessage,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        match message {
            RunMessage::Heard(event) => self.state.fold(&event),
            RunMessage::Recorded(result) => self.recorded(result, cx)?,
            RunMessage::Thought(thought) => self.thought(*thought),
            RunMessage::Called(step, epoch, result) => self.called(step, epoch, result),
            RunMessage::Probed(step, probe) => self.probed(step, probe),
            RunMessage::Compensated(step, result) => self.compensated(step, result),
            RunMessage::Granted(step, wish, answer) => self.granted(step, *wish, answer),
            RunMessage::Waits(reason) => self.waits(reason),
            RunMessage::Cancel(reason, reply) => self.cancelled(reason, reply),
            RunMessage::Answer(text, reply) => reply.send(self.answered(&text)),
            RunMessage::Wake => self
                .doing
                .retain(|doing, _| !matches!(doing, Doing::Wake(_))),
            RunMessage::Progress => self.say_progress(cx),
            RunMessage::OverTold => cx.exit(Exit::Normal),
        }
        self.drive(cx);
        Ok(())
    }
}

impl RunActor {
    fn agent(&self) -> AgentSpec {
        self.context
            .definition
            .agents
            .get(&self.name)
            .cloned()
            .unwrap_or_default()
    }

    fn retry(&self) -> RetryPolicy {
        self.context
            .retries
            .get(&self.name)
            .copied()
            .unwrap_or_default()
    }

    /// Writes what is to be written, or looks what is to be done.
    fn drive(&mut self, cx: &Context<RunMessage>) {
        if !std::mem::replace(&mut self.is_telling_progress, true) {
            self.arm_progress(cx);
        }
        if self.is_recording {
            return;
        }
        self.prepare_cancel();
        if self.outbox.is_empty() && self.cancel.is_none() {
            for effect in self.next() {
                self.perform(effect, cx);
            }
        }
        if self.state.status.is_terminal() {
            self.outbox.clear();
            self.perform(Effect::Over, cx);
        } else if !self.outbox.is_empty() {
            self.record(cx);
        }
    }

    fn next(&self) -> Vec<Effect> {
        let agent = self.agent();
        let around = Surroundings {
            now: self.context.journal.clock().now(),
            name: &self.name,
            agent: &agent,
            colleagues: &self.context.definition.available_agents,
            tools: self.context.tools.specs(),
            limits: &self.context.definition.limits,
            retry: self.retry(),
        };
        next(&self.state, &around)
    }

    // ---- writing

    fn write(&mut self, bodies: impl IntoIterator<Item = EventBody>) {
        self.outbox.extend(bodies.into_iter().map(Out::Own));
    }

    fn record(&mut self, cx: &Context<RunMessage>) {
        let at = self.context.journal.clock().now();
        let mut own_epoch = self.state.epoch;
        let mut blobs = Vec::new();
        let mut drafts = Vec::new();
        for out in std::mem::take(&mut self.outbox) {
            let (run, agent, epoch, body) = match out {
                Out::Own(body) => {
                    own_epoch += u64::from(body.is_claim());
                    (
                        self.run,
                        self.name.clone(),
                        own_epoch,
                        self.to_blob(body, &mut blobs),
                    )
                }
                Out::Child(run, agent, spec) => (run, agent, 0, EventBody::RunQueued { spec }),
            };
            drafts.push(Draft {
                run: Some(run),
                agent: Some(agent),
                at,
                epoch,
                cause: Some(self.state.head),
                body,
            });
        }
        let append = Append {
            task: self.context.task,
            fence: Some((self.run, self.state.epoch)),
            drafts,
            blobs,
        };
        let journal = self.context.journal.clone();
        self.is_recording = true;
        let _ = cx.attach(async move { RunMessage::Recorded(journal.append(append).await) });
    }

    /// Long texts go to blobs, so that a journal stays quick to read.
    fn to_blob(&mut self, body: EventBody, blobs: &mut Vec<Blob>) -> EventBody {
        let limit = self.context.definition.limits.inline_bytes as usize;
        let mut store = |content: Content| match content {
            Content::Inline(text) if text.len() > limit => {
                let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
                let preview = text[..text.floor_char_boundary(200)].to_owned();
                let bytes = text.len() as u64;
                blobs.push(Blob {
                    hash: hash.clone(),
                    bytes: text.clone().into_bytes(),
                });
                self.blobs.insert(hash.clone(), text);
                Content::Blob {
                    blob: hash,
                    bytes,
                    preview,
                }
            }
            content => content,
        };
        match body {
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } => EventBody::ToolCallCompleted {
                step,
                outcome,
                content: store(content),
            },
            EventBody::RunCompleted { result, usage } => EventBody::RunCompleted {
                result: store(result),
                usage,
            },
            EventBody::Message {
                from,
                content,
                about,
            } => EventBody::Message {
                from,
                content: store(content),
                about,
            },
            body => body,
        }
    }

    fn recorded(
        &mut self,
        result: Result<Vec<Event>, JournalError>,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        self.is_recording = false;
        let events = match result {
            Ok(events) => events,
            Err(JournalError::Rejected(rejected)) => return self.rejected(&rejected, cx),
            Err(error) => return Err(error.into()),
        };
        for event in events {
            self.state.fold(&event);
            self.tell(Arc::new(event), cx);
        }
        self.take_snapshot(cx);
        Ok(())
    }

    /// A later incarnation has the run, or it was ended from outside: nothing more is done here.
    fn rejected(
        &mut self,
        rejected: &Rejected,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        tracing::info!(run = %self.run, "the run's actor stops: {rejected}");
        self.abort_all();
        self.outbox.clear();
        self.is_recording = true;
        cx.exit(Exit::Normal);
        Ok(())
    }

    fn tell(&mut self, event: Arc<Event>, cx: &Context<RunMessage>) {
        match &event.body {
            EventBody::TaskMessage { .. } => {
                let said = self.context.said.clone();
                let _ = cx.attach_maybe(async move {
                    said.tell(event).await;
                    None
                });
            }
            EventBody::ToolCallCompleted { step, .. } => self.settle(*step, 0, cx),
            EventBody::ToolCallResolved {
                step,
                resolution: Resolution::Retried,
                ..
            } => self.settle(*step, 1, cx),
            EventBody::RunProgress { .. } => drop(self.report(RunReport::Progress(event), cx)),
            body if body.is_run_end() && event.run_id == Some(self.run) => self.end = Some(event),
            _ => {}
        }
    }

    /// The result is durable, or what became of it is decided: whoever kept it for us may forget it.
    fn settle(&self, step: Step, retries_ago: u32, cx: &Context<RunMessage>) {
        let Some(call) = self.state.call(step) else {
            return;
        };
        if let Some(tool) = self.context.tools.get(&call.call.name) {
            let retries = call.retries.saturating_sub(retries_ago);
            let (call_id, project) = (
                CallId::again(self.run, step, self.counted(call, retries)),
                self.context.definition.project.clone(),
            );
            let _ = cx.attach_maybe(async move {
                tool.settled(call_id, project).await;
                None
            });
        }
    }

    fn take_snapshot(&mut self, cx: &Context<RunMessage>) {
        if self.state.head < self.last_snapshot + snapshot::EVERY {
            return;
        }
        self.last_snapshot = self.state.head;
        let (context, run, name) = (self.context.clone(), self.run, self.name.clone());
        let _ = cx.attach_maybe(async move {
            if let Err(error) = load::take_snapshot(&context, run, &name).await {
                tracing::warn!(%run, "no snapshot was taken: {error}");
            }
            None
        });
    }

    // ---- doing

    fn perform(&mut self, effect: Effect, cx: &Context<RunMessage>) {
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

    fn think(&self, seen: u64, cx: &Context<RunMessage>) -> Option<AbortHandle> {
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
    fn counted(&self, call: &Call, retries: u32) -> u32 {
        let class = self.agent().effects.get(&call.call.name).copied();
        let own = || self.context.tools.specs().get(&call.call.name);
        let in_node = own().is_some_and(|spec| spec.place == Place::Node);
        match class.or_else(|| own().map(|spec| spec.effect)) {
            Some(EffectClass::Keyed) if in_node => 0,
            _ => retries,
        }
    }

    fn invocation(&self, step: Step) -> Option<Invocation> {
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

    fn call(&self, step: Step, cx: &Context<RunMessage>) -> Option<AbortHandle> {
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

    fn with_tool<F, Fut>(&self, step: Step, cx: &Context<RunMessage>, act: F) -> Option<AbortHandle>
    where
        F: FnOnce(Arc<dyn crate::tool::Tool>, Invocation, Step) -> Fut,
        Fut: Future<Output = RunMessage> + Send + 'static,
    {
        let tool = self.context.tools.get(&self.state.call(step)?.call.name)?;
        Some(cx.attach(act(tool, self.invocation(step)?, step)))
    }

    fn ask_room(&self, step: Step, wish: Box<CreateRun>, cx: &Context<RunMessage>) -> AbortHandle {
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

    fn ensure_child(&self, run: RunId, cx: &Context<RunMessage>) -> Option<AbortHandle> {
        let agent = self.state.children.get(&run)?.agent.as_str().into();
        Some(self.report(RunReport::Queued(run, agent), cx))
    }

    fn report(&self, report: RunReport, cx: &Context<RunMessage>) -> AbortHandle {
        let room = self.context.room.clone();
        cx.attach_maybe(async move {
            room.tell(report).await;
            None
        })
    }

    fn tell_over(&mut self, cx: &Context<RunMessage>) -> AbortHandle {
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

    // ---- what came of it

    fn thought(&mut self, thought: Result<Thought, CallError>) {
        self.doing.remove(&Doing::Think);
        let turn = self.state.turn;
        match thought {
            Ok(Ok(reply)) => self.write([EventBody::ModelCallCompleted {
                turn,
                text: reply.text,
                calls: reply.calls,
                usage: reply.usage,
                stop: reply.stop,
                opaque: reply.opaque,
            }]),
            Ok(Err(error)) => {
                let body = model_call_failed(&self.state, &error, self.retry());
                self.write([body]);
            }
            Err(CallError::Stopped) => {
                let error = format!("agent `{}` has stopped and is not coming back", self.name);
                self.write([EventBody::RunFailed {
                    error,
                    usage: self.state.usage,
                }]);
            }
            Err(error) => self.agent_crashed(&error.to_string()),
        }
    }

    /// The run is claimed anew under a higher epoch, by the agent's recovery policy.
    fn agent_crashed(&mut self, error: &str) {
        let reason = format!("agent `{}` crashed: {error}", self.name);
        self.write(load::claim(
            &self.state,
            self.agent().recovery,
            &self.context.definition.limits,
            &reason,
        ));
    }

    fn called(&mut self, step: Step, epoch: u64, result: Result<String, ToolError>) {
        self.doing.remove(&Doing::Call(step));
        let (outcome, text) = match result {
            Ok(text) => (Outcome::Ok, text),
            Err(ToolError::Failed(why)) => (Outcome::Error, why),
            Err(ToolError::Unknown(why)) => return self.unknown(step, &why),
        };
        let content = Content::Inline(text);
        if epoch != self.state.epoch {
            self.write([EventBody::ToolCallLate {
                step,
                started_epoch: epoch,
                outcome,
                content,
            }]);
        } else if self.state.call(step).is_some_and(|call| call.is_open()) {
            self.write([EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            }]);
        }
    }

    fn unknown(&mut self, step: Step, why: &str) {
        let class = match self.state.call(step).map(|call| &call.phase) {
            Some(CallPhase::Started { class, .. }) => *class,
            _ => return,
        };
        if class.records_start() {
            self.doubt(step, why);
        } else {
            self.complete(step, Outcome::Error, why.to_owned());
        }
    }

    fn complete(&mut self, step: Step, outcome: Outcome, text: String) {
        self.write([EventBody::ToolCallCompleted {
            step,
            outcome,
            content: Content::Inline(text),
        }]);
    }

    fn doubt(&mut self, step: Step, why: &str) {
        let bodies = in_doubt(&self.state, step, why, self.agent().in_doubt);
        self.write(bodies);
    }

    fn probed(&mut self, step: Step, probe: Probe) {
        self.doing.remove(&Doing::Probe(step));
        let Some(CallPhase::Started { class, .. }) =
            self.state.call(step).map(|call| call.phase.clone())
        else {
            return;
        };
        match probe {
            Probe::Done(text) => self.complete(step, Outcome::Ok, text),
            Probe::Failed(why) => self.complete(step, Outcome::Error, why),
            Probe::NotDone => {
                let tool = self
                    .state
                    .call(step)
                    .map(|call| call.call.name.clone())
                    .unwrap_or_default();
                self.write([EventBody::ToolCallStarted { step, tool, class }]);
            }
            Probe::Unknown(why) => self.doubt(step, &why),
        }
    }

    fn compensated(&mut self, step: Step, result: Result<String, ToolError>) {
        self.doing.remove(&Doing::Compensate(step));
        let Some(CallPhase::InDoubt { reason, .. }) =
            self.state.call(step).map(|call| call.phase.clone())
        else {
            return;
        };
        let bodies = match result {
            Ok(note) => resolve(
                step,
                Sender::System,
                Resolution::Compensated { note },
                &reason,
            ),
            Err(error) => in_doubt(
                &self.state,
                step,
                &format!("{reason}; {error}"),
                InDoubtPolicy::Ask,
            ),
        };
        self.write(bodies);
    }

    fn granted(&mut self, step: Step, wish: CreateRun, answer: Result<RunId, String>) {
        self.doing.remove(&Doing::Delegate(step));
        if !matches!(
            self.state.call(step).map(|call| &call.phase),
            Some(CallPhase::Planned)
        ) {
            return;
        }
        let child = match answer {
            Ok(child) => child,
            Err(limit) => {
                let content = Content::Inline(format!("not delegated: {limit}"));
                return self.write([
                    EventBody::BudgetExceeded { limit },
                    EventBody::ToolCallCompleted {
                        step,
                        outcome: Outcome::Error,
                        content,
                    },
                ]);
            }
        };
        let spec = self.child_spec(step, &wish);
        let agent = spec.agent.clone();
        let class = EffectClass::Transactional;
        self.write([EventBody::ToolCallStarted {
            step,
            tool: super::tools::CREATE_RUN.to_owned(),
            class,
        }]);
        self.outbox
            .push(Out::Child(child, spec.agent.clone(), Box::new(spec)));
        if wish.mode == Delegation::Background {
            let content = Content::Inline(format!(
                "{child} of {agent} was started; its result comes as a message"
            ));
            self.write([EventBody::ToolCallCompleted {
                step,
                outcome: Outcome::Ok,
                content,
            }]);
        }
    }

    fn child_spec(&self, step: Step, wish: &CreateRun) -> RunSpec {
        let agent = wish.agent.clone().unwrap_or_else(|| self.name.clone());
        RunSpec {
            worker: agent == self.name,
            agent,
            title: wish.title(),
            input: wish.input.clone(),
            depth: self.state.spec.as_ref().map_or(0, |spec| spec.depth) + 1,
            context: wish.context,
            snippets: wish.snippets.clone(),
            parent: Some(Parent {
                run: self.run,
                step,
                delegation: wish.mode,
                up_to: self.state.head,
            }),
        }
    }

    /// A delegated run says so at an interval, unless it waits for a person: that may take days.
    fn say_progress(&mut self, cx: &Context<RunMessage>) {
        let (turn, tokens, doing) = (
            self.state.turn,
            self.state.usage.tokens(),
            self.what_it_does(),
        );
        let for_a_person = matches!(self.state.waiting, Some(WaitReason::Human { .. }));
        if self.state.status == RunStatus::Running && self.cancel.is_none() && !for_a_person {
            self.write([EventBody::RunProgress {
                turn,
                doing,
                tokens,
            }]);
        }
        self.arm_progress(cx);
    }

    fn arm_progress(&self, cx: &Context<RunMessage>) {
        let every =
            std::time::Duration::from_millis(self.context.definition.limits.progress_ms.max(1_000));
        if self
            .state
            .spec
            .as_ref()
            .is_some_and(|spec| spec.parent.is_some())
        {
            let _ = cx.after(every, RunMessage::Progress);
        }
    }

    fn what_it_does(&self) -> String {
        let call = |doing: &Doing| match doing {
            Doing::Call(step) | Doing::Probe(step) | Doing::Compensate(step) => self
                .state
                .call(*step)
                .map(|call| format!("calling {}", call.call.name)),
            Doing::Think => Some("thinking".to_owned()),
            _ => None,
        };
        self.doing
            .keys()
            .find_map(call)
            .unwrap_or_else(|| "waiting".to_owned())
    }

    fn waits(&mut self, reason: WaitReason) {
        let is_active = !self.state.status.is_terminal() && self.cancel.is_none();
        if is_active && self.state.waiting.as_ref() != Some(&reason) {
            self.write([EventBody::RunWaiting { reason }]);
        }
    }

    fn answered(&mut self, text: &str) -> bool {
        let doubts: Vec<_> = self
            .state
            .open_calls()
            .filter_map(|(step, call)| match &call.phase {
                CallPhase::InDoubt {
                    policy: InDoubtPolicy::Ask,
                    reason,
                } => Some((step, reason.clone())),
                _ => None,
            })
            .collect();
        for (step, reason) in &doubts {
            let resolution = match text {
                "retry" => Resolution::Retried,
                text => Resolution::Answered {
                    result: text.to_owned(),
                },
            };
            self.write(resolve(*step, Sender::Human, resolution, reason));
        }
        if !doubts.is_empty() {
            self.write([EventBody::TaskResumed {
                answer: text.to_owned(),
            }]);
        }
        !doubts.is_empty()
    }

    // ---- cancelling

    fn cancelled(&mut self, reason: String, reply: Reply<()>) {
        if self.state.status.is_terminal() {
            return reply.send(());
        }
        self.abort_all();
        self.cancel
            .get_or_insert_with(|| (reason, Vec::new()))
            .1
            .push(reply);
    }

    fn abort_all(&mut self) {
        for handle in std::mem::take(&mut self.doing).into_values() {
            handle.abort();
        }
    }

    /// After a cancel only the end is written, and before it what had already come in.
    fn prepare_cancel(&mut self) {
        let Some((reason, _)) = &self.cancel else {
            return;
        };
        if self.state.status.is_terminal() {
            return;
        }
        let reason = reason.clone();
        self.outbox.retain(|out| {
            matches!(
                out,
                Out::Own(
                    EventBody::ToolCallCompleted { .. } | EventBody::ModelCallCompleted { .. }
                )
            )
        });
        let doubts: Vec<_> = self
            .state
            .open_calls()
            .filter_map(|(step, call)| match &call.phase {
                CallPhase::Started { class, .. } if class.records_start() => {
                    Some((step, call.call.name.clone()))
                }
                _ => None,
            })
            .collect();
        for (step, tool) in doubts {
            let reason = "it was cancelled while it ran".to_owned();
            self.write([EventBody::ToolCallInDoubt {
                step,
                tool,
                reason,
                policy: InDoubtPolicy::TellModel,
            }]);
        }
        self.write([EventBody::RunCancelled {
            reason,
            usage: self.state.usage,
        }]);
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
