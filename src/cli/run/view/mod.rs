//! What a watcher sees of a task: a fold of its events, of words that are still streaming, and of the time. Pure.

mod facts;
mod run;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use actors::model::event::AgentState;
use actors::model::{AgentName, Attention, Content, Event, EventBody, RunId, Timestamp, Usage};

pub(super) use facts::Facts;
pub(super) use run::{Doing, Run, Stage};

/// A task as it is watched.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct View {
    /// What it was created with.
    pub(super) facts: Facts,
    /// Its agents, the root agent first, then the others in the order in which they are started.
    pub(super) agents: Vec<Agent>,
    /// Its runs, in the order in which they were queued.
    pub(super) runs: Vec<Run>,
    /// What only a human can decide.
    pub(super) asks: Vec<Ask>,
    /// How it ended, if it has.
    pub(super) end: Option<End>,
    /// When it was created.
    pub(super) began: Timestamp,
    /// When its newest event was written, and its number.
    pub(super) newest: Timestamp,
    pub(super) head: u64,
    /// When agents were started again.
    pub(super) restarts: Vec<Timestamp>,
    /// Whether a supervisor gave up, so that nothing of it runs any more.
    pub(super) has_given_up: bool,
    places: HashMap<RunId, usize>,
}

/// An agent of the task.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    /// Its name.
    pub(super) name: AgentName,
    /// What its supervisor last said of it, and why.
    pub(super) state: AgentState,
    pub(super) reason: String,
    /// How often it was started again.
    pub(super) restarts: u32,
}

/// Something only a human can decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Ask {
    /// What is asked, or what happened.
    pub(in crate::cli) question: String,
    /// What is known about answering it.
    pub(in crate::cli) hint: &'static str,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With this result.
    Completed(String),
    /// With this error.
    Failed(String),
    /// By somebody's wish.
    Cancelled(String),
}

/// What all runs of a task came to together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Runs in all, and those that have not ended.
    pub(super) runs: usize,
    pub(super) live: usize,
    /// Answers of models.
    pub(super) turns: u32,
    /// What they cost.
    pub(super) usage: Usage,
    /// Calls whose outcome was unknown.
    pub(super) doubts: u32,
}

impl View {
    /// Takes the next event in.
    pub(super) fn fold(&mut self, event: &Event) {
        (self.newest, self.head) = (event.at, event.id);
        match &event.body {
            EventBody::TaskCreated { definition } => {
                self.began = event.at;
                self.facts = Facts::new(definition);
                self.agents = self.facts.agents(definition);
            }
            EventBody::TaskNeedsAttention { attention } => self.asks.push(ask(attention)),
            EventBody::TaskResumed { .. } => {
                self.asks.clear();
                self.has_given_up = false;
            }
            EventBody::TaskCompleted { result } => {
                self.end = Some(End::Completed(text(result).to_owned()));
            }
            EventBody::TaskFailed { error } => self.end = Some(End::Failed(error.clone())),
            EventBody::TaskCancelled { reason } => {
                self.end = Some(End::Cancelled(reason.clone()));
            }
            EventBody::TaskReopened => self.end = None,
            EventBody::RunQueued { spec } => {
                if let Some(id) = event.run_id {
                    self.queued(Run::new(id, spec, event.at));
                }
            }
            body => self.fold_others(event, body),
        }
    }

    fn fold_others(&mut self, event: &Event, body: &EventBody) {
        let agent = event.agent.as_ref();
        match body {
            EventBody::AgentState { state, reason } => {
                if let Some(agent) = agent.and_then(|name| self.agent_mut(name)) {
                    (agent.state, agent.reason) = (*state, reason.clone());
                }
            }
            EventBody::SupervisorRestart { path, .. } if path.ends_with("/agents") => {
                self.restarts.push(event.at);
                if let Some(agent) = agent.and_then(|name| self.agent_mut(name)) {
                    agent.restarts += 1;
                }
            }
            EventBody::SupervisorGaveUp { .. } => self.has_given_up = true,
            body => {
                if let Some(run) = event.run_id.and_then(|run| self.run_mut(run)) {
                    run.fold(event, body);
                }
            }
        }
    }

    /// Takes in words that are still streaming.
    pub(super) fn words(&mut self, run: RunId, words: &str) {
        if let Some(run) = self.run_mut(run) {
            run.hear(words);
        }
    }

    fn queued(&mut self, run: Run) {
        if let Some(parent) = &run.parent
            && let Some(above) = self.places.get(&parent.run)
        {
            self.runs[*above].delegated(run.id, parent);
        }
        self.places.insert(run.id, self.runs.len());
        self.runs.push(run);
    }

    fn agent_mut(&mut self, name: &AgentName) -> Option<&mut Agent> {
        self.agents.iter_mut().find(|agent| agent.name == *name)
    }

    fn run_mut(&mut self, run: RunId) -> Option<&mut Run> {
        let place = *self.places.get(&run)?;
        self.runs.get_mut(place)
    }

    /// A run by its id.
    pub(super) fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(*self.places.get(&run)?)
    }

    /// Who delegated a run.
    pub(super) fn delegator(&self, run: &Run) -> Option<&Run> {
        self.run(run.parent.as_ref()?.run)
    }

    /// The runs that one run delegated, in order.
    pub(super) fn below(&self, run: RunId) -> impl Iterator<Item = &Run> {
        let is_below = move |other: &&Run| other.parent.as_ref().is_some_and(|p| p.run == run);
        self.runs.iter().filter(is_below)
    }

    /// The runs that one run waits for.
    pub(super) fn waited_for(&self, run: &Run) -> Vec<&Run> {
        let named: Vec<_> = run.delegated_to().filter_map(|id| self.run(id)).collect();
        match named.is_empty() {
            true => self
                .below(run.id)
                .filter(|run| !run.status.is_terminal())
                .collect(),
            false => named,
        }
    }

    /// The runs of an agent that have not ended.
    pub(super) fn live_runs(&self, agent: &AgentName) -> impl Iterator<Item = &Run> {
        let runs = self.runs.iter().filter(move |run| run.agent == *agent);
        runs.filter(|run| !run.status.is_terminal())
    }

    /// What all runs came to together.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals {
            runs: self.runs.len(),
            ..Totals::default()
        };
        for run in &self.runs {
            totals.live += usize::from(!run.status.is_terminal());
            totals.turns += run.turns;
            totals.usage += run.usage;
            totals.doubts += run.doubts;
        }
        totals
    }

    /// How many restarts of agents count against the team's limit now.
    pub(super) fn restarts_used(&self, now: Timestamp) -> usize {
        let within = self.facts.team.as_ref().map_or(Duration::MAX, |t| t.within);
        let counts = |at: &&Timestamp| now.since(**at) <= within;
        self.restarts.iter().filter(counts).count()
    }

    /// Whether nothing moves any more until a human has decided.
    pub(super) fn is_stuck(&self) -> bool {
        let moves = |run: &Run| run.stage() == Stage::Moving;
        !self.asks.is_empty() && (self.has_given_up || !self.runs.iter().any(moves))
    }

    /// How long the task has existed.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.began)
    }
}

pub(in crate::cli) fn ask(attention: &Attention) -> Ask {
    let (question, hint) = match attention {
        Attention::InDoubt { question, .. } => (
            question.clone(),
            "TEXT is what the agent is told as the call's result; `retry` makes the call again",
        ),
        Attention::Limit { question, .. } => (
            question.clone(),
            "TEXT allows more of the budget, or is what the agent is told; `stop` ends its work",
        ),
        Attention::Quarantined { reason, .. } => (
            format!("a run crashes again and again at one point: {reason}"),
            "mend what it stumbles over; any TEXT lets it go on",
        ),
        Attention::GaveUp { path, reason } => (
            format!("the supervisor {} gave up: {reason}", last_part(path)),
            "mend what made it crash; any TEXT starts the team again",
        ),
    };
    Ask { question, hint }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The words of a record; of long ones the beginning.
pub(super) fn text(content: &Content) -> &str {
    match content {
        Content::Inline(text) => text,
        Content::Blob { preview, .. } => preview,
    }
}
