//! The run's actor: performs what [`next`] calls for, writes down what comes of it, and folds that.
//!
//! One append is under way at a time; what happens meanwhile goes into the next. No handler waits: model calls, tool calls and
//! appends are attached, and their ends come back as messages.

mod came_of_it;
mod cancel;
mod hang;
mod perform;
mod permit;
mod progress;
mod reading;
mod record;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use supervision::{Actor, CallError, Context, Exit, Failure, Handle, Init, Reply, Start};
use tokio::task::AbortHandle;

use crate::agent::{AgentMessage, Gate, Thought};
use crate::journal::{Journal, JournalError};
use crate::model::{
    AgentName, AgentSpec, Attention, Event, EventBody, RunId, RunSpec, Step, TaskDefinition,
    TaskId, Timestamp, WaitReason,
};
use crate::pool::{Permit, Pools, Refused};
use crate::recipient::Recipient;
use crate::store::StoreError;
use crate::tool::{Probe, ToolError, Toolbox};
use crate::topology::routing::Wiring;

use self::cancel::Cancelling;
pub(crate) use self::hang::limits_of as hang_limits;
use self::reading::Reading;
use super::load;
use super::next::{Effect, RetryPolicy, Surroundings, next};
use super::read::Meanwhile;
use super::state::RunState;
use super::tools::CreateRun;

/// What all runs of a task share.
#[derive(Clone)]
pub struct RunContext {
    /// The task.
    pub task: TaskId,
    /// Its definition.
    pub definition: Arc<TaskDefinition>,
    /// Who hears whom in the room, to begin with.
    pub wiring: Wiring,
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
    Queued(Queued),
    /// This run has ended, durably.
    Over(Arc<Event>),
    /// This run is left alone until somebody decides.
    Quarantined(RunId),
    /// This run is still at it.
    Progress(Arc<Event>),
}

/// A run that is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The run.
    pub run: RunId,
    /// Who does it.
    pub agent: AgentName,
    /// Who delegated it.
    pub parent: Option<RunId>,
}

/// What a run's actor is told.
#[derive(Debug)]
pub enum RunMessage {
    /// Something that concerns it happened elsewhere, durably: something said in the room, the end of a run it delegated. The run
    /// reads it from the journal, in order and with everything else.
    Heard(Arc<Event>),
    /// What happened elsewhere since it looked last.
    Read(Result<Meanwhile, StoreError>),
    /// Somebody cancels it; answered when its end is durable.
    Cancel(String, Reply<()>),
    /// A human decides about what is in doubt: the question, the answer, and what else is open; whether it was still asked.
    Answer(String, String, Vec<Attention>, Reply<bool>),
    /// An append has ended.
    Recorded(Result<Vec<Event>, JournalError>),
    /// The permit for a model call has come, or does not come.
    Permitted(Result<Permit, Refused>),
    /// A model call has ended.
    Thought(Box<Result<Thought, CallError>>),
    /// A tool call has ended.
    Called(Step, u64, Result<String, ToolError>),
    /// A tool was asked whether a call took effect.
    Probed(Step, Probe),
    /// A compensation has ended.
    Compensated(Step, Result<String, ToolError>),
    /// The room has answered, unless it was restarted over the question.
    Granted(Step, Box<CreateRun>, Option<Result<RunId, String>>),
    /// Calls that were told to stop have had time enough.
    GraceOver,
    /// Nothing that the run had begun is left.
    Quiet,
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
    Permit,
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
    reading: Reading,
    /// For the model call that is made next.
    permit: Option<Permit>,
    doing: BTreeMap<Doing, AbortHandle>,
    cancel: Option<Cancelling>,
    /// Who answered a question, until that is durable.
    answering: Option<Reply<bool>>,
    gate: Gate,
    last_snapshot: u64,
    is_telling_progress: bool,
    /// The event of its end, once it is durable.
    end: Option<Arc<Event>>,
}

/// How a run's actor is started.
pub fn start(reads: supervision::Inbox<RunMessage>, arguments: RunArguments) -> Start {
    let (name, limits) = (arguments.run.to_string(), hang::limits(&arguments));
    let start = Start::init(reads, move |cx| {
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
                reading: Reading::new(loaded.read_to),
                permit: None,
                doing: BTreeMap::new(),
                cancel: None,
                answering: None,
                gate: Gate::default(),
                last_snapshot,
                is_telling_progress: false,
                end: None,
            };
            // The first look; should the inbox be full, any other message does as well.
            let _ = wake.try_send(RunMessage::Wake);
            Ok(Init::Up(actor))
        }
    });
    match limits {
        Some(limits) => start.named(name).hang(limits),
        None => start.named(name),
    }
}

impl Actor for RunActor {
    type Message = RunMessage;

    async fn handle(
        &mut self,
        message: RunMessage,
        cx: &mut Context<RunMessage>,
    ) -> Result<(), Failure> {
        match message {
            RunMessage::Heard(_) => {}
            RunMessage::Read(meanwhile) => return self.read(meanwhile?, cx),
            RunMessage::Recorded(result) => self.recorded(result, cx)?,
            RunMessage::Permitted(permit) => self.permitted(permit),
            RunMessage::Thought(thought) => self.thought(*thought),
            RunMessage::Called(step, epoch, result) => self.called(step, epoch, result),
            RunMessage::Probed(step, probe) => self.probed(step, probe),
            RunMessage::Compensated(step, result) => self.compensated(step, result),
            RunMessage::Granted(step, wish, answer) => self.granted(step, *wish, answer),
            RunMessage::Waits(reason) => self.waits(reason),
            RunMessage::Cancel(reason, reply) => self.cancelled(reason, reply, cx),
            RunMessage::GraceOver => self.abort_all(),
            RunMessage::Quiet => self.quiet(),
            RunMessage::Answer(question, text, rest, reply) => {
                self.answered(&question, text, rest, reply);
            }
            RunMessage::Wake => self
                .doing
                .retain(|doing, _| !matches!(doing, Doing::Wake(_))),
            RunMessage::Progress => self.say_progress(cx),
            RunMessage::OverTold => cx.exit(Exit::Normal),
        }
        self.reading.is_current = false;
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
        let is_stopping = self.is_stopping(cx);
        if self.is_recording {
            return;
        }
        if self.state.status.is_terminal() {
            self.outbox.clear();
            return self.perform(Effect::Over, cx);
        }
        if is_stopping {
            return;
        }
        self.prepare_cancel();
        if self.outbox.is_empty() && self.is_up_to_date(cx) {
            for effect in self.next() {
                self.perform(effect, cx);
            }
        }
        if !self.outbox.is_empty() {
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
            is_permitted: self.permit.is_some(),
        };
        next(&self.state, &around)
    }
}
