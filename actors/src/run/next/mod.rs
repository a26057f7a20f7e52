//! What a run's state calls for. Pure: the same state, time and surroundings give the same effects.

mod act;
mod doubt;
mod ends;
mod limits;
pub mod loops;
mod peer;
mod think;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::budget::Standing;
use crate::model::{
    AgentName, AgentSpec, EventBody, Limits, Reservation, RunId, Seq, Step, Timestamp, ToolSpec,
};

use super::state::{Phase, RunState};
use super::tools::{CreateRun, PostMessage};

use act::act;
pub use act::posted;
pub use doubt::{
    MAX_RETRIES, WHILE_IT_RAN, cancelled_in_doubt, in_doubt, left_in_doubt, question, resolve,
};
use ends::finish;
pub use ends::{capsule, room_message};
pub use limits::{GO_ON, MayGoOn, amount, budget_exceeded, may_go_on};
use think::think;
pub use think::{MOST_REFUSALS, model_call_failed, retry_delay};

/// What the next effects depend on besides the state.
#[derive(Clone)]
pub struct Surroundings<'a> {
    /// Now.
    pub now: Timestamp,
    /// The agent that does the run.
    pub name: &'a AgentName,
    /// Its definition.
    pub agent: &'a AgentSpec,
    /// The other agents of the task.
    pub colleagues: &'a [AgentName],
    /// The definitions of all agents of the task.
    pub agents: &'a BTreeMap<AgentName, AgentSpec>,
    /// Every tool there is.
    pub tools: &'a BTreeMap<String, ToolSpec>,
    /// The limits of the tree.
    pub limits: &'a Limits,
    /// How often and how long its provider is tried again.
    pub retry: RetryPolicy,
    /// Whether it holds the permit for a model call.
    pub is_permitted: bool,
    /// How the budgets stand that its model calls are paid from.
    pub standing: &'a Standing,
    /// Whether it is this run's turn to set something aside.
    pub is_admitted: bool,
    /// Up to where it knows what others did.
    pub read: Seq,
    /// What is set aside for a model call that shows what was said up to here.
    pub reserve: &'a dyn Fn(Seq) -> Reservation,
}

/// How often and how long a model call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all.
    pub attempts: u32,
    /// The first wait, doubled at each further failure.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
        }
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write these together, then look again.
    Record(Vec<EventBody>),
    /// Get the permit for a model call.
    Permit,
    /// Wait until so much may be set aside for a model call.
    Admit(Reservation),
    /// Make the model call of this turn, showing what was said up to `seen`.
    Think {
        /// The turn.
        turn: u32,
        /// Up to where.
        seen: Seq,
    },
    /// Make the tool call at this step.
    Call(Step),
    /// Ask the tool whether the call at this step took effect.
    Probe(Step),
    /// Undo whatever the call at this step did.
    Compensate(Step),
    /// Ask the room whether this may be delegated, and under which id.
    Delegate(Step, Box<CreateRun>),
    /// Ask the room whether an agent that takes nothing while it is busy is busy, and say it if not.
    Say(Step, Box<PostMessage>),
    /// See to it that this delegated run is started.
    EnsureChild(RunId),
    /// Look again at this time.
    WakeAt(Timestamp),
    /// The run is over.
    Over,
}

/// What `state` calls for. An effect that is under way is named again; whoever performs them knows what is under way.
#[must_use]
pub fn next(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    let phase = state.phase();
    if phase != Phase::Over
        && let Some(decided) = peer::decide(state)
    {
        return vec![Effect::Record(decided)];
    }
    let mut effects = match phase {
        Phase::Over => return vec![Effect::Over],
        // What it delegated before is not its own any more.
        _ if state.paused.is_some() => Vec::new(),
        Phase::Think => think(state, around),
        Phase::Act => act(state, around),
        Phase::Finish => finish(state, around),
    };
    let live = |child: &&RunId| state.children[child].end.is_none();
    effects.extend(
        state
            .children
            .keys()
            .filter(live)
            .map(|child| Effect::EnsureChild(*child)),
    );
    effects
}
