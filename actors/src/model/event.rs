//! The records everything is folded from.
//!
//! Per task one gapless sequence of [`Event`]s: journal, event stream and audit trail at once. The status of a task or a run is a
//! fold of its events and is never written on its own.

use super::executor::ExecutorName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent::{AgentName, InDoubtPolicy, Recovery};
use super::budget::{AlertKind, Budget, BudgetScope, Exceeded, Reservation};
use super::chat::{StopReason, ToolCall};
use super::id::{RunId, Step, TaskId};
use super::run::{RunSpec, WaitReason};
use super::task::{Attention, Sender, TaskDefinition};
use super::time::Timestamp;
use super::tool::EffectClass;
use super::topology::Topology;
use super::usage::Usage;

/// An event's number in its task: 1, 2, 3 … without gaps.
pub type Seq = u64;

/// One record of a task's journal, as it is stored and published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in the task.
    pub id: Seq,
    /// The task.
    pub task_id: TaskId,
    /// The run it belongs to, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// That run's agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// When it was written.
    pub at: Timestamp,
    /// The epoch of the run when it was written; 0 for events of the task.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u64,
    /// The event that led to it, which stands before it; none if that is outside of the journal: a person, a crash, the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Seq>,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if hands over a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Text in a record: short ones as they are, long ones by the hash of their bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// The text.
    Inline(String),
    /// Content-addressed, in the store's blobs.
    Blob {
        /// BLAKE3 of the text, in hex.
        blob: String,
        /// Its length.
        bytes: u64,
        /// Its beginning, for people.
        preview: String,
    },
}

impl Content {
    /// The text as far as it is here: all of a short one, the beginning of a long one.
    #[must_use]
    pub fn beginning(&self) -> &str {
        match self {
            Self::Inline(text) => text,
            Self::Blob { preview, .. } => preview,
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Inline(String::new())
    }
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked.
    Ok,
    /// It did not; the content says why.
    Error,
}

/// What became of a call in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Resolution {
    /// The model was told that the outcome is unknown.
    ToldModel,
    /// It is made again.
    Retried,
    /// The tool's compensation was run.
    Compensated {
        /// What the compensation said.
        note: String,
    },
    /// Somebody found out, and this is the result.
    Answered {
        /// The result the model is given.
        result: String,
    },
}

/// What happened. The names are those of the event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// A task was accepted.
    TaskCreated {
        /// Everything it depends on, pinned.
        definition: Box<TaskDefinition>,
    },
    /// Somebody said something in the room.
    TaskMessage {
        /// Who.
        from: Sender,
        /// To whom alone, if not to the room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<AgentName>,
        /// What.
        content: String,
        /// Whether it is a delegated run's outcome, which whoever delegated it is told in another way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        outcome: bool,
    },
    /// Who hears whom in the room is another matter from here on; what was said before is seen as it was.
    TopologyChanged {
        /// What holds from now on.
        topology: Topology,
        /// Who changed it.
        by: Sender,
    },
    /// A human has to decide.
    TaskNeedsAttention {
        /// What about.
        #[serde(flatten)]
        attention: Attention,
    },
    /// A human decided; the task goes on.
    TaskResumed {
        /// What was said.
        answer: String,
    },
    /// The root run came to its result.
    TaskCompleted {
        /// The result.
        result: Content,
    },
    /// The root run failed.
    TaskFailed {
        /// Why.
        error: String,
    },
    /// Somebody cancelled the task.
    TaskCancelled {
        /// Why.
        reason: String,
    },
    /// A person goes on with a task that had ended.
    TaskReopened,
    /// A run was accepted.
    RunQueued {
        /// What it is to do.
        spec: Box<RunSpec>,
    },
    /// The run's first incarnation claimed it.
    RunStarted,
    /// A later incarnation claimed it: from here on it writes under a higher epoch.
    RunRestarted {
        /// How it goes on.
        recovery: Recovery,
        /// What ended the one before.
        reason: String,
        /// Whether its actor crashed: neither its node nor its task ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        crashed: bool,
    },
    /// A peer that was asked whether it engages has made up its mind.
    PeerDecided {
        /// Whether it engages; if not, its run ends with that.
        engages: bool,
        /// Why not, as it said.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// The run waits.
    RunWaiting {
        /// For what.
        #[serde(flatten)]
        reason: WaitReason,
    },
    /// A run that was paused goes on.
    RunResumed {
        /// Who wants it.
        by: Sender,
    },
    /// A model call failed and is tried again after a while.
    RunRetrying {
        /// Which turn.
        turn: u32,
        /// Which try failed, from 1.
        attempt: u32,
        /// How.
        error: String,
        /// The wait before the next, in milliseconds.
        delay_ms: u64,
        /// Whether the provider had no room for it: a wait like any other, which is not one of the tries that may fail.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
        /// Whether the provider may have been paid for it all the same: what it read is wasted then.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// The run has a result.
    RunCompleted {
        /// The result.
        result: Content,
        /// What it cost in all.
        usage: Usage,
    },
    /// The run has none.
    RunFailed {
        /// Why.
        error: String,
        /// What it cost in all.
        usage: Usage,
    },
    /// The run was cancelled.
    RunCancelled {
        /// Why.
        reason: String,
        /// What it cost in all.
        usage: Usage,
    },
    /// The run crashes again and again at one point: it is left alone until somebody decides.
    RunQuarantined {
        /// Its last end.
        reason: String,
    },
    /// A human released the run from quarantine.
    RunReleased,
    /// A run that had ended goes on in the same conversation, with something new.
    RunContinued {
        /// Who wants more of it.
        from: Sender,
        /// What.
        content: Content,
    },
    /// A delegated run is still at it.
    RunProgress {
        /// The turn it is in.
        turn: u32,
        /// What it is doing.
        doing: String,
        /// Tokens it has used.
        tokens: u64,
    },
    /// A message for this run alone.
    Message {
        /// Who sent it.
        from: Sender,
        /// What it says.
        content: Content,
        /// The delegated run whose end it reports.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<RunId>,
    },
    /// A model call is about to be made, and what it may use up is set aside; durable before it is made, so that no crash loses count.
    ModelCallStarted {
        /// The turn, from 0.
        turn: u32,
        /// Up to which event the room was shown to the model. What the run did itself is shown up to this event.
        seen: Seq,
        /// What is set aside for it.
        #[serde(default, skip_serializing_if = "Reservation::is_nothing")]
        reserved: Reservation,
    },
    /// A model call was dropped because of something said to its agent; it is made again with that, and what it read is wasted.
    ModelCallInterrupted {
        /// The turn.
        turn: u32,
    },
    /// The model's answer; durable before any of its calls starts.
    ModelCallCompleted {
        /// The turn.
        turn: u32,
        /// Its text.
        text: String,
        /// Its calls.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
        /// What it cost.
        usage: Usage,
        /// Why it stopped.
        stop: StopReason,
        /// Blocks to be carried back verbatim.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        opaque: Vec<Value>,
    },
    /// A tool call is made. Durable before the call for every class whose start is recorded.
    ToolCallStarted {
        /// Which.
        step: Step,
        /// The tool.
        tool: String,
        /// What a crash may do to it.
        class: EffectClass,
        /// The executor that it goes to. Nobody else is asked for it from then on, unless a later start says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        executor: Option<ExecutorName>,
    },
    /// A tool call's result; durable before the next model call is built on it.
    ToolCallCompleted {
        /// Which.
        step: Step,
        /// Well or not.
        outcome: Outcome,
        /// The result.
        content: Content,
    },
    /// A tool call was started and its outcome is unknown.
    ToolCallInDoubt {
        /// Which.
        step: Step,
        /// The tool.
        tool: String,
        /// Why it is unknown.
        reason: String,
        /// What will be done about it.
        policy: InDoubtPolicy,
    },
    /// What became of a call in doubt.
    ToolCallResolved {
        /// Which.
        step: Step,
        /// Who decided.
        by: Sender,
        /// What.
        #[serde(flatten)]
        resolution: Resolution,
    },
    /// A result that came after its epoch: kept as evidence, not applied.
    ToolCallLate {
        /// Which.
        step: Step,
        /// The epoch it was started under.
        started_epoch: u64,
        /// Well or not.
        outcome: Outcome,
        /// The result.
        content: Content,
    },
    /// An agent's actor changed its state.
    AgentState {
        /// Idle, processing, restarting, failed or terminated.
        state: AgentState,
        /// Why, where there is a reason.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A supervisor starts a child again.
    SupervisorRestart {
        /// The supervisor's path.
        path: String,
        /// The child.
        child: String,
        /// The child's new incarnation.
        incarnation: u64,
        /// How the one before ended.
        reason: String,
    },
    /// A supervisor's restart intensity is exhausted.
    SupervisorGaveUp {
        /// The supervisor's path.
        path: String,
        /// The child that brought it there, and how it ended.
        reason: String,
    },
    /// A provider that the task has calls to is ill, and left alone: calls to it wait.
    BreakerOpened {
        /// The provider.
        provider: String,
        /// What it did.
        reason: String,
        /// For how long, in milliseconds; then one call tries it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// The provider is well again.
    BreakerClosed {
        /// The provider.
        provider: String,
    },
    /// A fault on purpose strikes.
    FaultInjected {
        /// Whom, as a file names it.
        target: String,
        /// What happens.
        fault: String,
        /// When it is to strike, as far as that is known where it does.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        when: String,
    },
    /// A limit of the tree refused something. A model call that was about to be made is not made.
    BudgetExceeded {
        /// Which limit, its value, and what was refused.
        limit: String,
        /// The budget in numbers, where it is one of tokens, money or turns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exceeded: Option<Exceeded>,
    },
    /// A person allows more.
    BudgetRaised {
        /// Whose budget.
        budget: BudgetScope,
        /// How much more.
        more: Budget,
    },
    /// Something is not as it should be. A run that it is said to is told in the same words.
    Alert {
        /// What it is about.
        kind: AlertKind,
        /// What was seen, and what to do.
        note: String,
        /// The run, where it is said about one and not to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<RunId>,
    },
}

/// The states of an agent's actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Waits for work.
    Idle,
    /// A model call is under way.
    Processing,
    /// Crashed; its supervisor starts it again.
    Restarting,
    /// Crashed and is not started again.
    Failed,
    /// Stopped in an orderly way.
    Terminated,
    /// Somebody paused its runs in this task, those that are yet to come too; the actor itself goes on.
    Paused,
    /// They go on.
    Resumed,
}

impl EventBody {
    /// The text that it holds or refers to, where it may be a long one.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::TaskCompleted { result: content }
            | Self::RunCompleted {
                result: content, ..
            }
            | Self::RunContinued { content, .. }
            | Self::Message { content, .. }
            | Self::ToolCallCompleted { content, .. }
            | Self::ToolCallLate { content, .. } => Some(content),
            _ => None,
        }
    }

    /// The hash of the blob that it refers to, if it does.
    #[must_use]
    pub fn blob(&self) -> Option<&str> {
        match self.content()? {
            Content::Blob { blob, .. } => Some(blob),
            Content::Inline(_) => None,
        }
    }

    /// Whether it is the end of a run.
    #[must_use]
    pub fn is_run_end(&self) -> bool {
        matches!(
            self,
            Self::RunCompleted { .. } | Self::RunFailed { .. } | Self::RunCancelled { .. }
        )
    }

    /// Whether it is the end of a task.
    #[must_use]
    pub fn is_task_end(&self) -> bool {
        matches!(
            self,
            Self::TaskCompleted { .. } | Self::TaskFailed { .. } | Self::TaskCancelled { .. }
        )
    }

    /// Whether a run's new incarnation claims it: it and what follows stand under the next epoch.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        matches!(self, Self::RunStarted | Self::RunRestarted { .. })
    }

    /// Whether it concerns one run's private conversation and is hidden from the room.
    #[must_use]
    pub fn is_private(&self) -> bool {
        matches!(
            self,
            Self::Message { .. }
                | Self::RunContinued { .. }
                | Self::ModelCallStarted { .. }
                | Self::ModelCallInterrupted { .. }
                | Self::ModelCallCompleted { .. }
                | Self::ToolCallCompleted { .. }
                | Self::ToolCallLate { .. }
        )
    }
}
