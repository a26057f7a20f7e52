//! What a task has used up and set aside: a fold of its journal, in its order. Pure.
//!
//! A reservation is open from `model_call_started` until its answer, its failure, its refusal, the end of its run or the next claim
//! of its run: then the call is known to be dead. So it survives every crash, and no crash leaves one behind.

use std::collections::BTreeMap;

use crate::model::event::Seq;
use crate::model::{
    AgentName, Amount, Budget, BudgetScope, Event, EventBody, Recovery, Reservation, RunId, Scope,
    TaskDefinition, Timestamp, Usage, WaitReason,
};

use super::held::{Because, Held};
use super::standing::{Line, Standing};

/// The accounts of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The last event that was folded in.
    pub head: Seq,
    runs: BTreeMap<RunId, Account>,
    /// What all of them used up, and what is set aside.
    used: Amount,
    reserved: Amount,
    raised: BTreeMap<BudgetScope, Amount>,
    began: Option<Timestamp>,
    /// How long all of it was held up.
    held: Held,
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
    /// When it began, and for how long it had been held up by then.
    began: Option<(Timestamp, u64)>,
    /// How long it was held up.
    held: Held,
}

impl Account {
    fn new(parent: Option<RunId>, agent: AgentName, held: Held) -> Self {
        Self {
            parent,
            agent,
            usage: Usage::default(),
            turns: 0,
            open: None,
            began: None,
            held,
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
            EventBody::RunRetrying { lost: true, .. }
            | EventBody::ModelCallInterrupted { .. }
            | EventBody::RunQuarantined { .. } => self.lose(),
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

    fn fold_time(&mut self, event: &Event) {
        if let Some((is_so, _)) = paused(&event.body) {
            self.held.set(Because::Paused, is_so, event.at);
        }
        if event.body.is_claim() {
            let held = self.held.until(event.at);
            self.began.get_or_insert((event.at, held));
        }
        if let EventBody::RunContinued { .. } = event.body {
            self.began = None;
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

    fn reserved(&self) -> Amount {
        self.open.map(|open| open.amount()).unwrap_or_default()
    }
}

/// Whether a run is paused from here on or goes on, and whether that holds for all it delegated.
fn paused(body: &EventBody) -> Option<(bool, bool)> {
    match body {
        EventBody::RunWaiting {
            reason: WaitReason::Paused(pause),
        } => Some((true, matches!(pause.scope, Scope::Task | Scope::Subtree))),
        EventBody::RunResumed { .. } => Some((false, true)),
        _ => None,
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
            let account = Account::new(parent, spec.agent.clone(), self.held.of_new(event.at));
            self.runs.entry(run).or_insert(account);
        }
        if let Some(account) = self.runs.get_mut(&run) {
            let before = (account.used(), account.reserved());
            account.fold(event);
            account.fold_time(event);
            self.used = self.used.less(before.0).more(account.used());
            self.reserved = self.reserved.less(before.1).more(account.reserved());
            if let Some((pause, true)) = paused(&event.body).filter(|_| account.parent.is_none()) {
                self.held.set(Because::Paused, pause, event.at);
            }
        }
    }

    fn fold_task(&mut self, event: &Event) {
        match &event.body {
            EventBody::TaskCreated { .. } => self.began = Some(event.at),
            EventBody::TaskNeedsAttention { .. } => self.asks(true, event.at),
            EventBody::TaskResumed { .. } | EventBody::TaskReopened => self.asks(false, event.at),
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

    fn asks(&mut self, is_so: bool, now: Timestamp) {
        let runs = self.runs.values_mut().map(|account| &mut account.held);
        runs.chain([&mut self.held])
            .for_each(|held| held.set(Because::Asks, is_so, now));
    }

    /// The account of a run.
    #[must_use]
    pub fn account(&self, run: RunId) -> Option<&Account> {
        self.runs.get(&run)
    }

    /// What a run and all it delegated has used up; of the whole task without a run.
    #[must_use]
    pub fn used(&self, scope: BudgetScope) -> Usage {
        let mut used = Usage::default();
        for account in self.within(scope) {
            used += account.usage;
        }
        used
    }

    fn within(&self, scope: BudgetScope) -> impl Iterator<Item = &Account> {
        let runs = self.runs.iter();
        let is_within = move |run: RunId| match scope {
            BudgetScope::Task => true,
            BudgetScope::Run(top) => self.line_of(run).any(|above| above == top),
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
            is_limited.then_some((BudgetScope::Run(above), agent.budget))
        };
        let scopes = self.line_of(run).filter_map(of_run);
        let most = definition.limits.budget;
        let whole = (most != Budget::default()).then_some((BudgetScope::Task, most));
        // Each run keeps its own, and most have no other than the task's.
        let mut lines = Vec::with_capacity(usize::from(whole.is_some()));
        let line = |(scope, budget)| self.line(scope, budget);
        lines.extend(scopes.chain(whole).map(line));
        Standing(lines)
    }

    fn line(&self, scope: BudgetScope, budget: Budget) -> Line {
        let raised = self.raised.get(&scope).copied().unwrap_or_default();
        let more = Budget {
            tokens: Some(raised.tokens),
            cost_usd_micros: Some(raised.cost_usd_micros),
            turns: Some(raised.turns),
        };
        let (mut used, mut reserved) = (self.used, self.reserved);
        if scope != BudgetScope::Task {
            let accounts = || self.within(scope);
            used = accounts()
                .map(Account::used)
                .fold(Amount::default(), Amount::more);
            reserved = accounts()
                .map(Account::reserved)
                .fold(Amount::default(), Amount::more);
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
        let left = |(began, before): (Timestamp, u64), held: Held, most: u64| {
            let held = held.until(now).saturating_sub(before);
            let taken = now.0.saturating_sub(began.0).saturating_sub(held);
            most.saturating_sub(taken)
        };
        let own = agent.run_timeout_ms.zip(account.began);
        let own = own.map(|(most, began)| TimeLeft {
            ms: left(began, account.held, most),
            most,
            whole_task: false,
        });
        let most = definition.limits.wall_time_ms;
        let whole = self.began.filter(|_| account.parent.is_none() && most > 0);
        let whole = whole.map(|began| TimeLeft {
            ms: left((began, 0), self.held, most),
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
