//! Why a run does not go on at this moment. Pure: its state, and what is live, give one reason and one sentence.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::event::AgentState;
use crate::model::{InDoubtPolicy, Pause, ProviderLimit, RunStatus, Sender, Timestamp, WaitReason};

use super::state::{Call, CallPhase, Phase, RunState};

/// What the answer depends on besides the run's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Now.
    pub now: Timestamp,
    /// What its agent's actor said last, if it said anything.
    pub agent: Option<AgentState>,
    /// Whether the tree of its task is up.
    pub is_open: bool,
    /// Why one of the task's supervisors gave up, if one has.
    pub gave_up: Option<String>,
    /// What its model call waits for at this moment, if it does.
    pub permit: Option<WaitReason>,
    /// What keeps the journal from writing, if anything does.
    pub trouble: Option<String>,
}

/// Why a run does not go on, or what it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It has ended.
    Ended,
    /// A supervisor of its task gave up, for this reason.
    GaveUp {
        /// The reason.
        detail: String,
    },
    /// The journal cannot be written.
    StoreTrouble {
        /// What the store says.
        detail: String,
    },
    /// Its task is not open.
    NotOpen,
    /// It crashed again and again at one point.
    Quarantined,
    /// Somebody paused it.
    Paused(Pause),
    /// A person has to answer.
    Human {
        /// What is asked.
        question: String,
    },
    /// It was accepted and is not up yet.
    NotStarted,
    /// Its agent's actor is being started again.
    AgentRestarting,
    /// Its agent's actor has stopped and is not coming back.
    AgentStopped,
    /// No executor that has the tool is connected.
    ExecutorMissing {
        /// The tool.
        tool: String,
    },
    /// The executor that has begun a call is gone.
    ExecutorGone {
        /// The tool.
        tool: String,
        /// The executor.
        name: String,
    },
    /// All permits of a pool are taken.
    Permit {
        /// The pool.
        pool: String,
    },
    /// A limit of its provider is used up, or the provider is left alone for a time.
    Provider {
        /// The provider.
        provider: String,
        /// Which limit.
        limit: ProviderLimit,
        /// How long at most, in milliseconds, where that is known.
        wait_ms: Option<u64>,
    },
    /// What its next model call may use up is set aside for others, whose calls are under way.
    Budget,
    /// A model call failed and is tried again.
    Retry {
        /// When.
        until: Timestamp,
        /// How often it has failed.
        failures: u32,
    },
    /// Delegated runs have not ended.
    Children {
        /// How many.
        count: u32,
    },
    /// A model call is under way.
    Thinking,
    /// Tools are being called.
    Calling {
        /// Which.
        tools: Vec<String>,
    },
    /// Nothing holds it: it goes on at once.
    GoesOn,
}

/// Why a run does not go on, typed and in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// The same for people.
    pub sentence: String,
}

/// The answer; there always is one. Of several reasons, the one without which the others would not matter.
#[must_use]
pub fn why(state: &RunState, facts: &Facts) -> Why {
    let reason = around(state, facts)
        .or_else(|| said(state, facts))
        .unwrap_or_else(|| doing(state));
    let sentence = sentence(&reason, facts.now);
    Why { reason, sentence }
}

/// What holds it whatever it does itself.
fn around(state: &RunState, facts: &Facts) -> Option<Reason> {
    if state.status.is_terminal() {
        return Some(Reason::Ended);
    }
    if let Some(detail) = facts.gave_up.clone() {
        return Some(Reason::GaveUp { detail });
    }
    if let Some(detail) = facts.trouble.clone() {
        return Some(Reason::StoreTrouble { detail });
    }
    if state.status == RunStatus::Quarantined {
        return Some(Reason::Quarantined);
    }
    if let Some(pause) = state.paused.clone() {
        return Some(Reason::Paused(pause));
    }
    if !facts.is_open {
        return Some(Reason::NotOpen);
    }
    (state.status == RunStatus::Queued).then_some(Reason::NotStarted)
}

/// What it waits for itself.
fn said(state: &RunState, facts: &Facts) -> Option<Reason> {
    let thinks = state.phase() == Phase::Think;
    if let Some(until) = state.retry_at.filter(|at| thinks && *at > facts.now) {
        let failures = state.failures;
        return Some(Reason::Retry { until, failures });
    }
    match facts.agent {
        Some(AgentState::Restarting) if thinks => return Some(Reason::AgentRestarting),
        Some(AgentState::Failed | AgentState::Terminated) if thinks => {
            return Some(Reason::AgentStopped);
        }
        _ => {}
    }
    let asks = |reason: &WaitReason| {
        !matches!(
            reason,
            WaitReason::Permit { .. } | WaitReason::Provider { .. }
        )
    };
    // What is written of a permit is as old as the last look at it.
    let written = state.waiting.clone().filter(asks);
    match written.or_else(|| facts.permit.clone())? {
        WaitReason::Permit { pool } => Some(Reason::Permit { pool }),
        WaitReason::Provider {
            provider,
            limit,
            wait_ms,
        } => Some(Reason::Provider {
            provider,
            limit,
            wait_ms,
        }),
        WaitReason::Budget => Some(Reason::Budget),
        WaitReason::Executor { tool, name: None } => Some(Reason::ExecutorMissing { tool }),
        WaitReason::Executor {
            tool,
            name: Some(name),
        } => Some(Reason::ExecutorGone { tool, name }),
        WaitReason::Human { question } => Some(Reason::Human { question }),
        WaitReason::Children { .. } | WaitReason::Retry { .. } | WaitReason::Paused(_) => None,
    }
}

/// What it does, or whom it waits for without having said so.
fn doing(state: &RunState) -> Reason {
    let count = state.live_children();
    match state.phase() {
        Phase::Over => Reason::Ended,
        Phase::Think if state.thinking.is_some() => Reason::Thinking,
        Phase::Finish if count > 0 => Reason::Children { count },
        Phase::Act => acting(state, count),
        Phase::Think | Phase::Finish => Reason::GoesOn,
    }
}

fn acting(state: &RunState, count: u32) -> Reason {
    let question = |call: &Call| match &call.phase {
        CallPhase::InDoubt {
            policy: InDoubtPolicy::Ask,
            reason,
        } => Some(format!("did {} take effect? {reason}", call.call.name)),
        _ => None,
    };
    if let Some(question) = state.open_calls().find_map(|(_, call)| question(call)) {
        return Reason::Human { question };
    }
    let is_delegated = |call: &Call| matches!(call.phase, CallPhase::Delegated(_));
    let calls = state.open_calls().filter(|(_, call)| !is_delegated(call));
    let tools: Vec<_> = calls.map(|(_, call)| call.call.name.clone()).collect();
    match tools.is_empty() {
        true if count > 0 => Reason::Children { count },
        true => Reason::GoesOn,
        false => Reason::Calling { tools },
    }
}

/// One reason for people.
#[must_use]
pub fn sentence(reason: &Reason, now: Timestamp) -> String {
    match reason {
        Reason::Ended => "it has ended".to_owned(),
        Reason::GaveUp { detail } => {
            format!(
                "a supervisor of its task gave up ({detail}); answer the task to start it again"
            )
        }
        Reason::StoreTrouble { detail } => format!("nothing can be written down: {detail}"),
        Reason::NotOpen => "its task is not open; open it, or start the node again".to_owned(),
        Reason::Quarantined => {
            "it crashed again and again at one point; answer the task to release it".to_owned()
        }
        Reason::Paused(pause) => paused(pause, now),
        Reason::Human { question } => format!("a person has to answer: {question}"),
        Reason::NotStarted => "it is accepted and about to be started".to_owned(),
        Reason::AgentRestarting => "its agent crashed and is being started again".to_owned(),
        Reason::AgentStopped => "its agent has stopped and is not started again".to_owned(),
        Reason::ExecutorMissing { tool } => {
            format!("no executor that has {tool} is connected to its project; connect one")
        }
        Reason::ExecutorGone { tool, name } => {
            format!(
                "executor {name} has begun {tool} and is gone; it alone can say what it has done"
            )
        }
        Reason::Permit { pool } => format!("all permits of the pool `{pool}` are taken"),
        Reason::Provider {
            provider,
            limit,
            wait_ms,
        } => provider_waits(provider, limit, *wait_ms),
        Reason::Budget => {
            "what is left of its budget is set aside for calls that are under way".to_owned()
        }
        Reason::Retry { until, failures } => {
            let wait = humantime::format_duration(until.since(now));
            format!("its model call failed {failures} times and is tried again in {wait}")
        }
        Reason::Children { count: 1 } => "a run it delegated has not ended".to_owned(),
        Reason::Children { count } => format!("{count} runs it delegated have not ended"),
        Reason::Thinking => "it does not wait: its model is thinking".to_owned(),
        Reason::Calling { tools } => format!("it does not wait: it calls {}", tools.join(", ")),
        Reason::GoesOn => "nothing holds it: it goes on at once".to_owned(),
    }
}

fn provider_waits(provider: &str, limit: &ProviderLimit, wait_ms: Option<u64>) -> String {
    let limit = match limit {
        ProviderLimit::Concurrent { calls } => format!("takes {calls} calls at a time"),
        ProviderLimit::Rate { rate } => format!("takes {rate}"),
        ProviderLimit::Refused => "has refused a call because there were too many".to_owned(),
        ProviderLimit::Breaker => "fails too often and is left alone for a time".to_owned(),
        ProviderLimit::SlowStart => "takes few calls at a time since it refused one".to_owned(),
    };
    let wait = wait_ms.map(Duration::from_millis);
    let wait = wait.map(|wait| format!("; free in {}", humantime::format_duration(wait)));
    format!(
        "its provider `{provider}` {limit}{}",
        wait.unwrap_or_default()
    )
}

fn paused(pause: &Pause, now: Timestamp) -> String {
    let by = match &pause.by {
        Sender::Human => "a person",
        Sender::System => "what paused its agent, or whoever delegated it,",
        Sender::Agent(agent) => agent.as_str(),
    };
    let since = humantime::format_duration(now.since(pause.since));
    format!("{by} paused it {since} ago; resume it")
}
