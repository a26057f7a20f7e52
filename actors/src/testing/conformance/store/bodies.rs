//! Every kind of event, filled from a seed.

use crate::model::executor::ExecutorName;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::event::{AgentState, Outcome, Resolution};
use crate::model::run::Parent;
use crate::model::{
    AgentName, AlertKind, Attention, Budget, BudgetScope, Content, Delegation, EffectClass,
    EventBody, Exceeded, InDoubtPolicy, Measure, Pause, ProviderLimit, Recovery, Reservation,
    RunId, RunSpec, Scope, Sender, Step, StopReason, TaskDefinition, TeamSpec, Timestamp, ToolCall,
    Topology, Usage, WaitReason,
};

use super::draft::{definition, run, spec};

const KINDS: usize = 41;

/// One event of every kind, each with contents that are easily mangled.
#[must_use]
pub fn every_kind() -> Vec<EventBody> {
    (0..KINDS)
        .map(|n| body(&mut Rng::with_seed(u64::try_from(n).unwrap_or_default()), n))
        .collect()
}

pub(super) fn any(rng: &mut Rng) -> EventBody {
    let n = rng.usize(..KINDS);
    body(rng, n)
}

fn body(rng: &mut Rng, n: usize) -> EventBody {
    match n {
        0..7 => of_task(rng, n),
        7..18 => of_run(rng, n),
        18..25 => of_call(rng, n),
        25..29 => of_supervision(rng, n),
        _ => of_what_goes_on(rng, n),
    }
}

fn of_what_goes_on(rng: &mut Rng, n: usize) -> EventBody {
    match n {
        29 => EventBody::TaskReopened,
        30 => EventBody::RunContinued {
            from: sender(rng),
            content: content(rng),
        },
        31 => EventBody::BreakerOpened {
            provider: text(rng),
            reason: text(rng),
            wait_ms: maybe(rng, |rng| rng.u64(..)),
        },
        32 => EventBody::BreakerClosed {
            provider: text(rng),
        },
        33 => EventBody::PeerDecided {
            engages: rng.bool(),
            reason: text(rng),
        },
        34 => EventBody::TopologyChanged {
            topology: topology(rng),
            by: sender(rng),
        },
        35 => EventBody::ModelCallInterrupted { turn: rng.u32(..) },
        36 => EventBody::RunResumed { by: sender(rng) },
        39 => EventBody::FaultInjected {
            target: text(rng),
            fault: text(rng),
            when: text(rng),
        },
        37 => EventBody::RunProgress {
            turn: rng.u32(..),
            doing: text(rng),
            tokens: rng.u64(..),
        },
        38 => EventBody::BudgetRaised {
            budget: scope(rng),
            more: Budget {
                tokens: maybe(rng, |rng| rng.u64(..)),
                ..Budget::default()
            },
        },
        _ => EventBody::Alert {
            kind: pick(rng, &[AlertKind::Loop, AlertKind::Budget]),
            note: text(rng),
            about: None,
        },
    }
}

fn topology(rng: &mut Rng) -> Topology {
    let rules =
        json!({ "rules": [{ "from": "@lead", "to": "*", "when": text(rng), "decide": "deny" }] });
    match rng.u8(..4) {
        0 => Topology::Custom(text(rng)),
        1 => serde_json::from_value(rules).unwrap_or_default(),
        2 => Topology::Chain,
        _ => Topology::Filtered,
    }
}

fn of_task(rng: &mut Rng, n: usize) -> EventBody {
    match n {
        0 => EventBody::TaskCreated {
            definition: Box::new(any_definition(rng)),
        },
        1 => EventBody::TaskMessage {
            from: sender(rng),
            to: maybe(rng, agent),
            content: text(rng),
            outcome: rng.bool(),
        },
        2 => EventBody::TaskNeedsAttention {
            attention: attention(rng),
        },
        3 => EventBody::TaskResumed { answer: text(rng) },
        4 => EventBody::TaskCompleted {
            result: content(rng),
        },
        5 => EventBody::TaskFailed { error: text(rng) },
        _ => EventBody::TaskCancelled { reason: text(rng) },
    }
}

fn of_run(rng: &mut Rng, n: usize) -> EventBody {
    match n {
        7 => EventBody::RunQueued {
            spec: Box::new(any_spec(rng)),
        },
        8 => EventBody::RunStarted,
        9 => EventBody::RunRestarted {
            recovery: pick(rng, &[Recovery::Resume, Recovery::CleanSlate]),
            reason: text(rng),
            crashed: rng.bool(),
        },
        10 => EventBody::RunWaiting {
            reason: wait_reason(rng),
        },
        11 => EventBody::RunRetrying {
            turn: rng.u32(..),
            attempt: rng.u32(..),
            error: text(rng),
            delay_ms: rng.u64(..),
            refused: rng.bool(),
            lost: rng.bool(),
        },
        12 => EventBody::RunCompleted {
            result: content(rng),
            usage: usage(rng),
        },
        13 => EventBody::RunFailed {
            error: text(rng),
            usage: usage(rng),
        },
        14 => EventBody::RunCancelled {
            reason: text(rng),
            usage: usage(rng),
        },
        15 => EventBody::RunQuarantined { reason: text(rng) },
        16 => EventBody::RunReleased,
        _ => EventBody::Message {
            from: sender(rng),
            content: content(rng),
            about: maybe(rng, any_run),
        },
    }
}

fn of_call(rng: &mut Rng, n: usize) -> EventBody {
    let step = step(rng);
    let outcome = pick(rng, &[Outcome::Ok, Outcome::Error]);
    match n {
        18 => EventBody::ModelCallStarted {
            turn: rng.u32(..),
            seen: rng.u64(..),
            reserved: reservation(rng),
        },
        19 => model_call_completed(rng),
        20 => EventBody::ToolCallStarted {
            step,
            tool: text(rng),
            class: pick(rng, &[EffectClass::Once, EffectClass::Keyed]),
            executor: rng.bool().then(|| ExecutorName {
                name: text(rng),
                ledger: rng.bool().then(|| text(rng)),
            }),
        },
        21 => EventBody::ToolCallCompleted {
            step,
            outcome,
            content: content(rng),
        },
        22 => EventBody::ToolCallInDoubt {
            step,
            tool: text(rng),
            reason: text(rng),
            policy: pick(rng, &[InDoubtPolicy::Ask, InDoubtPolicy::TellModel]),
        },
        23 => EventBody::ToolCallResolved {
            step,
            by: sender(rng),
            resolution: resolution(rng),
        },
        _ => EventBody::ToolCallLate {
            step,
            started_epoch: rng.u64(..),
            outcome,
            content: content(rng),
        },
    }
}

fn of_supervision(rng: &mut Rng, n: usize) -> EventBody {
    match n {
        25 => EventBody::AgentState {
            state: pick(rng, &[AgentState::Idle, AgentState::Restarting]),
            reason: text(rng),
        },
        26 => EventBody::SupervisorRestart {
            path: text(rng),
            child: text(rng),
            incarnation: rng.u64(..),
            reason: text(rng),
        },
        27 => EventBody::SupervisorGaveUp {
            path: text(rng),
            reason: text(rng),
        },
        _ => EventBody::BudgetExceeded {
            limit: text(rng),
            exceeded: maybe(rng, exceeded),
        },
    }
}

fn model_call_completed(rng: &mut Rng) -> EventBody {
    EventBody::ModelCallCompleted {
        turn: rng.u32(..),
        text: text(rng),
        calls: some(rng, |rng| ToolCall {
            id: text(rng),
            name: text(rng),
            args: value(rng),
        }),
        usage: usage(rng),
        stop: pick(rng, &[StopReason::End, StopReason::ToolCalls]),
        opaque: some(rng, value),
    }
}

fn any_definition(rng: &mut Rng) -> TaskDefinition {
    let mut definition = definition(&text(rng));
    definition.description = text(rng);
    definition.team = maybe(rng, |_| TeamSpec::default());
    definition.limits.depth = rng.u32(..);
    definition.source = value(rng);
    definition
}

fn any_spec(rng: &mut Rng) -> RunSpec {
    let agent = agent(rng);
    RunSpec {
        title: text(rng),
        input: text(rng),
        depth: rng.u32(..),
        snippets: some(rng, text),
        worker: rng.bool(),
        parent: maybe(rng, |rng| Parent {
            run: any_run(rng),
            step: step(rng),
            delegation: pick(rng, &[Delegation::Foreground, Delegation::Background]),
            up_to: rng.u64(..),
        }),
        heard: maybe(rng, |rng| rng.u64(..)),
        ..spec(agent)
    }
}

fn attention(rng: &mut Rng) -> Attention {
    match rng.u8(..4) {
        3 => Attention::Limit {
            run: any_run(rng),
            question: text(rng),
            exceeded: maybe(rng, exceeded),
        },
        0 => Attention::InDoubt {
            run: any_run(rng),
            question: text(rng),
        },
        1 => Attention::Quarantined {
            run: any_run(rng),
            reason: text(rng),
        },
        _ => Attention::GaveUp {
            path: text(rng),
            reason: text(rng),
        },
    }
}

fn wait_reason(rng: &mut Rng) -> WaitReason {
    match rng.u8(..8) {
        6 => WaitReason::Budget,
        5 => WaitReason::Paused(Pause {
            by: sender(rng),
            since: Timestamp(rng.u64(..4_000_000_000_000)),
            scope: pick(
                rng,
                &[Scope::Run, Scope::Subtree, Scope::Agent, Scope::Task],
            ),
        }),
        0 => WaitReason::Permit { pool: text(rng) },
        1 => WaitReason::Executor {
            tool: text(rng),
            name: rng.bool().then(|| text(rng)),
        },
        2 => WaitReason::Children { count: rng.u32(..) },
        3 => WaitReason::Human {
            question: text(rng),
        },
        4 => WaitReason::Provider {
            provider: text(rng),
            limit: provider_limit(rng),
            wait_ms: maybe(rng, |rng| rng.u64(..)),
        },
        _ => WaitReason::Retry {
            delay_ms: rng.u64(..),
        },
    }
}

fn provider_limit(rng: &mut Rng) -> ProviderLimit {
    match rng.u8(..5) {
        0 => ProviderLimit::Concurrent { calls: rng.u32(..) },
        1 => ProviderLimit::Rate { rate: text(rng) },
        2 => ProviderLimit::Refused,
        3 => ProviderLimit::Breaker,
        _ => ProviderLimit::SlowStart,
    }
}

fn resolution(rng: &mut Rng) -> Resolution {
    match rng.u8(..4) {
        0 => Resolution::ToldModel,
        1 => Resolution::Retried,
        2 => Resolution::Compensated { note: text(rng) },
        _ => Resolution::Answered { result: text(rng) },
    }
}

fn sender(rng: &mut Rng) -> Sender {
    match rng.u8(..3) {
        0 => Sender::Human,
        1 => Sender::System,
        _ => Sender::Agent(agent(rng)),
    }
}

fn content(rng: &mut Rng) -> Content {
    if rng.bool() {
        return Content::Inline(text(rng));
    }
    Content::Blob {
        blob: text(rng),
        bytes: rng.u64(..),
        preview: text(rng),
    }
}

fn usage(rng: &mut Rng) -> Usage {
    Usage {
        input_tokens: rng.u64(..),
        output_tokens: rng.u64(..1_000),
        cache_read_tokens: rng.u64(..2),
        cache_write_tokens: 0,
        cost_usd_micros: rng.u64(..1_000_000),
        wasted_tokens: rng.u64(..2),
        wasted_cost_usd_micros: rng.u64(..2),
    }
}

fn reservation(rng: &mut Rng) -> Reservation {
    Reservation {
        input_tokens: rng.u64(..2),
        output_tokens: rng.u64(..),
        input_cost_usd_micros: rng.u64(..2),
        output_cost_usd_micros: rng.u64(..2),
    }
}

fn scope(rng: &mut Rng) -> BudgetScope {
    maybe(rng, any_run).map_or(BudgetScope::Task, BudgetScope::Run)
}

fn exceeded(rng: &mut Rng) -> Exceeded {
    Exceeded {
        budget: scope(rng),
        measure: pick(rng, &Measure::ALL),
        most: rng.u64(..),
        used: rng.u64(..),
        reserved: rng.u64(..),
        needed: rng.u64(..),
    }
}

fn step(rng: &mut Rng) -> Step {
    Step {
        turn: rng.u32(..),
        index: rng.u32(..100),
    }
}

fn any_run(rng: &mut Rng) -> RunId {
    run(rng.u128(..))
}

fn agent(rng: &mut Rng) -> AgentName {
    text(rng).as_str().into()
}

pub(super) fn text(rng: &mut Rng) -> String {
    const PIECES: [&str; 12] = [
        "a", "Bc", " ", "\"", "\\", "\n", "\0", "ü", "𝄞", "{}", "\u{2028}", "type",
    ];
    let limit = if rng.u8(..) == 0 { 4_000 } else { 12 };
    let length = rng.usize(..limit);
    (0..length).map(|_| pick(rng, &PIECES)).collect()
}

fn value(rng: &mut Rng) -> Value {
    match rng.u8(..6) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.u64(..)),
        3 => json!(rng.f64() * 1e-3),
        4 => json!(some(
            rng,
            |rng| json!({ text(rng): rng.i64(..), "text": text(rng) })
        )),
        _ => json!({ "type": text(rng), "deep": [{ "deeper": f64::from_bits(rng.u64(..)) }] }),
    }
}

fn maybe<T>(rng: &mut Rng, make: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn some<T>(rng: &mut Rng, mut make: impl FnMut(&mut Rng) -> T) -> Vec<T> {
    (0..rng.u8(..4)).map(|_| make(rng)).collect()
}

pub(super) fn pick<T: Clone>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(..choices.len())].clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_there_once_and_bears_its_name() {
        let kinds = every_kind();
        let names: std::collections::BTreeSet<_> = kinds.iter().map(EventBody::kind).collect();
        assert_eq!(names.len(), KINDS);
        for body in kinds {
            let json = serde_json::to_value(&body).unwrap();
            assert_eq!(json["type"], body.kind());
        }
    }
}
