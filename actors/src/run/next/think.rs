//! Model calls: when one is made, and what follows when it fails.

use std::time::Duration;

use crate::budget::Verdict;
use crate::model::{EventBody, RunId};
use crate::provider::{ProviderError, ProviderErrorKind};
use crate::run::state::RunState;

use super::ends::background_ends;
use super::limits::{before_thinking, refusal};
use super::{Effect, RetryPolicy, Surroundings};

pub(super) fn think(state: &RunState, around: &Surroundings<'_>) -> Vec<Effect> {
    let ends = background_ends(state, around);
    if !ends.is_empty() {
        return vec![Effect::Record(ends)];
    }
    if let Some(under_way) = state.thinking.filter(|it| it.epoch == state.epoch) {
        // It may have been held by a pause, and its permit given back.
        return vec![match around.is_permitted {
            true => Effect::Think {
                turn: state.turn,
                seen: under_way.seen,
            },
            false => Effect::Permit,
        }];
    }
    if state.asked.is_some() {
        return Vec::new();
    }
    if let Some(at) = state.retry_at.filter(|at| *at > around.now) {
        return vec![Effect::WakeAt(at)];
    }
    if state.turn >= around.agent.max_turns {
        let limit = format!(
            "{} turns (max_turns of agent `{}`)",
            around.agent.max_turns, around.name
        );
        let error = format!("the run used up its {limit} without coming to an end");
        return vec![Effect::Record(vec![
            EventBody::BudgetExceeded {
                limit,
                exceeded: None,
            },
            EventBody::RunFailed {
                error,
                usage: state.usage,
            },
        ])];
    }
    if let Some(first) = before_thinking(state, around) {
        return vec![Effect::Record(first)];
    }
    let (turn, seen, is_limited) = (state.turn, around.read, around.standing.is_limited());
    // What is said while it waits is shown to the model: the call begins when it can be made.
    if !is_limited && !around.is_permitted {
        return vec![Effect::Permit];
    }
    let reserved = (around.reserve)(seen);
    if let Some(refused) = refusal(state, around, &reserved) {
        return vec![refused];
    }
    if !around.is_permitted {
        return vec![Effect::Permit];
    }
    let verdict = || around.standing.verdict(reserved.amount());
    if is_limited && !(around.is_admitted && verdict() == Verdict::Granted) {
        return vec![Effect::Admit(reserved)];
    }
    vec![Effect::Record(vec![EventBody::ModelCallStarted {
        turn,
        seen,
        reserved,
    }])]
}

/// How often a turn may be refused because its provider has no room, before its run fails after all: with the usual waits, hours.
pub const MOST_REFUSALS: u32 = 200;

/// What to write when a model call failed.
#[must_use]
pub fn model_call_failed(state: &RunState, error: &ProviderError, retry: RetryPolicy) -> EventBody {
    let refused = error.kind == ProviderErrorKind::RateLimited;
    let (tries, most) = match refused {
        true => (state.refusals, MOST_REFUSALS),
        false => (state.failures, retry.attempts),
    };
    let attempt = state
        .failures
        .saturating_add(state.refusals)
        .saturating_add(1);
    if error.is_retryable() && tries.saturating_add(1) < most {
        // One that was refused waits for its provider besides, with all others.
        let cap = if refused { retry.base } else { retry.cap };
        let delay = retry_delay(
            state.id,
            state.turn,
            tries.saturating_add(1),
            retry.base,
            cap,
            error.retry_after,
        );
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        return EventBody::RunRetrying {
            turn: state.turn,
            attempt,
            error: error.to_string(),
            delay_ms,
            refused,
            lost: error.may_have_cost(),
        };
    }
    let usage = if error.may_have_cost() {
        state.usage_at_end()
    } else {
        state.usage
    };
    let error = if attempt > 1 {
        format!("after {attempt} attempts: {error}")
    } else {
        error.to_string()
    };
    EventBody::RunFailed { error, usage }
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
