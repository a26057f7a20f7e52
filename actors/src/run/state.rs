//! What a run has come to: a fold of its events. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::event::{Outcome, Resolution};
use crate::model::{
    Content, Delegation, EffectClass, Event, EventBody, InDoubtPolicy, Recovery, RunId, RunSpec,
    RunStatus, Sender, Seq, Step, Timestamp, ToolCall, Usage, WaitReason,
};

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
    /// Not before this time is it tried again.
    pub retry_at: Option<Timestamp>,
    /// The runs it delegated.
    pub children: BTreeMap<RunId, Child>,
    /// Why it waits, if it said so.
    #[serde(skip)]
    pub waiting: Option<WaitReason>,
    /// What its model calls cost.
    pub usage: Usage,
    /// Model calls that were begun and came to nothing.
    pub wasted_calls: u32,
    /// Claims since it last got anywhere.
    pub claims: u32,
}

/// Something said to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Its event.
    pub seq: Seq,
    /// Whether it can wait for the next turn: all of the room saw it, or it only says how a delegated run is getting on.
    pub shared: bool,
    /// The delegated run whose progress it tells; a later one takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_of: Option<RunId>,
    /// Who said it.
    pub from: Sender,
    /// What was said.
    #[serde(skip)]
    pub content: Content,
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
    /// How often it was made again because its outcome was unknown and somebody decided so.
    #[serde(default)]
    pub retries: u32,
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
}

/// A model call that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thinking {
    /// Under which epoch.
    pub epoch: u64,
    /// Up to where the run's notes were shown.
    pub seen: Seq,
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
            retry_at: None,
            children: BTreeMap::new(),
            waiting: None,
            usage: Usage::default(),
            wasted_calls: 0,
            claims: 0,
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
                if turn.calls.is_empty() && self.unseen.iter().all(|note| note.shared) =>
            {
                Phase::Finish
            }
            _ => Phase::Think,
        }
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

    /// Takes one event in. Events that do not concern the run change nothing.
    pub fn fold(&mut self, event: &Event) {
        self.head = self.head.max(event.id);
        match (&event.body, event.run_id) {
            (EventBody::RunQueued { spec }, Some(run)) if run == self.id => {
                self.queued = event.id;
                self.spec = Some((**spec).clone());
            }
            (EventBody::RunQueued { spec }, Some(run)) => self.delegated(run, spec),
            (EventBody::TaskMessage { from, content, .. }, by) => {
                if by != Some(self.id) && !by.is_some_and(|run| self.children.contains_key(&run)) {
                    let content = Content::Inline(content.clone());
                    self.unseen.push(Note {
                        seq: event.id,
                        shared: true,
                        progress_of: None,
                        from: from.clone(),
                        content,
                    });
                }
            }
            (body, Some(run)) if run == self.id => self.fold_own(event, body),
            (EventBody::RunProgress { .. }, Some(run)) => self.progressed(run, event),
            (body, Some(run)) => self.fold_child(run, body),
            (_, None) => {}
        }
    }

    fn delegated(&mut self, run: RunId, spec: &RunSpec) {
        let Some(parent) = spec.parent.as_ref().filter(|parent| parent.run == self.id) else {
            return;
        };
        let (agent, step, delegation) = (spec.agent.to_string(), parent.step, parent.delegation);
        self.children.insert(
            run,
            Child {
                agent,
                step,
                delegation,
                end: None,
                delivered: false,
            },
        );
        if delegation == Delegation::Foreground {
            self.set_phase(step, CallPhase::Delegated(run));
        }
    }

    /// How a run in the background is getting on: the newest word replaces the one before, and wakes nobody.
    fn progressed(&mut self, run: RunId, event: &Event) {
        let in_background =
            |child: &&Child| child.delegation == Delegation::Background && child.end.is_none();
        let (Some(child), Some(text)) = (
            self.children.get(&run).filter(in_background),
            progress(&event.body),
        ) else {
            return;
        };
        let from = Sender::Agent(child.agent.as_str().into());
        self.unseen.retain(|note| note.progress_of != Some(run));
        let content = Content::Inline(text);
        self.unseen.push(Note {
            seq: event.id,
            shared: true,
            progress_of: Some(run),
            from,
            content,
        });
    }

    fn fold_child(&mut self, run: RunId, body: &EventBody) {
        let Some(child) = self.children.get_mut(&run) else {
            return;
        };
        let (status, content) = match body {
            EventBody::RunCompleted { result, .. } => (RunStatus::Completed, result.clone()),
            EventBody::RunFailed { error, .. } => {
                (RunStatus::Failed, Content::Inline(error.clone()))
            }
            EventBody::RunCancelled { reason, .. } => {
                (RunStatus::Cancelled, Content::Inline(reason.clone()))
            }
            _ => return,
        };
        child.end = Some(ChildEnd { status, content });
    }

    fn fold_own(&mut self, event: &Event, body: &EventBody) {
        if !matches!(body, EventBody::RunWaiting { .. }) {
            self.waiting = None;
        }
        match body {
            EventBody::RunStarted => self.claimed(event.epoch),
            EventBody::RunRestarted { recovery, .. } => {
                self.claimed(event.epoch);
                if *recovery == Recovery::CleanSlate {
                    self.clean_slate();
                }
            }
            EventBody::RunWaiting { reason } => self.waiting = Some(reason.clone()),
            EventBody::RunRetrying { delay_ms, .. } => {
                self.thinking = None;
                self.failures += 1;
                self.wasted_calls += 1;
                self.retry_at = Some(Timestamp(event.at.0.saturating_add(*delay_ms)));
            }
            EventBody::RunCompleted { .. } => self.status = RunStatus::Completed,
            EventBody::RunFailed { .. } => self.status = RunStatus::Failed,
            EventBody::RunCancelled { .. } => self.status = RunStatus::Cancelled,
            EventBody::RunQuarantined { .. } => self.status = RunStatus::Quarantined,
            EventBody::RunContinued { from, content } => {
                self.status = RunStatus::Queued;
                self.claims = 0;
                self.failures = 0;
                self.thinking = None;
                let (from, content) = (from.clone(), content.clone());
                self.unseen.push(Note {
                    seq: event.id,
                    shared: false,
                    progress_of: None,
                    from,
                    content,
                });
            }
            EventBody::RunReleased => {
                self.status = RunStatus::Queued;
                self.claims = 0;
            }
            EventBody::Message {
                from,
                content,
                about,
            } => {
                self.claims = 0;
                if let Some(run) = about {
                    self.delivered(*run);
                }
                let (from, content) = (from.clone(), content.clone());
                self.unseen.push(Note {
                    seq: event.id,
                    shared: false,
                    progress_of: None,
                    from,
                    content,
                });
            }
            EventBody::ModelCallStarted { seen, .. } => {
                self.wasted_calls += u32::from(self.thinking.is_some());
                self.thinking = Some(Thinking {
                    epoch: event.epoch,
                    seen: *seen,
                });
                self.retry_at = None;
            }
            EventBody::ModelCallCompleted { .. } => self.answered(event),
            _ => self.fold_call(event, body),
        }
    }

    fn claimed(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.status = RunStatus::Running;
        self.claims += 1;
    }

    fn answered(&mut self, event: &Event) {
        let EventBody::ModelCallCompleted {
            turn,
            text,
            calls,
            usage,
            opaque,
            ..
        } = &event.body
        else {
            return;
        };
        let seen = self
            .thinking
            .take()
            .map_or(self.head, |thinking| thinking.seen);
        let (shown, unseen) = std::mem::take(&mut self.unseen)
            .into_iter()
            .partition(|note| note.seq <= seen);
        self.unseen = unseen;
        self.items.extend(Vec::into_iter(shown).map(Item::Note));
        let calls = calls
            .iter()
            .map(|call| Call {
                call: call.clone(),
                phase: CallPhase::Planned,
                retries: 0,
            })
            .collect();
        self.items.push(Item::Turn(Turn {
            seq: event.id,
            number: *turn,
            text: text.clone(),
            calls,
            opaque: opaque.clone(),
        }));
        self.usage += *usage;
        self.turn = turn + 1;
        self.failures = 0;
        self.claims = 0;
    }

    fn fold_call(&mut self, event: &Event, body: &EventBody) {
        match body {
            EventBody::ToolCallStarted { step, class, .. } => {
                self.set_phase(
                    *step,
                    CallPhase::Started {
                        epoch: event.epoch,
                        class: *class,
                    },
                );
            }
            EventBody::ToolCallCompleted {
                step,
                outcome,
                content,
            } => {
                self.finish(*step, event.id, *outcome, content.clone());
            }
            EventBody::ToolCallInDoubt {
                step,
                reason,
                policy,
                ..
            } => {
                self.claims = 0;
                self.set_phase(
                    *step,
                    CallPhase::InDoubt {
                        policy: *policy,
                        reason: reason.clone(),
                    },
                );
            }
            EventBody::ToolCallResolved {
                step,
                resolution: Resolution::Retried,
                ..
            } => {
                self.set_phase(*step, CallPhase::Planned);
                self.retried(*step);
            }
            _ => {}
        }
    }

    fn finish(&mut self, step: Step, seq: Seq, outcome: Outcome, content: Content) {
        self.claims = 0;
        if let Some(CallPhase::Delegated(run)) =
            self.call(step).map(|call| call.phase.clone()).as_ref()
        {
            self.delivered(*run);
        }
        self.set_phase(
            step,
            CallPhase::Done {
                seq,
                outcome,
                content,
            },
        );
    }

    /// The child's end was told to the model; what it said need not be kept twice.
    fn delivered(&mut self, run: RunId) {
        let Some(child) = self.children.get_mut(&run) else {
            return;
        };
        child.delivered = true;
        if let Some(end) = &mut child.end {
            end.content = Content::default();
        }
    }

    fn set_phase(&mut self, step: Step, phase: CallPhase) {
        if let Some(call) = self.open_call(step) {
            call.phase = phase;
        }
    }

    fn retried(&mut self, step: Step) {
        if let Some(call) = self.open_call(step) {
            call.retries += 1;
        }
    }

    fn open_call(&mut self, step: Step) -> Option<&mut Call> {
        let last = self.items.iter_mut().rev().find_map(|item| match item {
            Item::Turn(turn) => Some(turn),
            Item::Note(_) => None,
        });
        last.filter(|turn| turn.number == step.turn)?
            .calls
            .get_mut(step.index as usize)
            .filter(|call| call.is_open())
    }

    /// The conversation begins again; what was said to it stays.
    fn clean_slate(&mut self) {
        let items = std::mem::take(&mut self.items);
        let mut notes: Vec<_> = items
            .into_iter()
            .filter_map(|item| {
                if let Item::Note(note) = item {
                    Some(note)
                } else {
                    None
                }
            })
            .collect();
        notes.append(&mut self.unseen);
        self.unseen = notes;
        self.thinking = None;
        self.retry_at = None;
        self.failures = 0;
        for child in self.children.values_mut() {
            child.delegation = Delegation::Background;
        }
    }

    /// What a clean slate must be told: the effects the conversation so far had outside, if any.
    #[must_use]
    pub fn effects_note(&self) -> Option<String> {
        let turns = self.items.iter().filter_map(|item| {
            if let Item::Turn(turn) = item {
                Some(turn)
            } else {
                None
            }
        });
        let effects: Vec<_> = turns
            .flat_map(|turn| turn.calls.iter().filter_map(Call::effect))
            .collect();
        let intro = "An earlier attempt at this was interrupted. It had already done the following; do not repeat it unseen:";
        (!effects.is_empty()).then(|| format!("{intro}\n{}", effects.join("\n")))
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
            turn + 1
        )),
        _ => None,
    }
}

impl Call {
    /// Whether it has no result yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, CallPhase::Done { .. })
    }

    /// One line about what it may have done outside.
    fn effect(&self) -> Option<String> {
        let said = match &self.phase {
            CallPhase::Planned
            | CallPhase::Started {
                class: EffectClass::Pure,
                ..
            } => return None,
            CallPhase::Done {
                outcome: Outcome::Ok,
                ..
            } => "done",
            CallPhase::Done {
                outcome: Outcome::Error,
                ..
            } => "failed",
            _ => "begun, outcome unknown",
        };
        Some(format!("- {} {}: {said}", self.call.name, self.call.args))
    }
}

/// How long the try after the `failures`-th failure waits: exponential with full jitter, the same for the same run and turn, and
/// not less than the provider asked for.
#[must_use]
pub fn retry_delay(
    run: RunId,
    turn: u32,
    failures: u32,
    base: Duration,
    cap: Duration,
    asked: Option<Duration>,
) -> Duration {
    let whole = base
        .saturating_mul(1 << failures.saturating_sub(1).min(20))
        .min(cap);
    let (high, low) = run.0.as_u64_pair();
    let mut random =
        fastrand::Rng::with_seed(high ^ low ^ (u64::from(turn) << 32) ^ u64::from(failures));
    whole.mul_f64(random.f64()).max(asked.unwrap_or_default())
}
