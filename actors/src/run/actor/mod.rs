//! The run's actor: performs what [`next`] calls for, writes down what comes of it, and folds that.
//!
//! One append is under way at a time; what happens meanwhile goes into the next. No handler waits: model calls, tool calls and
//! appends are attached, and their ends come back as messages.

mod busy;
mod calls;
mod came_of_it;
mod cancel;
mod foresight;
mod hang;
pub mod limits;
mod pausing;
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
use crate::budget::{self, Admission, Caller, Purse, Standing, TimeLeft};
use crate::journal::{Journal, JournalError};
use crate::model::executor::ExecutorName;
use crate::model::{
    AgentName, AgentSpec, Budget, Event, EventBody, Exceeded, RunId, RunSpec, Scope, Sender, Seq,
    Step, TaskDefinition, TaskId, Timestamp, WaitReason,
};
use crate::pool::{Permit, Pools, Refused};
use crate::recipient::Recipient;
use crate::store::{Cause, StoreError};
use crate::tool::{Probe, ToolError, Toolbox};
use crate::topology::routing::Wiring;

pub use self::came_of_it::Answer;
use self::cancel::Cancelling;
pub(crate) use self::hang::limits_of as hang_limits;
use self::reading::Reading;
use super::cause::Reason;
use super::load;
use super::next::{Effect, RetryPolicy, Surroundings, next};
use super::read::Meanwhile;
use super::state::RunState;
use super::tools::{CreateRun, PostMessage};

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
    /// How an agent is that the definition does not have.
    pub nobody: AgentSpec,
    /// What the task has used up and set aside.
    pub purse: Purse,
    /// Whom runs report to.
    pub room: Recipient<RunReport>,
    /// Whom runs tell what was said in the room.
    pub said: Recipient<Arc<Event>>,
}

impl RunContext {
    /// Whether anything of the task has a budget.
    #[must_use]
    pub fn is_budgeted(&self) -> bool {
        let is = |budget: &Budget| *budget != Budget::default();
        let of_agents = self.definition.agents.values();
        is(&self.definition.limits.budget) || of_agents.map(|agent| &agent.budget).any(is)
    }

    /// Whose call it is that one of its runs makes.
    #[must_use]
    pub fn caller(&self, run: RunId) -> Caller<'_> {
        Caller {
            task: self.task,
            definition: &self.definition,
            run,
        }
    }
}

/// Whether an effect sets something aside for a model call.
fn sets_aside(effect: &Effect) -> bool {
    let is_start = |body: &EventBody| matches!(body, EventBody::ModelCallStarted { .. });
    matches!(effect, Effect::Record(bodies) if bodies.iter().any(is_start))
}

/// Whether whoever does this goes on to a model call at once. Nobody holds a permit while a person is waited for.
fn keeps_permit(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Record(_) | Effect::Permit | Effect::Admit(_) | Effect::Think { .. }
    )
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
    /// Through it goes everything it begins, whichever incarnation it is.
    pub gate: Gate,
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
    /// Is any run of this agent at work?
    IsBusy(AgentName, Reply<bool>),
    /// This run is queued, durably: it is to be started, if it is not.
    Queued(Queued),
    /// This run has ended, durably.
    Over(Arc<Event>),
    /// This run is left alone until somebody decides.
    Quarantined(RunId),
    /// This run is in the hands of somebody else, who says nothing here: another node that was taken for dead, and is not.
    Elsewhere(RunId),
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
    /// Somebody pauses it; answered when that is durable: from then on it begins nothing.
    Pause(Sender, Scope, Reply<()>),
    /// Somebody lets it go on; answered when that is durable.
    Resume(Sender, Reply<()>),
    /// It is about to be cancelled: it stops everything, and writes nothing before it is told to end.
    Halt(Reason),
    /// Somebody cancels it; answered when its end is durable.
    Cancel(Reason, Reply<()>),
    /// A human decides about what is in doubt; whether it was still asked.
    Answer(Box<Answer>, Reply<bool>),
    /// An append has ended.
    Recorded(Result<Vec<Event>, JournalError>),
    /// The permit for a model call has come, or does not come.
    Permitted(Result<Permit, Refused>),
    /// A model call has ended.
    Thought(Box<Result<Thought, CallError>>),
    /// Its next model call may be made, or may not.
    Admitted(Result<Admission, budget::Refused>),
    /// What it wanted to delegate can not be paid.
    NotAffordable(Step, Exceeded),
    /// Its time is over.
    OutOfTime(TimeLeft),
    /// A tool call has ended.
    Called(Step, u64, Result<String, ToolError>),
    /// A tool was asked whether a call took effect.
    Probed(Step, Probe),
    /// A compensation has ended.
    Compensated(Step, Result<String, ToolError>),
    /// Whether this may be said to an agent that takes nothing while it is busy; not known if the room was restarted.
    MaySay(Step, PostMessage, Option<bool>),
    /// The room has answered, unless it was restarted over the question.
    Granted(Step, Box<CreateRun>, Option<Result<RunId, String>>),
    /// Calls that were told to stop have had time enough.
    GraceOver,
    /// Nothing that the run had begun is left.
    Quiet,
    /// It waits.
    Waits(WaitReason),
    /// A call of it does.
    CallWaits(Step, WaitReason),
    /// A call that was begun under this epoch is about to go to this executor, or again to the one it went to; answered when that is
    /// durable.
    GoesTo(Step, u64, Option<ExecutorName>, Reply<()>),
    /// It is up.
    Up,
    /// It may be time, or it may have missed something.
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Doing {
    Permit,
    Admit,
    Think,
    Call(Step),
    Probe(Step),
    Compensate(Step),
    Delegate(Step),
    Say(Step),
    Child(RunId),
    Wake(Timestamp),
    Over,
}

/// Something to be written: an event of this run, or the beginning of one it delegates.
#[derive(Debug, Clone)]
enum Out {
    Own(EventBody),
    /// An event of this run that another led to than its own journal would say.
    After(Seq, EventBody),
    /// An event that follows from those before it, and what leads to it.
    Foreseen(EventBody, Option<Cause>),
    Child(RunId, AgentName, Box<RunSpec>),
}

impl Out {
    fn own(&self) -> Option<&EventBody> {
        match self {
            Self::Own(body) => Some(body),
            Self::After(..) | Self::Foreseen(..) | Self::Child(..) => None,
        }
    }

    /// What leads to it, where that is not for the run's journal to say.
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::After(cause, _) => Some(Cause::Event(*cause)),
            Self::Foreseen(_, cause) => *cause,
            Self::Own(_) | Self::Child(..) => None,
        }
    }
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
    /// How the budgets stood when the journal was read last.
    standing: Standing,
    /// Its turn to set something aside, until what it has is durable.
    admission: Option<Admission>,
    doing: BTreeMap<Doing, AbortHandle>,
    /// The parts of its gate for what it is doing.
    parts: HashMap<Doing, Gate>,
    /// Who paused it, and who let it go on, until that is durable.
    pausing: Vec<Reply<()>>,
    resuming: Vec<Reply<()>>,
    cancel: Option<Cancelling>,
    /// Who answered a question, until that is durable.
    answering: Option<Reply<bool>>,
    /// Calls that go to an executor as soon as that is durable.
    sending: BTreeMap<Step, Reply<()>>,
    gate: Gate,
    /// How many events it has folded since its last snapshot.
    unsaved: u64,
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
            let actor = RunActor {
                run: arguments.run,
                name: arguments.agent,
                context: arguments.context,
                state: loaded.state,
                inherited: loaded.inherited,
                blobs: loaded.blobs,
                outbox: loaded.claim.into_iter().map(Out::Own).collect(),
                is_recording: false,
                reading: Reading::new(loaded.read_to),
                permit: None,
                standing: Standing::default(),
                admission: None,
                doing: BTreeMap::new(),
                parts: HashMap::new(),
                pausing: Vec::new(),
                resuming: Vec::new(),
                cancel: None,
                answering: None,
                sending: BTreeMap::new(),
                gate: arguments.gate,
                unsaved: 0,
                is_telling_progress: false,
                end: None,
            };
            // The first look; should the inbox be full, any other message does as well.
            let _ = wake.try_send(RunMessage::Up);
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
            RunMessage::Heard(event) => {
                self.doubts(&event);
                self.heard(&event);
            }
            RunMessage::Read(meanwhile) => return self.read(meanwhile?, cx),
            RunMessage::Recorded(result) => self.recorded(result, cx)?,
            RunMessage::Permitted(permit) => self.permitted(permit),
            RunMessage::Thought(thought) => self.thought(*thought),
            RunMessage::Admitted(admitted) => self.admitted(admitted)?,
            RunMessage::NotAffordable(step, crowded) => self.not_affordable(step, crowded),
            RunMessage::OutOfTime(over) => self.out_of_time(over, cx),
            RunMessage::Called(step, epoch, result) => self.called(step, epoch, result),
            RunMessage::Probed(step, probe) => self.probed(step, probe),
            RunMessage::Compensated(step, result) => self.compensated(step, result),
            RunMessage::Granted(step, wish, answer) => self.granted(step, *wish, answer),
            RunMessage::MaySay(step, wish, may) => self.may_say(step, &wish, may),
            RunMessage::Waits(reason) => self.waits(reason),
            RunMessage::CallWaits(step, reason) => self.call_waits(step, reason),
            RunMessage::GoesTo(step, epoch, executor, reply) => {
                self.goes_to(step, epoch, executor, reply);
            }
            RunMessage::Pause(by, scope, reply) => self.pause(by, scope, reply),
            RunMessage::Resume(by, reply) => self.resume(by, reply),
            RunMessage::Halt(reason) => self.halt(reason, cx),
            RunMessage::Cancel(reason, reply) => self.cancelled(reason, reply, cx),
            RunMessage::GraceOver => self.abort_all(),
            RunMessage::Quiet => self.quiet(),
            RunMessage::Answer(answer, reply) => self.answered(*answer, reply),
            RunMessage::Up => {}
            RunMessage::Wake => {
                self.reading.is_in_doubt = true;
                self.doing
                    .retain(|doing, _| !matches!(doing, Doing::Wake(_)));
            }
            RunMessage::Progress => self.say_progress(cx),
            RunMessage::OverTold => cx.exit(Exit::Normal),
        }
        self.reading.is_current = false;
        self.drive(cx);
        Ok(())
    }
}

impl RunActor {
    fn agent(&self) -> &AgentSpec {
        let agents = &self.context.definition.agents;
        agents.get(&self.name).unwrap_or(&self.context.nobody)
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
        let is_claimed = self.state.epoch > 0;
        if is_claimed && !std::mem::replace(&mut self.is_telling_progress, true) {
            self.arm_progress(cx);
            self.watch_time(cx);
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
        let may_begin = !self.gate.is_closed() && self.pausing.is_empty();
        if may_begin && self.outbox.is_empty() && self.is_up_to_date(cx) {
            let effects = self.next(&self.state, self.state.head);
            if !effects.iter().any(sets_aside) {
                self.admission = None;
            }
            if !effects.iter().any(keeps_permit) {
                self.permit = None;
            }
            let next = |run: &Self| run.next(&run.state, run.state.head);
            for effect in self.at_once(effects, next) {
                self.perform(effect, cx);
            }
        }
        if !self.outbox.is_empty() {
            self.foresee();
            self.record(cx);
        }
    }

    /// What is to be done once a permit, and what is to be set aside, is there, where nobody has to wait for it.
    fn at_once(
        &mut self,
        mut effects: Vec<Effect>,
        next: impl Fn(&Self) -> Vec<Effect>,
    ) -> Vec<Effect> {
        while self.is_there(&effects) {
            effects = next(self);
        }
        effects
    }

    fn is_there(&mut self, effects: &[Effect]) -> bool {
        let is_new = |doing: Doing| !self.doing.contains_key(&doing);
        match effects.first() {
            Some(Effect::Permit) if is_new(Doing::Permit) => self.takes_permit(),
            Some(Effect::Admit(reserved)) if is_new(Doing::Admit) => self.sets_aside(*reserved),
            _ => false,
        }
    }

    /// What a state calls for; `read` is the last event it knows of what others did.
    fn next(&self, state: &RunState, read: Seq) -> Vec<Effect> {
        let agent = self.agent();
        let around = Surroundings {
            now: self.context.journal.clock().now(),
            name: &self.name,
            agent,
            colleagues: &self.context.definition.available_agents,
            agents: &self.context.definition.agents,
            tools: self.context.tools.specs(),
            limits: &self.context.definition.limits,
            retry: self.retry(),
            is_permitted: self.permit.is_some() || self.doing.contains_key(&Doing::Think),
            standing: &self.standing,
            is_admitted: self.admission.is_some(),
            read,
            reserve: &|seen| self.reserve(state, seen),
        };
        next(state, &around)
    }
}
