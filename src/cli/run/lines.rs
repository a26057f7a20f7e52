//! What is worth a line. Pure: the same line stands above the drawing of a terminal and in a log.

use std::time::Duration;

use actors::model::event::{AgentState, Outcome, Resolution};
use actors::model::run::Parent;
use actors::model::{Delegation, Event, EventBody, Recovery, RunSpec, Sender, Step, WaitReason};
use actors::run::tools::{CREATE_RUN, POST_MESSAGE};

use super::view::{Facts, Run, View, text};
use super::words::{
    clean, counted, ends, first_line, left_alone, listed, name, on_purpose, quoted, reached, stamp,
    strategy, time, waits_for, whom,
};

/// A line about something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// When, since the task was created.
    pub(super) at: Duration,
    /// Which agent it concerns; empty for the task.
    pub(super) who: String,
    /// What happened.
    pub(super) what: String,
    /// How it is to be taken.
    pub(super) tone: Tone,
}

/// How a line is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something happened.
    Plain,
    /// Somebody said something.
    Words,
    /// Something came to a good end.
    Good,
    /// Something is not as it should be, and is taken care of.
    Warning,
    /// Something failed, or needs a human.
    Bad,
}

/// How wide the column of names is at least.
pub(super) const NAMES: usize = 10;

impl Line {
    /// As it stands in a log.
    pub(super) fn plain(&self) -> String {
        format!("{}  {:NAMES$}  {}", stamp(self.at), self.who, self.what)
    }
}

/// The line about an event, from the view before it; none where it is not worth one.
pub(super) fn line(view: &View, event: &Event) -> Option<Line> {
    let (tone, what) = told(view, event)?;
    let began = match event.body {
        EventBody::TaskCreated { .. } => event.at,
        _ => view.began,
    };
    Some(Line {
        at: event.at.since(began),
        who: name(event.agent.as_ref()),
        what,
        tone,
    })
}

type Told = Option<(Tone, String)>;

fn told(view: &View, event: &Event) -> Told {
    let run = event.run_id.and_then(|run| view.run(run));
    match &event.body {
        EventBody::RunQueued { spec } => Some((Tone::Plain, given(view, spec))),
        // A run that ends says its result in the room: that is told with its end.
        EventBody::TaskMessage { .. } if run.is_some_and(|run| !is_posting(run)) => None,
        body => of_task(body)
            .or_else(|| of_supervision(view, body))
            .or_else(|| of_run(view, run?, event))
            .or_else(|| of_end(run?, body))
            .or_else(|| of_call(run?, body)),
    }
}

fn is_posting(run: &Run) -> bool {
    run.calls.iter().any(|call| call.tool == POST_MESSAGE)
}

// ---- the task

fn of_task(body: &EventBody) -> Told {
    Some(match body {
        EventBody::TaskCreated { definition } => (Tone::Plain, begun(&Facts::new(definition))),
        EventBody::TaskMessage {
            from, to, content, ..
        } => (
            Tone::Words,
            said(from, to.as_ref().map(|to| to.as_str()), content),
        ),
        EventBody::TopologyChanged { topology, .. } => (
            Tone::Plain,
            format!("the room is wired anew: {}", clean(topology.name())),
        ),
        EventBody::TaskNeedsAttention { .. } => (Tone::Bad, "the task needs a human".to_owned()),
        EventBody::TaskResumed { answer } => {
            (Tone::Plain, format!("a human decided: {}", quoted(answer)))
        }
        EventBody::TaskReopened => (Tone::Plain, "a human goes on with the task".to_owned()),
        EventBody::TaskCompleted { .. } => (Tone::Good, "the task is done".to_owned()),
        EventBody::TaskFailed { error } => {
            (Tone::Bad, format!("the task failed: {}", clean(error)))
        }
        EventBody::TaskCancelled { reason } => (
            Tone::Bad,
            format!("the task was cancelled: {}", clean(reason)),
        ),
        EventBody::BudgetExceeded { limit, .. } => (Tone::Warning, reached(limit)),
        EventBody::Alert { note, .. } => (Tone::Warning, format!("alert: {}", clean(note))),
        EventBody::BreakerOpened {
            provider,
            reason,
            wait_ms,
        } => (Tone::Warning, left_alone(provider, reason, *wait_ms)),
        EventBody::BreakerClosed { provider } => (
            Tone::Good,
            format!("the provider `{}` is well again", clean(provider)),
        ),
        _ => return None,
    })
}

fn begun(facts: &Facts) -> String {
    let team = facts.team.as_ref().map_or_else(String::new, |team| {
        format!(", team {} ({})", clean(&team.name), strategy(team.strategy))
    });
    let scripted = facts
        .scripted()
        .map_or_else(String::new, |scripted| format!(", {scripted}"));
    format!("task {}{team}{scripted}", quoted(&facts.name))
}

fn said(from: &Sender, to: Option<&str>, content: &str) -> String {
    let to = to.map_or_else(String::new, |to| format!(" to {to}"));
    let who = match from {
        Sender::Human => "a human says",
        Sender::System => "is told",
        Sender::Agent(_) => "says",
    };
    format!("{who}{to}: {}", first_line(content))
}

// ---- supervision

fn of_supervision(view: &View, body: &EventBody) -> Told {
    Some(match body {
        EventBody::AgentState {
            state: AgentState::Failed,
            reason,
        } => (
            Tone::Bad,
            format!("is not started again: {}", clean(reason)),
        ),
        EventBody::SupervisorRestart {
            path,
            child,
            reason,
            ..
        } => {
            let what = match path.ends_with("/agents") {
                true => format!("crashed and is started again{}", allowance(view)),
                false => format!("supervision starts {} again", clean(child)),
            };
            (Tone::Warning, format!("{what}: {}", clean(reason)))
        }
        EventBody::FaultInjected {
            target,
            fault,
            when,
        } => (
            Tone::Warning,
            on_purpose(&whom_of(view, target), fault, when),
        ),
        EventBody::SupervisorGaveUp { reason, .. } => {
            (Tone::Bad, format!("supervision gave up: {}", clean(reason)))
        }
        _ => return None,
    })
}

/// Runs are known by their agents.
fn whom_of(view: &View, target: &str) -> String {
    let run = target.strip_prefix("run:").and_then(|id| id.parse().ok());
    let run = run.and_then(|id| view.run(id));
    run.map_or_else(|| target.to_owned(), |run| format!("{}'s run", run.agent))
}

fn allowance(view: &View) -> String {
    let team = view.facts.team.as_ref();
    team.map_or_else(String::new, |team| {
        let used = view.restarts.len() + 1;
        format!(
            " (restart {used}; {} in {} are forgiven)",
            team.max_restarts,
            time(team.within)
        )
    })
}

// ---- runs

fn given(view: &View, spec: &RunSpec) -> String {
    if spec.heard.is_some() {
        return format!("is asked whether it engages: {}", quoted(&spec.title));
    }
    let by = spec
        .parent
        .as_ref()
        .map_or_else(String::new, |parent| by(view, parent));
    format!("is given {}{by}", quoted(&spec.title))
}

fn by(view: &View, parent: &Parent) -> String {
    let whose = view.run(parent.run).map_or("", |run| run.agent.as_str());
    match parent.delegation {
        Delegation::Foreground => format!(" by {whose}, who waits for it"),
        Delegation::Background => format!(" by {whose}, who goes on meanwhile"),
    }
}

fn of_run(view: &View, run: &Run, event: &Event) -> Told {
    let title = quoted(&run.title);
    Some(match &event.body {
        EventBody::RunRestarted {
            recovery, reason, ..
        } => {
            let how = match recovery {
                Recovery::Resume => "goes on with",
                Recovery::CleanSlate => "begins anew with",
            };
            let is_kept = *recovery == Recovery::Resume;
            let rest = run.asks_again_in(event.at).filter(|_| is_kept).map(time);
            let rest = rest.map_or_else(String::new, |rest| {
                format!("; it asks its model again in {rest}")
            });
            let what = format!("{how} {title}: {}{rest}", clean(reason));
            (Tone::Warning, what)
        }
        EventBody::RunWaiting { reason } => (Tone::Plain, waiting(view, run, reason)?),
        EventBody::RunResumed { .. } => (Tone::Plain, format!("goes on with {title}")),
        EventBody::RunRetrying {
            attempt,
            error,
            delay_ms,
            ..
        } => (Tone::Warning, retrying(*attempt, *delay_ms, error)),
        EventBody::RunContinued { content, .. } => (
            Tone::Plain,
            format!("is given more for {title}: {}", first_line(text(content))),
        ),
        EventBody::RunProgress { turn, doing, .. } => (
            Tone::Plain,
            format!(
                "is still at {title}, in turn {}: {}",
                turn + 1,
                clean(doing)
            ),
        ),
        EventBody::PeerDecided { engages: true, .. } => (Tone::Plain, format!("engages, {title}")),
        EventBody::RunReleased => (Tone::Plain, format!("may go on with {title}")),
        EventBody::ModelCallCompleted { text, calls, .. }
            if !calls.is_empty() && !first_line(text).is_empty() =>
        {
            (Tone::Words, quoted(text))
        }
        _ => return None,
    })
}

fn retrying(attempt: u32, delay_ms: u64, error: &str) -> String {
    let wait = time(Duration::from_millis(delay_ms));
    format!(
        "attempt {attempt} failed, the next in {wait}: {}",
        clean(error)
    )
}

fn of_end(run: &Run, body: &EventBody) -> Told {
    let title = quoted(&run.title);
    Some(match body {
        EventBody::RunCompleted { result, .. } => (
            Tone::Good,
            format!("is done with {title}: {}", first_line(text(result))),
        ),
        EventBody::RunFailed { error, .. } => {
            (Tone::Bad, format!("failed at {title}: {}", clean(error)))
        }
        EventBody::RunCancelled { reason, .. } => {
            (Tone::Warning, format!("stops {title}: {}", clean(reason)))
        }
        EventBody::RunQuarantined { reason } => (
            Tone::Bad,
            format!(
                "is kept from {title}, which crashes again and again: {}",
                clean(reason)
            ),
        ),
        _ => return None,
    })
}

fn waiting(view: &View, run: &Run, reason: &WaitReason) -> Option<String> {
    match reason {
        // What follows says it in more words.
        WaitReason::Human { .. } | WaitReason::Retry { .. } => None,
        WaitReason::Children { .. } => {
            let said = (!run.last.is_empty()).then(|| quoted(&run.last));
            match (whom(view, run), said) {
                (Some(whom), Some(said)) => Some(format!("waits for {whom}: {said}")),
                (Some(whom), None) => Some(format!("waits for {whom}")),
                (None, said) => said,
            }
        }
        reason => Some(format!("waits for {}", waits_for(reason, Duration::ZERO))),
    }
}

// ---- tools

fn of_call(run: &Run, body: &EventBody) -> Told {
    let tool = |step: &Step| run.call(*step).map_or("a tool", |call| call.tool.as_str());
    Some(match body {
        EventBody::ToolCallStarted { tool, .. } if is_told_otherwise(tool) => return None,
        EventBody::ToolCallStarted { step, tool, .. } => {
            let about = run.call(*step).map_or("", |call| call.about.as_str());
            (Tone::Plain, format!("{tool} {}", first_line(about)))
        }
        EventBody::ToolCallCompleted {
            step,
            outcome,
            content,
        } => (tone(*outcome), result(tool(step), *outcome, text(content))?),
        EventBody::ToolCallInDoubt { tool, reason, .. } => (
            Tone::Warning,
            format!("{tool} is in doubt: {}", clean(reason)),
        ),
        EventBody::ToolCallResolved {
            step, resolution, ..
        } => (Tone::Plain, resolved(tool(step), resolution)),
        EventBody::ToolCallLate { step, .. } => (
            Tone::Warning,
            format!("a result of {} came too late and is kept aside", tool(step)),
        ),
        _ => return None,
    })
}

fn is_told_otherwise(tool: &str) -> bool {
    tool == CREATE_RUN || tool == POST_MESSAGE
}

fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Ok => Tone::Plain,
        Outcome::Error => Tone::Warning,
    }
}

/// Results are for models; people are shown what went wrong, and how a command ended.
fn result(tool: &str, outcome: Outcome, text: &str) -> Option<String> {
    match (outcome, tool) {
        (Outcome::Ok, "shell") => Some(format!("shell ended: {}", ends(text))),
        (Outcome::Ok, _) => None,
        // The end of the delegated run has told it.
        (Outcome::Error, CREATE_RUN) if !text.starts_with("not delegated") => None,
        (Outcome::Error, tool) => Some(format!("{tool} failed: {}", ends(text))),
    }
}

fn resolved(tool: &str, resolution: &Resolution) -> String {
    match resolution {
        Resolution::ToldModel => format!("is told that the outcome of {tool} is unknown"),
        Resolution::Retried => format!("makes the call of {tool} again"),
        Resolution::Compensated { note } => format!("{tool} was compensated: {}", clean(note)),
        Resolution::Answered { result } => {
            format!("is told what came of {tool}: {}", clean(result))
        }
    }
}

// ---- going on

/// The line in place of a history that is not shown again.
pub(super) fn goes_on(view: &View, interrupted: Duration) -> Line {
    let totals = view.totals();
    let live = view.runs.iter().filter(|run| !run.status.is_terminal());
    let live: Vec<_> = live.map(|run| run.agent.as_str()).collect();
    let what = format!(
        "goes on after event {}, {} later: {} ended, {} to go on ({})",
        view.head,
        time(interrupted),
        counted((totals.runs - totals.live) as u64, "run"),
        totals.live,
        listed(live),
    );
    Line {
        at: view.newest.since(view.began) + interrupted,
        who: String::new(),
        what,
        tone: Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{quickstart, trouble};
    use super::*;

    fn lines(events: &[Event]) -> String {
        let mut view = View::default();
        let mut out = String::new();
        for event in events {
            if let Some(line) = line(&view, event) {
                out.push_str(line.plain().trim_end());
                out.push('\n');
            }
            view.fold(event);
        }
        out
    }

    #[test]
    fn a_recorded_task() {
        insta::assert_snapshot!(lines(&quickstart()));
    }

    #[test]
    fn trouble_in_lines() {
        insta::assert_snapshot!(lines(&trouble()));
    }

    #[test]
    fn nobody_is_waited_for_who_has_ended() {
        let (events, mut view) = (quickstart(), View::default());
        let waits = |event: &&Event| matches!(event.body, EventBody::RunWaiting { .. });
        let waiting = events.iter().find(waits).expect("one waits");
        let others = |event: &&Event| event.id < waiting.id || event.run_id != waiting.run_id;
        events
            .iter()
            .filter(others)
            .for_each(|event| view.fold(event));
        let said = line(&view, waiting).map(|line| line.what);
        insta::assert_snapshot!(said.expect("a line"), @"“I wait for both.”");
    }

    #[test]
    fn a_history_is_one_line() {
        let mut view = View::default();
        quickstart()[..50].iter().for_each(|event| view.fold(event));
        insta::assert_snapshot!(goes_on(&view, Duration::from_secs(125)).plain(), @"02:08.243              goes on after event 50, 2m 5s later: 1 run ended, 3 to go on (cto, developer and tester)");
    }
}
