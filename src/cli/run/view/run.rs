//! What a watcher sees of one run.

use std::time::Duration;

use actors::model::run::Parent;
use actors::model::{
    AgentName, Delegation, Event, EventBody, InDoubtPolicy, Recovery, Reservation, RunId, RunSpec,
    RunStatus, Step, Timestamp, ToolCall, Usage, WaitReason,
};
use serde_json::Value;

use super::text;

/// How many bytes of streaming words are kept.
const WORDS: usize = 400;

/// A run as it is watched.
#[derive(Debug, Clone)]
pub(in crate::cli::run) struct Run {
    /// Its id.
    pub(in crate::cli::run) id: RunId,
    /// Who does it.
    pub(in crate::cli::run) agent: AgentName,
    /// What people read.
    pub(in crate::cli::run) title: String,
    /// Who delegated it.
    pub(in crate::cli::run) parent: Option<Parent>,
    /// Where it stands.
    pub(in crate::cli::run) status: RunStatus,
    /// Since when it does what it does.
    pub(in crate::cli::run) since: Timestamp,
    /// The calls of its newest turn that have no result yet.
    pub(in crate::cli::run) calls: Vec<Call>,
    /// What its model has said of the present turn so far.
    pub(in crate::cli::run) words: String,
    /// Its newest words, its result, or why it has none.
    pub(in crate::cli::run) last: String,
    /// Answers of its model.
    pub(in crate::cli::run) turns: u32,
    /// What they cost and wasted.
    pub(in crate::cli::run) usage: Usage,
    /// What is set aside for the answer it waits for.
    pub(in crate::cli::run) reserved: Option<Reservation>,
    /// How often it was taken up again.
    pub(in crate::cli::run) resumed: u32,
    /// How often the outcome of one of its calls was unknown.
    pub(in crate::cli::run) doubts: u32,
    waits: Option<WaitReason>,
    error: String,
}

/// A tool call without a result.
#[derive(Debug, Clone)]
pub(in crate::cli::run) struct Call {
    step: Step,
    /// The tool.
    pub(in crate::cli::run) tool: String,
    /// What it is about, in a word or two.
    pub(in crate::cli::run) about: String,
    phase: Phase,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Planned,
    Started,
    Delegated(RunId),
    InDoubt(String, InDoubtPolicy),
}

/// What a run does, or why it does not.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli::run) enum Doing<'a> {
    /// It is not begun.
    Queued,
    /// Its model is asked; these are its words so far.
    Thinks(&'a str),
    /// A tool is at work: the tool, what about, and how many more.
    Calls(&'a str, &'a str, usize),
    /// It waits for runs it delegated.
    WaitsForRuns,
    /// It waits for something else.
    Waits(&'a WaitReason),
    /// Its model call failed like this and is tried again.
    TriesAgain(&'a str, u64),
    /// The outcome of a call of this tool is unknown, for this reason.
    InDoubt(&'a str, &'a str),
    /// It crashes again and again.
    Quarantined(&'a str),
    /// It has ended.
    Ended,
}

/// Whether a run gets on by itself; of several calls the first of these counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli::run) enum Stage {
    /// It does, or waits for something that comes by itself.
    Moving,
    /// It waits for other runs.
    Leaning,
    /// It waits for a human.
    Stuck,
    /// It has ended.
    Over,
}

impl Run {
    pub(super) fn new(id: RunId, spec: &RunSpec, at: Timestamp) -> Self {
        Self {
            id,
            agent: spec.agent.clone(),
            title: spec.title.clone(),
            parent: spec.parent.clone(),
            status: RunStatus::Queued,
            since: at,
            calls: Vec::new(),
            words: String::new(),
            last: String::new(),
            turns: 0,
            usage: Usage::default(),
            reserved: None,
            resumed: 0,
            doubts: 0,
            waits: None,
            error: String::new(),
        }
    }

    /// How long it still waits before it asks its model again, which a new start does not change.
    pub(in crate::cli::run) fn asks_again_in(&self, now: Timestamp) -> Option<Duration> {
        let Some(WaitReason::Retry { delay_ms }) = self.waits else {
            return None;
        };
        let rest = Duration::from_millis(delay_ms).checked_sub(now.since(self.since));
        rest.filter(|rest| !rest.is_zero())
    }

    // ---- folding

    pub(super) fn fold(&mut self, event: &Event, body: &EventBody) {
        // It tells what is under way and changes nothing about it.
        if matches!(body, EventBody::RunProgress { .. }) {
            return;
        }
        let rest = self.asks_again_in(event.at);
        let ends_pause = matches!(body, EventBody::RunResumed { .. }) || body.is_run_end();
        let is_paused = matches!(self.waits, Some(WaitReason::Paused(_))) && !ends_pause;
        if !is_paused {
            (self.since, self.waits) = (event.at, None);
        }
        match body {
            EventBody::RunStarted => self.status = RunStatus::Running,
            EventBody::RunRestarted { recovery, .. } => {
                self.taken_up(*recovery);
                let is_kept = *recovery == Recovery::Resume;
                self.waits = rest.filter(|_| is_kept).map(retry);
            }
            EventBody::RunReleased | EventBody::RunContinued { .. } => {
                self.status = RunStatus::Queued;
            }
            EventBody::RunWaiting { .. } | EventBody::RunRetrying { .. } if is_paused => {}
            EventBody::RunWaiting { reason } => self.waits = Some(reason.clone()),
            EventBody::RunRetrying {
                error,
                delay_ms,
                lost,
                ..
            } => {
                self.settled(*lost);
                self.words.clear();
                self.error.clone_from(error);
                let delay_ms = *delay_ms;
                self.waits = Some(WaitReason::Retry { delay_ms });
            }
            EventBody::ModelCallStarted { reserved, .. } => {
                self.words.clear();
                self.reserved = Some(*reserved);
            }
            EventBody::BudgetExceeded { .. } => self.settled(false),
            EventBody::ModelCallCompleted {
                turn,
                text,
                calls,
                usage,
                ..
            } => {
                self.answered(text, *usage);
                self.calls = planned(*turn, calls);
            }
            EventBody::RunQuarantined { reason } => {
                self.settled(true);
                self.status = RunStatus::Quarantined;
                self.last.clone_from(reason);
            }
            EventBody::RunCompleted { result, usage } => {
                self.over(RunStatus::Completed, text(result), *usage);
            }
            EventBody::RunFailed { error, usage } => self.over(RunStatus::Failed, error, *usage),
            EventBody::RunCancelled { reason, usage } => {
                self.over(RunStatus::Cancelled, reason, *usage);
            }
            body => self.fold_call(body),
        }
    }

    fn fold_call(&mut self, body: &EventBody) {
        match body {
            EventBody::ToolCallStarted { step, .. } => self.set(*step, Phase::Started),
            EventBody::ToolCallCompleted { step, .. } => {
                self.calls.retain(|call| call.step != *step);
            }
            EventBody::ToolCallInDoubt {
                step,
                reason,
                policy,
                ..
            } => {
                self.doubts += 1;
                self.set(*step, Phase::InDoubt(reason.clone(), *policy));
            }
            EventBody::ToolCallResolved { step, .. } => self.set(*step, Phase::Planned),
            _ => {}
        }
    }

    fn taken_up(&mut self, recovery: Recovery) {
        self.status = RunStatus::Running;
        self.resumed += 1;
        self.words.clear();
        self.settled(true);
        if recovery == Recovery::CleanSlate {
            self.calls.clear();
            self.usage = self.usage.thrown_away();
        }
    }

    fn answered(&mut self, said: &str, usage: Usage) {
        self.turns += 1;
        self.usage += usage;
        self.reserved = None;
        self.words.clear();
        if !said.trim().is_empty() {
            said.clone_into(&mut self.last);
        }
    }

    /// What was set aside for its model call is free again; if the call is dead, what it read is wasted.
    fn settled(&mut self, lost: bool) {
        if let Some(reserved) = self.reserved.take().filter(|_| lost) {
            self.usage += reserved.lost();
        }
    }

    fn over(&mut self, status: RunStatus, last: &str, usage: Usage) {
        (self.status, self.usage, self.reserved) = (status, usage, None);
        self.calls.clear();
        self.words.clear();
        last.clone_into(&mut self.last);
    }

    /// A call of this run delegated that one.
    pub(super) fn delegated(&mut self, run: RunId, how: &Parent) {
        if how.delegation == Delegation::Foreground {
            self.set(how.step, Phase::Delegated(run));
        }
    }

    fn set(&mut self, step: Step, phase: Phase) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.step == step) {
            call.phase = phase;
        }
    }

    pub(super) fn hear(&mut self, words: &str) {
        self.waits = None;
        self.words.push_str(words);
        if self.words.len() > 2 * WORDS {
            let cut = self.words.ceil_char_boundary(self.words.len() - WORDS);
            self.words.drain(..cut);
        }
    }

    // ---- looking

    /// The call at a step, if it has no result yet.
    pub(in crate::cli::run) fn call(&self, step: Step) -> Option<&Call> {
        self.calls.iter().find(|call| call.step == step)
    }

    /// What it does, or why it does not.
    pub(in crate::cli::run) fn doing(&self) -> Doing<'_> {
        match (self.status, &self.waits) {
            (RunStatus::Queued, _) => Doing::Queued,
            (RunStatus::Quarantined, _) => Doing::Quarantined(&self.last),
            (status, _) if status.is_terminal() => Doing::Ended,
            (_, Some(WaitReason::Retry { delay_ms })) => Doing::TriesAgain(&self.error, *delay_ms),
            (
                _,
                Some(
                    reason @ (WaitReason::Permit { .. }
                    | WaitReason::Provider { .. }
                    | WaitReason::Executor { .. }),
                ),
            ) => Doing::Waits(reason),
            (_, Some(WaitReason::Children { .. })) => Doing::WaitsForRuns,
            (_, Some(reason)) if self.calls.is_empty() => Doing::Waits(reason),
            _ => self.calling().unwrap_or(Doing::Thinks(&self.words)),
        }
    }

    fn calling(&self) -> Option<Doing<'_>> {
        let at_work = |call: &&Call| matches!(call.phase, Phase::Planned | Phase::Started);
        if let Some(call) = self.calls.iter().find(at_work) {
            return Some(Doing::Calls(&call.tool, &call.about, self.calls.len() - 1));
        }
        let doubt = self.calls.iter().find_map(|call| match &call.phase {
            Phase::InDoubt(reason, _) => Some(Doing::InDoubt(&call.tool, reason)),
            _ => None,
        });
        doubt.or_else(|| (!self.calls.is_empty()).then_some(Doing::WaitsForRuns))
    }

    /// The runs that calls of it wait for.
    pub(super) fn delegated_to(&self) -> impl Iterator<Item = RunId> {
        self.calls.iter().filter_map(|call| match call.phase {
            Phase::Delegated(run) => Some(run),
            _ => None,
        })
    }

    /// Whether it gets on by itself.
    pub(in crate::cli::run) fn stage(&self) -> Stage {
        match self.status {
            RunStatus::Quarantined => return Stage::Stuck,
            status if status.is_terminal() => return Stage::Over,
            RunStatus::Queued => return Stage::Moving,
            _ => {}
        }
        if self.calls.is_empty() {
            return match self.waits {
                Some(WaitReason::Children { .. }) => Stage::Leaning,
                Some(WaitReason::Human { .. }) => Stage::Stuck,
                _ => Stage::Moving,
            };
        }
        self.calls
            .iter()
            .map(Call::stage)
            .min()
            .unwrap_or(Stage::Moving)
    }
}

impl Call {
    fn stage(&self) -> Stage {
        match self.phase {
            Phase::InDoubt(_, InDoubtPolicy::Ask) => Stage::Stuck,
            Phase::Delegated(_) => Stage::Leaning,
            _ => Stage::Moving,
        }
    }
}

fn planned(turn: u32, calls: &[ToolCall]) -> Vec<Call> {
    let call = |(call, index): (&ToolCall, u32)| Call {
        step: Step { turn, index },
        tool: call.name.clone(),
        about: about(&call.args),
        phase: Phase::Planned,
    };
    calls.iter().zip(0..).map(call).collect()
}

/// What a call is about: the first of its arguments that says so to people.
fn about(args: &Value) -> String {
    let keys = [
        "path", "command", "pattern", "title", "content", "url", "input",
    ];
    let said = keys.iter().find_map(|key| args.get(key)?.as_str());
    said.unwrap_or_default().to_owned()
}

fn retry(rest: Duration) -> WaitReason {
    let delay_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
    WaitReason::Retry { delay_ms }
}
