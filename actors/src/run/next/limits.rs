//! What a run is told, asked and refused when it comes to a limit.

use crate::budget::standing::nearly_note;
use crate::model::{
    AgentSpec, AlertKind, Attention, Budget, BudgetScope, EventBody, Exceeded, OnExceeded,
    WaitReason,
};
use crate::run::state::{Asked, RunState};

use super::loops::{self, Loop};
use super::{Effect, Surroundings};

/// What becomes of a run before its next model call, if it may not simply be made.
pub(super) fn before_thinking(
    state: &RunState,
    around: &Surroundings<'_>,
) -> Option<Vec<EventBody>> {
    goes_round(state, around).or_else(|| is_nearly_used_up(state, around))
}

fn goes_round(state: &RunState, around: &Surroundings<'_>) -> Option<Vec<EventBody>> {
    let (warn, stop) = (around.limits.loop_warn, around.limits.loop_stop);
    let least = [warn, stop].into_iter().filter(|n| *n > 0).min()?;
    let found = loops::find(state, least, warn.max(stop))?;
    if stop > 0 && found.times >= stop {
        return Some(stopped_in_loop(state, around, &found));
    }
    let is_told = state.warned_of_loop.is_some_and(|turn| turn >= found.since);
    (warn > 0 && found.times >= warn && !is_told).then(|| {
        let note = format!(
            "You are going round in circles: {}, {} times now. Do something else: change the arguments, use another tool, or say what \
             keeps you from going on.",
            found.what, found.times
        );
        alert(AlertKind::Loop, note)
    })
}

fn alert(kind: AlertKind, note: String) -> Vec<EventBody> {
    let about = None;
    vec![EventBody::Alert { kind, note, about }]
}

fn stopped_in_loop(state: &RunState, around: &Surroundings<'_>, found: &Loop) -> Vec<EventBody> {
    let why = format!(
        "the run goes round in circles: {}, {} times (loop_stop)",
        found.what, found.times
    );
    let mut bodies = alert(AlertKind::Loop, why.clone());
    bodies.extend(stopped(state, around.agent, why, None));
    bodies
}

fn is_nearly_used_up(state: &RunState, around: &Surroundings<'_>) -> Option<Vec<EventBody>> {
    let nearly = around.standing.nearly().filter(|_| !state.is_warned)?;
    Some(alert(AlertKind::Budget, nearly_note(&nearly)))
}

/// What is written when a budget does not allow a run's next model call.
#[must_use]
pub fn budget_exceeded(state: &RunState, agent: &AgentSpec, exceeded: Exceeded) -> Vec<EventBody> {
    let limit = exceeded.to_string();
    let mut bodies = vec![EventBody::BudgetExceeded {
        limit: limit.clone(),
        exceeded: Some(exceeded),
    }];
    bodies.extend(stopped(state, agent, limit, Some(exceeded)));
    bodies
}

/// A run that may not go on fails, or asks a person: a root run asks unless its agent says otherwise.
fn stopped(
    state: &RunState,
    agent: &AgentSpec,
    why: String,
    exceeded: Option<Exceeded>,
) -> Vec<EventBody> {
    let is_root = state
        .spec
        .as_ref()
        .is_some_and(|spec| spec.parent.is_none());
    let default = if is_root {
        OnExceeded::Ask
    } else {
        OnExceeded::Fail
    };
    if agent.on_exceeded.unwrap_or(default) == OnExceeded::Fail {
        return vec![EventBody::RunFailed {
            error: why,
            usage: state.usage,
        }];
    }
    let how = match exceeded {
        Some(_) => "allow more of it with an amount (`200000 tokens`, `$5`, `100 turns`)",
        None => "say what it is to do instead",
    };
    let question = format!("{why}; {how}, or answer `stop`");
    let attention = Attention::Limit {
        run: state.id,
        question: question.clone(),
        exceeded,
    };
    vec![
        EventBody::RunWaiting {
            reason: WaitReason::Human { question },
        },
        EventBody::TaskNeedsAttention { attention },
    ]
}

/// What a person's answer to the question whether a run may go on means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayGoOn {
    /// With more of a budget.
    With(BudgetScope, Budget),
    /// With what was said to it.
    Told(String),
    /// With what was allowed elsewhere meanwhile: it looks again.
    Again,
    /// It may not.
    Stop,
    /// The answer says nothing about it: it is asked again.
    Unclear,
}

/// The answer that lets a run look at its budget again.
pub const GO_ON: &str = "go on";

/// Reads a person's answer.
#[must_use]
pub fn may_go_on(asked: &Asked, answer: &str) -> MayGoOn {
    let answer = answer.trim();
    if ["stop", "no"]
        .iter()
        .any(|no| answer.eq_ignore_ascii_case(no))
    {
        return MayGoOn::Stop;
    }
    if answer.eq_ignore_ascii_case(GO_ON) && asked.exceeded.is_some() {
        return MayGoOn::Again;
    }
    match asked.exceeded {
        None if answer.is_empty() => MayGoOn::Unclear,
        None => MayGoOn::Told(answer.to_owned()),
        Some(exceeded) => amount(answer).map_or(MayGoOn::Unclear, |more| {
            MayGoOn::With(exceeded.budget, more)
        }),
    }
}

/// An amount as people write it: `200000 tokens`, `$5`, `2.50 usd`, `100 turns`.
#[must_use]
pub fn amount(text: &str) -> Option<Budget> {
    let text = text
        .trim()
        .trim_start_matches('+')
        .trim()
        .to_ascii_lowercase();
    let (money, text) = match text.strip_prefix('$') {
        Some(rest) => (true, rest.trim().to_owned()),
        None => (false, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '_' | ','));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: String = number.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    let mut more = Budget::default();
    match unit.trim() {
        "" | "usd" | "dollars" | "dollar" if money || !unit.trim().is_empty() => {
            more.cost_usd_micros = Some(micros(&number)?);
        }
        "tokens" | "token" if !money => more.tokens = Some(number.parse().ok()?),
        "turns" | "turn" if !money => more.turns = Some(number.parse().ok()?),
        _ => return None,
    }
    (more.tokens != Some(0) && more.turns != Some(0) && more.cost_usd_micros != Some(0))
        .then_some(more)
}

fn micros(dollars: &str) -> Option<u64> {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    if part.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part)
}

/// What is recorded about a limit, as an effect.
pub(super) fn refusal(
    state: &RunState,
    around: &Surroundings<'_>,
    needed: &crate::model::Reservation,
) -> Option<Effect> {
    let exceeded = around.standing.refusal(needed.amount())?;
    Some(Effect::Record(budget_exceeded(
        state,
        around.agent,
        exceeded,
    )))
}
