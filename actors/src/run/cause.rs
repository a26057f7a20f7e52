//! What led to the events of a run: a fold of its own events, and a rule for what comes next. Pure.
//!
//! It knows what the journal says and nothing else, so whoever writes after a crash names the same causes. The rules are a table in
//! `docs/lifecycles/causes.md`.

use serde::{Deserialize, Serialize};

use crate::model::{Event, EventBody, RunId, Sender, Seq, Step, WaitReason};
use crate::store::Cause;

use super::state::{CallPhase, Phase, RunState};
use super::tools::POST_MESSAGE;

/// Why a run is ended from outside, and the event that led to that, if it is one of its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub text: String,
    /// What led to it; none when a person wants it.
    pub cause: Option<Seq>,
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        let cause = None;
        Self { text, cause }
    }
}

/// Where a run has been, as far as what comes next is caused by it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// What lets its next incarnation begin: the last claim, or a later word that it goes on.
    begun: Option<Cause>,
    /// The model call under way.
    thinking: Option<Cause>,
    /// The last answer.
    answered: Option<Cause>,
    /// The last time it was paused.
    paused: Option<Cause>,
    /// The newest step of its work.
    newest: Option<Cause>,
    /// The turn whose calls these are.
    turn: u32,
    calls: Vec<Marks>,
    /// What decides over the rest of one append; nothing outside of it.
    #[serde(skip)]
    here: Option<Cause>,
    /// The call whose words stand next in one append.
    #[serde(skip)]
    posting: Option<Cause>,
}

/// What is known of one tool call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Marks {
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubted: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Cause>,
}

/// The causes of what a run writes together, in order.
#[must_use]
pub fn causes_of<'a>(
    state: &RunState,
    bodies: impl IntoIterator<Item = &'a EventBody>,
) -> Vec<Option<Cause>> {
    let mut trail = state.trail.clone();
    let bodies = bodies.into_iter().enumerate();
    let next = bodies.map(|(place, body)| trail.next(state, body, place));
    next.collect()
}

impl Trail {
    /// The cause of the event at this place of an append, which is then part of the trail.
    pub fn next(&mut self, state: &RunState, body: &EventBody, place: usize) -> Option<Cause> {
        let cause = self.cause(state, body);
        self.take(body, Cause::Draft(place));
        cause
    }

    // ---- the fold

    /// Takes one event of the run in.
    pub fn fold(&mut self, event: &Event) {
        self.take(&event.body, Cause::Event(event.id));
    }

    fn take(&mut self, body: &EventBody, at: Cause) {
        use EventBody as B;
        self.posting = None;
        match body {
            B::RunStarted | B::RunRestarted { .. } => {
                (self.begun, self.thinking) = (Some(at), None)
            }
            B::RunContinued { .. } | B::RunReleased => self.begun = Some(at),
            B::ModelCallStarted { .. } => self.thinking = Some(at),
            B::RunRetrying { .. } | B::ModelCallInterrupted { .. } => self.thinking = None,
            B::ModelCallCompleted { turn, calls, .. } => {
                (self.thinking, self.answered) = (None, Some(at));
                (self.turn, self.calls) = (*turn, vec![Marks::default(); calls.len()]);
            }
            B::ToolCallStarted { step, tool, .. } => {
                let started = Some(at);
                self.mark(*step, |marks| {
                    *marks = Marks {
                        started,
                        ..Marks::default()
                    };
                });
                self.posting = (at.is_draft() && tool == POST_MESSAGE).then_some(at);
            }
            B::ToolCallInDoubt { step, .. } => self.mark(*step, |it| it.doubted = Some(at)),
            B::ToolCallResolved { step, .. } => self.mark(*step, |it| it.resolved = Some(at)),
            B::RunWaiting {
                reason: WaitReason::Paused(_),
            } => self.paused = Some(at),
            _ => {}
        }
        if is_step(body) {
            self.newest = Some(at);
        }
        if at.is_draft() && decides(body) {
            self.here = Some(at);
        }
    }

    fn mark(&mut self, step: Step, change: impl FnOnce(&mut Marks)) {
        let is_its = step.turn == self.turn;
        let marks = self.calls.get_mut(step.index as usize);
        marks.filter(|_| is_its).map(change);
    }

    fn marks(&self, step: Step) -> Marks {
        let is_its = step.turn == self.turn;
        let marks = self.calls.get(step.index as usize).copied();
        marks.filter(|_| is_its).unwrap_or_default()
    }

    // ---- the rules

    /// What leads to this event of the run, or of one that it delegates. None if that is outside of the journal.
    #[must_use]
    pub fn cause(&self, state: &RunState, body: &EventBody) -> Option<Cause> {
        use EventBody as B;
        match body {
            B::RunQueued { spec } => self.started(spec.parent.as_ref()?.step),
            B::RunStarted | B::RunRestarted { .. } | B::RunQuarantined { .. } => self.begun(state),
            B::ModelCallStarted { seen, .. } => news(state, *seen),
            B::ModelCallCompleted { .. } => self.thinking,
            B::RunRetrying { .. } => self.thinking.or_else(|| news(state, state.head)),
            B::PeerDecided { .. } => self.answered,
            B::ToolCallStarted { step, .. } => self.marks(*step).resolved.or(self.answered),
            B::ToolCallInDoubt { step, .. } | B::ToolCallLate { step, .. } => self.started(*step),
            B::ToolCallResolved { step, by, .. } => match by {
                Sender::Human => self.here,
                _ => self.marks(*step).doubted,
            },
            B::ToolCallCompleted { step, .. } => self.result(state, *step),
            B::Message { from, about, .. } => self.message(state, from, *about),
            B::TaskMessage { .. } => self.posting.or_else(|| self.ending(state)),
            B::BudgetExceeded { .. } | B::Alert { .. } => self.limit(state),
            B::RunCompleted { .. } | B::RunFailed { .. } => self.ending(state),
            // Whoever cancels it says why; its time is its own affair.
            B::RunCancelled { .. } => self.here,
            B::RunResumed { .. } => self.paused,
            B::RunWaiting { .. } | B::RunProgress { .. } | B::TaskNeedsAttention { .. } => {
                self.newest.or_else(|| self.begun(state))
            }
            _ => None,
        }
    }

    fn begun(&self, state: &RunState) -> Option<Cause> {
        self.begun.or_else(|| queued(state))
    }

    /// The start of a call, or the answer that asked for it.
    fn started(&self, step: Step) -> Option<Cause> {
        self.marks(step).started.or(self.answered)
    }

    /// What a call's result comes from: the end of whom it was delegated to, what was decided about it, or its start.
    fn result(&self, state: &RunState, step: Step) -> Option<Cause> {
        let phase = state.call(step).map(|call| &call.phase);
        let end = match phase {
            Some(CallPhase::Delegated(run)) => end_of(state, *run),
            _ => None,
        };
        end.or(self.marks(step).resolved)
            .or_else(|| self.started(step))
    }

    fn message(&self, state: &RunState, from: &Sender, about: Option<RunId>) -> Option<Cause> {
        match (about, from) {
            (Some(run), _) => end_of(state, run),
            (None, Sender::Human) => None,
            (None, _) => self.begun(state),
        }
    }

    /// What was about to be made, or the answer that asked for it.
    fn limit(&self, state: &RunState) -> Option<Cause> {
        match state.phase() {
            Phase::Act => self.answered,
            _ => self.thinking.or_else(|| news(state, state.head)),
        }
    }

    /// What its end comes from.
    fn ending(&self, state: &RunState) -> Option<Cause> {
        let said = || match state.phase() {
            Phase::Think => news(state, state.head),
            _ => self.answered,
        };
        let of_work = self.here.or(self.thinking).or_else(said);
        of_work.or_else(|| self.begun(state))
    }
}

/// Whether what is written together with it, and after it, comes from it.
fn decides(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::BudgetExceeded { .. }
            | EventBody::Alert { .. }
            | EventBody::TaskResumed { .. }
            | EventBody::PeerDecided { engages: false, .. }
    )
}

/// Whether it is a step of a run's work, or something said to it; not what an incarnation that was lost comes with.
fn is_step(body: &EventBody) -> bool {
    !matches!(
        body,
        EventBody::RunQueued { .. }
            | EventBody::RunWaiting { .. }
            | EventBody::RunResumed { .. }
            | EventBody::RunProgress { .. }
            | EventBody::ToolCallLate { .. }
            | EventBody::TaskNeedsAttention { .. }
            | EventBody::TaskResumed { .. }
            | EventBody::TaskMessage { .. }
    )
}

fn queued(state: &RunState) -> Option<Cause> {
    (state.queued > 0).then_some(Cause::Event(state.queued))
}

/// The end of a delegated run.
fn end_of(state: &RunState, run: RunId) -> Option<Cause> {
    let end = state.children.get(&run)?.end.as_ref()?;
    (end.seq > 0).then_some(Cause::Event(end.seq))
}

/// The newest message or result that a model is shown and had not been shown before; before there is any, the run's brief.
fn news(state: &RunState, seen: Seq) -> Option<Cause> {
    let said = state.unseen.iter().filter(|note| note.is_shown(seen));
    let calls = state.last_turn().into_iter().flat_map(|turn| &turn.calls);
    let results = calls.filter_map(|call| match call.phase {
        CallPhase::Done { seq, .. } => Some(seq),
        _ => None,
    });
    let newest = said.map(|note| note.seq).chain(results).max();
    let before = || state.last_turn().map(|turn| turn.seq);
    let newest = newest.or_else(before).map(Cause::Event);
    newest.or_else(|| queued(state))
}
