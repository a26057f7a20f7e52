//! What a run has come to: a fold of its events. Pure.

use crate::model::executor::ExecutorName;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::event::Outcome;
use crate::model::{
    AgentName, Content, Delegation, EffectClass, Event, EventBody, Exceeded, InDoubtPolicy, Pause,
    Reservation, RunId, RunSpec, RunStatus, Sender, Seq, Step, Timestamp, ToolCall, Topology,
    Usage, WaitReason,
};

use super::cause::Trail;

/// A run, folded from its events and from those of others that concern it: room messages it may see, and the beginnings and
/// ends of the runs it delegated.
///
/// Texts are skipped when it is serialised: a snapshot refers to the events that hold them ([`super::snapshot`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// The run.
    pub id: RunId,
    /// What it is to do; its event's number, and the event's content.
    pub queued: Seq,
    /// What it is to do.
    #[serde(skip)]
    pub spec: Option<RunSpec>,
    /// Where it stands.
    pub status: RunStatus,
    /// The epoch of the incarnation that claimed it last.
    pub epoch: u64,
    /// The newest event that was folded in.
    pub head: Seq,
    /// The number of the next turn; it grows over clean slates, so that a step means one call for ever.
    pub turn: u32,
    /// The conversation, in order.
    pub items: Vec<Item>,
    /// What was said to it since its last turn.
    pub unseen: Vec<Note>,
    /// The model call that was begun last, if it has not ended.
    pub thinking: Option<Thinking>,
    /// Failed tries of the present turn's model call.
    pub failures: u32,
    /// How often the provider had no room for it.
    #[serde(default)]
    pub refusals: u32,
    /// Not before this time is it tried again.
    pub retry_at: Option<Timestamp>,
    /// The runs it delegated.
    pub children: BTreeMap<RunId, Child>,
    /// Why it waits, if it said so.
    pub waiting: Option<WaitReason>,
    /// Who paused it, if somebody has.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// What its model calls cost, and what they wasted.
    pub usage: Usage,
    /// Model calls that were begun and came to nothing.
    pub wasted_calls: u32,
    /// Claims since it last got anywhere.
    pub claims: u32,
    /// Whether it was claimed and has not ended since.
    pub is_begun: bool,
    /// With a peer that was asked whether it engages: whether it has made up its mind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decided: bool,
    /// Who hears whom in the room, where that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Whether it was told that a budget is nearly used up.
    #[serde(default)]
    pub is_warned: bool,
    /// In which turn it was told that it goes round in circles.
    #[serde(default)]
    pub warned_of_loop: Option<u32>,
    /// What a person was asked before it may go on.
    #[serde(default)]
    pub asked: Option<Asked>,
    /// What the events that come next are caused by.
    #[serde(default)]
    pub trail: Trail,
}

/// What a person was asked before a run may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The question.
    pub question: String,
    /// The budget that is used up, if it is one.
    pub exceeded: Option<Exceeded>,
}

/// Something said to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Its event.
    pub seq: Seq,
    /// Whether it can wait for the next turn: all of the room saw it, or it only says how a delegated run is getting on.
    pub shared: bool,
    /// To whom alone it was said in the room, if not to all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<AgentName>,
    /// The delegated run whose progress it tells; a later one takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_of: Option<RunId>,
    /// The later one that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<Seq>,
    /// Who said it.
    pub from: Sender,
    /// What was said.
    #[serde(skip)]
    pub content: Content,
}

impl Note {
    /// Whether it is shown to a model that is shown what was said up to `seen`.
    #[must_use]
    pub fn is_shown(&self, seen: Seq) -> bool {
        self.seq <= seen && self.replaced_by.is_none_or(|later| later > seen)
    }
}

/// A part of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// Something said to it.
    Note(Note),
    /// A model's answer and what came of its calls.
    Turn(Turn),
}

/// A model's answer and what came of its calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Its event.
    pub seq: Seq,
    /// Its number.
    pub number: u32,
    /// What it said.
    #[serde(skip)]
    pub text: String,
    /// Its calls.
    pub calls: Vec<Call>,
    /// Blocks to be carried back verbatim.
    #[serde(skip)]
    pub opaque: Vec<Value>,
}

/// One tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// What the model asked for.
    #[serde(skip)]
    pub call: ToolCall,
    /// How far it has come.
    pub phase: CallPhase,
    /// What a crash may do to it, once it was begun.
    pub class: Option<EffectClass>,
    /// What was decided when its outcome was unknown.
    pub decided: Option<Decided>,
    /// How often it was made again because its outcome was unknown and somebody decided so.
    pub retries: u32,
    /// The executor that it went to, and the epoch under which that was written.
    #[serde(default)]
    pub executor: Option<(ExecutorName, u64)>,
}

/// What was decided about a call whose outcome was unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decided {
    /// Nothing but to say so.
    Unknown,
    /// Somebody found out.
    Known,
    /// It was undone.
    Undone,
}

/// How far a tool call has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CallPhase {
    /// Nothing has been done about it.
    Planned,
    /// It was started under this epoch.
    Started {
        /// The epoch.
        epoch: u64,
        /// What a crash may do to it.
        class: EffectClass,
    },
    /// It waits for a run.
    Delegated(RunId),
    /// Its outcome is unknown.
    InDoubt {
        /// What is to be done about it.
        policy: InDoubtPolicy,
        /// Why it is unknown.
        reason: String,
    },
    /// It has its one result.
    Done {
        /// The event that holds the result.
        seq: Seq,
        /// Well or not.
        outcome: Outcome,
        /// The result.
        #[serde(skip)]
        content: Content,
    },
    /// The run ended before it had one.
    Dropped,
}

/// A model call that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thinking {
    /// Under which epoch.
    pub epoch: u64,
    /// The last event it was made from: what was said up to there was shown.
    pub seen: Seq,
    /// What is set aside for it.
    #[serde(default)]
    pub reserved: Reservation,
}

/// A run this one delegated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// Who does it.
    pub agent: String,
    /// The call that delegated it.
    pub step: Step,
    /// Whether that call waits for it.
    pub delegation: Delegation,
    /// How it ended, if it has.
    pub end: Option<ChildEnd>,
    /// Whether its end was told to the model.
    pub delivered: bool,
}

/// How a delegated run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildEnd {
    /// Its event.
    #[serde(default)]
    pub seq: Seq,
    /// Completed, failed or cancelled.
    pub status: RunStatus,
    /// Its result, or why it has none.
    pub content: Content,
}

/// What a state calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A model call.
    Think,
    /// Its calls are to be made.
    Act,
    /// The model has given its last word.
    Finish,
    /// Nothing any more.
    Over,
}

impl RunState {
    /// A run before its first event.
    #[must_use]
    pub fn new(id: RunId) -> Self {
        Self {
            id,
            queued: 0,
            spec: None,
            status: RunStatus::Queued,
            epoch: 0,
            head: 0,
            turn: 0,
            items: Vec::new(),
            unseen: Vec::new(),
            thinking: None,
            failures: 0,
            refusals: 0,
            retry_at: None,
            children: BTreeMap::new(),
            waiting: None,
            paused: None,
            usage: Usage::default(),
            wasted_calls: 0,
            claims: 0,
            is_begun: false,
            decided: false,
            topology: None,
            is_warned: false,
            warned_of_loop: None,
            asked: None,
            trail: Trail::default(),
        }
    }

    /// A state folded from events, in order.
    pub fn from_events<'a>(id: RunId, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::new(id);
        events.into_iter().for_each(|event| state.fold(event));
        state
    }

    /// What it calls for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.status.is_terminal() || self.status == RunStatus::Quarantined {
            return Phase::Over;
        }
        match self.items.last() {
            Some(Item::Turn(turn)) if turn.calls.iter().any(Call::is_open) => Phase::Act,
            Some(Item::Turn(turn))
                if turn.calls.is_empty() && self.unseen.iter().all(|note| self.can_wait(note)) =>
            {
                Phase::Finish
            }
            _ => Phase::Think,
        }
    }

    /// Whether it is a peer's that has not made up its mind whether it engages.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        let asked = |spec: &RunSpec| spec.heard.is_some();
        !self.decided && self.spec.as_ref().is_some_and(asked)
    }

    /// Whether something said to it needs no turn of its own: it was said to the room and not to its agent alone.
    fn can_wait(&self, note: &Note) -> bool {
        let is_mine = |to: &AgentName| self.spec.as_ref().is_some_and(|spec| spec.agent == *to);
        note.shared && !note.to.as_ref().is_some_and(is_mine)
    }

    /// Whether it does nothing itself until somebody else has: a person, an executor, those who call its provider, or
    /// runs it delegated.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        use WaitReason as W;
        let said = matches!(
            self.waiting,
            Some(
                W::Permit { .. }
                    | W::Provider { .. }
                    | W::Executor { .. }
                    | W::Human { .. }
                    | W::Children { .. }
            )
        );
        said || self.paused.is_some()
            || match self.phase() {
                Phase::Act => self.open_calls().all(|(_, call)| match &call.phase {
                    CallPhase::Delegated(run) => self.is_live_child(*run),
                    CallPhase::InDoubt { policy, .. } => *policy == InDoubtPolicy::Ask,
                    _ => false,
                }),
                Phase::Finish => self.live_children() > 0,
                Phase::Think => self.asked.is_some(),
                Phase::Over => false,
            }
    }

    /// What it has cost and wasted if it ends now: a model call that is under way comes to nothing.
    #[must_use]
    pub fn usage_at_end(&self) -> Usage {
        let mut usage = self.usage;
        if let Some(thinking) = self.thinking {
            usage += thinking.reserved.lost();
        }
        usage
    }

    /// Whether a person was asked what became of a call, or whether it may go on.
    #[must_use]
    pub fn asks_a_person(&self) -> bool {
        let asks = |phase: &CallPhase| matches!(phase, CallPhase::InDoubt { policy, .. } if *policy == InDoubtPolicy::Ask);
        self.asked.is_some() || self.open_calls().any(|(_, call)| asks(&call.phase))
    }

    /// Whether nothing but a person lets it go on.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        self.only_waits() && (self.paused.is_some() || self.asks_a_person())
    }

    /// Whether what it does next depends on what others have said and done since.
    #[must_use]
    pub fn depends_on_others(&self) -> bool {
        if self.paused.is_some() {
            return false;
        }
        match self.phase() {
            Phase::Think => self.thinking.is_none_or(|it| it.epoch != self.epoch),
            Phase::Act => {
                let mut calls = self.open_calls();
                calls.any(|(_, call)| matches!(call.phase, CallPhase::Delegated(_)))
            }
            Phase::Finish => true,
            Phase::Over => false,
        }
    }

    fn is_live_child(&self, run: RunId) -> bool {
        self.children
            .get(&run)
            .is_some_and(|child| child.end.is_none())
    }

    /// The turn whose calls are being made, or were last.
    #[must_use]
    pub fn last_turn(&self) -> Option<&Turn> {
        self.items.iter().rev().find_map(|item| {
            if let Item::Turn(turn) = item {
                Some(turn)
            } else {
                None
            }
        })
    }

    /// The call at a step of the last turn.
    #[must_use]
    pub fn call(&self, step: Step) -> Option<&Call> {
        self.last_turn()
            .filter(|turn| turn.number == step.turn)?
            .calls
            .get(step.index as usize)
    }

    /// The open calls of the last turn.
    pub fn open_calls(&self) -> impl Iterator<Item = (Step, &Call)> {
        self.last_turn().into_iter().flat_map(|turn| {
            let number = turn.number;
            let calls = turn.calls.iter().zip(0..);
            calls
                .filter(|(call, _)| call.is_open())
                .map(move |(call, index)| {
                    (
                        Step {
                            turn: number,
                            index,
                        },
                        call,
                    )
                })
        })
    }

    /// Delegated runs that have not ended.
    #[must_use]
    pub fn live_children(&self) -> u32 {
        u32::try_from(
            self.children
                .values()
                .filter(|child| child.end.is_none())
                .count(),
        )
        .unwrap_or(u32::MAX)
    }
}

/// A run's progress in words.
#[must_use]
pub fn progress(body: &EventBody) -> Option<String> {
    match body {
        EventBody::RunProgress {
            turn,
            doing,
            tokens,
        } => Some(format!(
            "still at it: turn {}, {doing}, {tokens} tokens so far",
            turn.saturating_add(1)
        )),
        _ => None,
    }
}

impl Call {
    /// Whether it has no result yet and may get one.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, CallPhase::Done { .. } | CallPhase::Dropped)
    }
}
