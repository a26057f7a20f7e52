//! A journal told in short lines: one an event, ids as names, times from the beginning.

use std::collections::BTreeMap;

use actors::model::event::{Outcome, Resolution};
use actors::model::{
    Attention, Content, Delegation, Event, EventBody, RunId, Sender, TaskId, WaitReason,
};
use serde::Serialize;

/// How much of a text is told.
const MOST: usize = 150;

/// The whole journal, told.
pub(super) fn tell(events: &[Event]) -> String {
    crate::support::causes::check(events);
    tell_some(events, events)
}

/// Some events of a journal, told in their order.
pub(super) fn tell_some(journal: &[Event], events: &[Event]) -> String {
    let names = names(journal);
    let begin = journal.first().map_or(0, |event| event.at.0);
    let line = |event: &Event| {
        let who = event.run_id.map(|run| names[&run].clone());
        let who = who.or_else(|| event.agent.as_ref().map(|agent| format!("[{agent}]")));
        let who = who.unwrap_or_else(|| "·".to_owned());
        let at = event.at.0 - begin;
        let what = what(&event.body);
        let line = format!("{at:>7} {who:<9} {} {what}", event.body.kind());
        named(line.trim_end(), event.task_id, &names)
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Runs are called as their agents are; the second one of an agent is `name#2`.
pub(super) fn names(events: &[Event]) -> BTreeMap<RunId, String> {
    let (mut names, mut count) = (BTreeMap::new(), BTreeMap::<String, u32>::new());
    for event in events {
        if let (EventBody::RunQueued { spec }, Some(run)) = (&event.body, event.run_id) {
            let number = count.entry(spec.agent.to_string()).or_default();
            *number += 1;
            let name = match number {
                1 => spec.agent.to_string(),
                number => format!("{}#{number}", spec.agent),
            };
            names.insert(run, name);
        }
    }
    names
}

/// A text in which ids are names and that has one line.
pub(super) fn named(text: &str, task: TaskId, names: &BTreeMap<RunId, String>) -> String {
    let mut text = text.replace('\n', " ⏎ ");
    for (run, name) in names {
        text = text.replace(&run.to_string(), &format!("run_{name}"));
    }
    text.replace(&task.to_string(), "task")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
        None => format!("{text:?}"),
    }
}

fn said(content: &Content) -> String {
    match content {
        Content::Inline(text) => short(text),
        Content::Blob { bytes, .. } => format!("a text of {bytes} bytes"),
    }
}

fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).expect("a word");
    value.as_str().unwrap_or_default().to_owned()
}

fn by(sender: &Sender) -> String {
    match sender {
        Sender::Human => "a person".to_owned(),
        Sender::System => "the runtime".to_owned(),
        Sender::Agent(name) => name.to_string(),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Error => "error",
    }
}

fn what(body: &EventBody) -> String {
    use EventBody as E;
    match body {
        E::RunCompleted { result, .. } | E::TaskCompleted { result } => said(result),
        E::RunFailed { error, .. } | E::TaskFailed { error } => short(error),
        E::RunCancelled { reason, .. }
        | E::TaskCancelled { reason }
        | E::RunQuarantined { reason } => short(reason),
        E::TaskResumed { answer } => short(answer),
        E::TaskMessage {
            from, to, content, ..
        } => {
            let to = to.as_ref().map(|to| format!(" to {to}"));
            let (by, to) = (by(from), to.unwrap_or_default());
            format!("by {by}{to}: {}", short(content))
        }
        E::TopologyChanged { topology, by: who } => format!("by {}: {}", by(who), topology.name()),
        E::TaskNeedsAttention { attention } => asked(attention),
        E::AgentState { state, reason } => format!("{} {reason}", word(state)),
        E::SupervisorRestart {
            path,
            child,
            incarnation,
            reason,
        } => format!("{path} starts {child} as #{incarnation}: {reason}"),
        E::SupervisorGaveUp { path, reason } => format!("{path}: {reason}"),
        E::BudgetExceeded { limit, .. } => limit.clone(),
        E::Alert { note, .. } => note.clone(),
        E::FaultInjected {
            target,
            fault,
            when,
        } => format!("{fault} of {target} {when}").trim_end().to_owned(),
        E::BreakerOpened {
            provider, reason, ..
        } => format!("{provider}: {reason}"),
        E::BreakerClosed { provider } => provider.clone(),
        E::ModelCallStarted { .. }
        | E::ModelCallCompleted { .. }
        | E::Message { .. }
        | E::ToolCallStarted { .. }
        | E::ToolCallCompleted { .. }
        | E::ToolCallInDoubt { .. }
        | E::ToolCallResolved { .. }
        | E::ToolCallLate { .. } => turn(body),
        body => run(body),
    }
}

fn run(body: &EventBody) -> String {
    use EventBody as E;
    match body {
        E::RunQueued { spec } => {
            let how = match spec.parent.as_ref().map(|parent| parent.delegation) {
                Some(Delegation::Foreground) => " in the foreground",
                Some(Delegation::Background) => " in the background",
                None => "",
            };
            let worker = if spec.worker { " as a worker" } else { "" };
            format!("{}{how}{worker}", short(&spec.input))
        }
        E::PeerDecided { engages: true, .. } => "engages".to_owned(),
        E::PeerDecided { reason, .. } => format!("declines: {reason}"),
        E::RunRestarted {
            recovery, reason, ..
        } => format!("{}: {reason}", word(recovery)),
        E::RunWaiting { reason } => match reason {
            WaitReason::Provider {
                provider, limit, ..
            } => {
                format!("for the provider {provider}: {limit:?}")
            }
            WaitReason::Paused(pause) => format!("paused with {:?}", pause.scope),
            WaitReason::Permit { pool } => format!("for a permit of {pool}"),
            WaitReason::Executor { tool, name } => match name {
                Some(name) => format!("for {name}, to go on with {tool}"),
                None => format!("for an executor with {tool}"),
            },
            WaitReason::Children { count } => format!("for {count} delegated"),
            WaitReason::Budget => "for what others leave of a budget".to_owned(),
            WaitReason::Human { question } => format!("for a person: {}", short(question)),
            WaitReason::Retry { delay_ms } => format!("{delay_ms} ms"),
        },
        E::RunRetrying { attempt, error, .. } => format!("after try {attempt}: {}", short(error)),
        E::RunContinued { from, content } => format!("by {}: {}", by(from), said(content)),
        E::RunProgress { turn, doing, .. } => format!("turn {turn}, {doing}"),
        _ => String::new(),
    }
}

fn turn(body: &EventBody) -> String {
    use EventBody as E;
    match body {
        E::ModelCallStarted { turn, .. } => format!("{turn}"),
        E::ModelCallCompleted {
            turn, text, calls, ..
        } => {
            let calls = calls.iter().map(|call| format!(" → {}", call.name));
            format!("{turn} {}{}", short(text), calls.collect::<String>())
        }
        E::Message { from, content, .. } => format!("by {}: {}", by(from), said(content)),
        E::ToolCallStarted { step, tool, .. } => format!("{step} {tool}"),
        E::ToolCallCompleted {
            step,
            outcome: how,
            content,
        } => format!("{step} {} {}", outcome(*how), said(content)),
        E::ToolCallInDoubt { step, reason, .. } => format!("{step} {}", short(reason)),
        E::ToolCallResolved {
            step,
            by: who,
            resolution,
        } => {
            let how = match resolution {
                Resolution::ToldModel => "told the model".to_owned(),
                Resolution::Retried => "again".to_owned(),
                Resolution::Compensated { note } => format!("undone: {note}"),
                Resolution::Answered { result } => format!("answered {result:?}"),
            };
            format!("{step} by {}: {how}", by(who))
        }
        E::ToolCallLate { step, content, .. } => format!("{step} {}", said(content)),
        _ => String::new(),
    }
}

fn asked(attention: &Attention) -> String {
    match attention {
        Attention::InDoubt { question, .. } => format!("in doubt: {}", short(question)),
        Attention::Quarantined { run, reason } => format!("{run} is quarantined: {reason}"),
        Attention::Limit { question, .. } => format!("may it go on: {}", short(question)),
        Attention::GaveUp { path, reason } => format!("{path} gave up: {reason}"),
    }
}
