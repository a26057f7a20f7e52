//! What a task has used up and set aside: a fold of its journal, in its order. Pure.
//!
//! A reservation is open from `model_call_started` until its answer, its failure, its refusal, the end of its run or the next claim
//! of its run: then the call is known to be dead. So it survives every crash, and no crash leaves one behind.

use std::collections::BTreeMap;

use crate::model::event::Seq;
use crate::model::{
    AgentName, Amount, Budget, Event, EventBody, Recovery, Reservation, RunId, Scope,
    TaskDefinition, Timestamp, Usage,
};

use super::standing::{Line, Standing};

/// The accounts of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The last event that was folded in.
    pub head: Seq,
    runs: BTreeMap<RunId, Account>,
    raised: BTreeMap<Scope, Amount>,
    began: Option<Timestamp>,
    /// Since when the task waits for a person.
    asking: Option<Timestamp>,
    /// How long it has, before that.
    asked_ms: u64,
}

/// The account of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Who delegated it.
    pub parent: Option<RunId>,
    /// Who does it.
    pub agent: AgentName,
    /// What it has used up itself, and wasted.
    pub usage: Usage,
    /// The answers it was given.
    pub turns: u64,
    /// What is set aside for its model call.
    pub open: Option<Reservation>,
    /// When it began, and for how long the task had waited for a person by then.
    began: Option<(Timestamp, u64)>,
}

impl Account {
    fn new(parent: Option<RunId>, agent: AgentName) -> Self {
        Self {
            parent,
            agent,
            usage: Usage::default(),
            turns: 0,
            open: None,
            began: None,
        }
    }

    fn fold(&mut self, event: &Event) {
        match &event.body {
            EventBody::ModelCallStarted { reserved, .. } => {
                self.lose();
                self.open = Some(*reserved);
            }
            EventBody::ModelCallCompleted { usage, .. } => {
                self.open = None;
                self.usage += *usage;
                self.turns += 1;
            }
            EventBody::RunRetrying { lost: true, .. } | EventBody::RunQuarantined { .. } => {
                self.lose();
            }
            EventBody::RunRetrying { .. } | EventBody::BudgetExceeded { .. } => self.open = None,
            EventBody::RunRestarted { recovery, .. } => {
                self.lose();
                if *recovery == Recovery::CleanSlate {
                    self.usage = self.usage.thrown_away();
                }
            }
            EventBody::RunStarted => self.lose(),
            EventBody::RunCompleted { usage, .. }
            | EventBody::RunFailed { usage, .. }
            | EventBody::RunCancelled { usage, .. } => (self.open, self.usage) = (None, *usage),
            _ => {}
        }
    }

    /// The call is dead: what it read is wasted.
    fn lose(&mut self) {
        if let Some(reserved) = self.open.take() {
            self.usage += reserved.lost();
        }
    }

    fn used(&self) -> Amount {
        Amount::used(&self.usage, self.turns)
    }
}

impl Ledger {
    /// Takes the next event of the task in.
    pub fn fold(&mut self, event: &Event) {
        self.head = event.id;
        self.fold_task(event);
        let Some(run) = event.run_id else { return };
        if let EventBody::RunQueued { spec } = &event.body {
            let parent = spec.parent.as_ref().map(|parent| parent.run);
            let account = Account::new(parent, spec.agent.clone());
            self.runs.entry(run).or_insert(account);
        }
        let asked_ms = self.asked_until(event.at);
        if let Some(account) = self.runs.get_mut(&run) {
            account.fold(event);
            if event.body.is_claim() {
                account.began.get_or_insert((event.at, asked_ms));
            }
            if let EventBody::RunContinued { .. } = event.body {
                account.began = None;
            }
        }
    }

    fn fold_task(&mut self, event: &Event) {
        match &event.body {
            EventBody::TaskCreated { .. } => self.began = Some(event.at),
            EventBody::TaskNeedsAttention { .. } => {
                self.asking.get_or_insert(event.at);
            }
            EventBody::TaskResumed { .. } | EventBody::TaskReopened => {
                self.asked_ms = self.asked_until(event.at);
                self.asking = None;
            }
            EventBody::BudgetRaised { budget, more } => {
                *self.raised.entry(*budget).or_default() += Amount {
                    tokens: more.tokens.unwrap_or_default(),
                    cost_usd_micros: more.cost_usd_micros.unwrap_or_default(),
                    turns: more.turns.unwrap_or_default(),
                };
            }
            _ => {}
        }
    }

    fn asked_until(&self, now: Timestamp) -> u64 {
        let asking = self.asking.map_or(0, |since| now.0.saturating_sub(since.0));
        self.asked_ms.saturating_add(asking)
    }

    /// The account of a run.
    #[must_use]
    pub fn account(&self, run: RunId) -> Option<&Account> {
        self.runs.get(&run)
    }

    /// What a run and all it delegated has used up; of the whole task without a run.
    #[must_use]
    pub fn used(&self, scope: Scope) -> Usage {
        let mut used = Usage::default();
        for account in self.within(scope) {
            used += account.usage;
        }
        used
    }

    fn within(&self, scope: Scope) -> impl Iterator<Item = &Account> {
        let runs = self.runs.iter();
        let is_within = move |run: RunId| match scope {
            Scope::Task => true,
            Scope::Run(top) => self.line_of(run).any(|above| above == top),
        };
        runs.filter(move |(run, _)| is_within(**run))
            .map(|(_, account)| account)
    }

    /// A run, whoever delegated it, and so on up to the root run.
    fn line_of(&self, run: RunId) -> impl Iterator<Item = RunId> {
        let parent = |run: &RunId| self.runs.get(run)?.parent;
        // A run stands in the journal after its parent, so this ends; it is cut all the same.
        std::iter::successors(Some(run), parent).take(self.runs.len().max(1))
    }

    /// How the budgets stand that a model call of this run would be paid from.
    #[must_use]
    pub fn standing(&self, definition: &TaskDefinition, run: RunId) -> Standing {
        let of_run = |above: RunId| {
            let agent = definition.agents.get(&self.runs.get(&above)?.agent)?;
            let is_limited = agent.budget != Budget::default();
            is_limited.then_some((Scope::Run(above), agent.budget))
        };
        let scopes = self.line_of(run).filter_map(of_run);
        let whole = (Scope::Task, definition.limits.budget);
        let line = |(scope, budget)| self.line(scope, budget);
        Standing(scopes.chain([whole]).map(line).collect())
    }

    fn line(&self, scope: Scope, budget: Budget) -> Line {
        let raised = self.raised.get(&scope).copied().unwrap_or_default();
        let more = Budget {
            tokens: Some(raised.tokens),
            cost_usd_micros: Some(raised.cost_usd_micros),
            turns: Some(raised.turns),
        };
        let (mut used, mut reserved) = (Amount::default(), Amount::default());
        for account in self.within(scope) {
            used += account.used();
            reserved += account.open.map(|open| open.amount()).unwrap_or_default();
        }
        Line {
            scope,
            most: budget.raised(more),
            used,
            reserved,
        }
    }

    /// How much of its time a run has left, the root run of the task's time; none where it is not limited.
    #[must_use]
    pub fn time_left(
        &self,
        definition: &TaskDefinition,
        run: RunId,
        now: Timestamp,
    ) -> Option<TimeLeft> {
        let account = self.runs.get(&run)?;
        let agent = definition.agents.get(&account.agent)?;
        let left = |(began, asked): (Timestamp, u64), most: u64| {
            let asked = self.asked_until(now).saturating_sub(asked);
            let taken = now.0.saturating_sub(began.0).saturating_sub(asked);
            most.saturating_sub(taken)
        };
        let own = agent.run_timeout_ms.zip(account.began);
        let own = own.map(|(most, began)| TimeLeft {
            ms: left(began, most),
            most,
            whole_task: false,
        });
        let most = definition.limits.wall_time_ms;
        let whole = self.began.filter(|_| account.parent.is_none() && most > 0);
        let whole = whole.map(|began| TimeLeft {
            ms: left((began, 0), most),
            most,
            whole_task: true,
        });
        own.into_iter().chain(whole).min_by_key(|left| left.ms)
    }
}

/// What is left of a limit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLeft {
    /// Milliseconds.
    pub ms: u64,
    /// The limit, in milliseconds.
    pub most: u64,
    /// Whether it is the task's.
    pub whole_task: bool,
}

#[cfg(test)]
mod tests;
