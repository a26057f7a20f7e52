//! Plays what strikes from outside, at its moment, and hears which events call for a strike.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::pending;
use futures_util::stream::{FuturesUnordered, StreamExt};
use supervision::Start;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{sleep_until, timeout};

use crate::feed::{Bus, Live};
use crate::journal::Journal;
use crate::model::{Event, EventBody, TaskId};
use crate::store::{Append, Draft, each_event};

use super::dice::Next;
use super::plan::{FaultPlan, Target, When};
use super::shared::{Faults, Shared, lock};
use super::victims::{Scope, choose};

/// How long the node waits at most for what it writes about its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long supervisors may take to say who is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often each fault has struck that comes at times from outside.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<usize, u32>);

impl Timers {
    /// When the next one is due, since the start.
    pub(super) fn next(&self, plan: &FaultPlan) -> Option<Duration> {
        let active = plan.0.iter().enumerate();
        let active = active.filter(|(_, fault)| fault.is_active());
        active
            .filter_map(|(n, fault)| self.due(n, &fault.when))
            .min()
    }

    fn due(&self, n: usize, when: &When) -> Option<Duration> {
        let struck = self.0.get(&n).copied().unwrap_or_default();
        match when {
            When::At(at) => (struck == 0).then_some(*at),
            When::Every(every) => Some(every.saturating_mul(struck.saturating_add(1))),
            When::Chance(_) | When::On { .. } => None,
        }
    }

    /// Those that are due, each once: what was slept through is not made up for.
    pub(super) fn take(&mut self, plan: &FaultPlan, now: Duration) -> Vec<usize> {
        let mut due = Vec::new();
        for (n, fault) in plan.0.iter().enumerate() {
            if fault.is_active() && self.due(n, &fault.when).is_some_and(|at| at <= now) {
                self.spend(n, &fault.when, now);
                due.push(n);
            }
        }
        due
    }

    fn spend(&mut self, n: usize, when: &When, now: Duration) {
        let struck = match when {
            When::Every(every) => now.as_millis() / every.as_millis().max(1),
            _ => 1,
        };
        let struck = u32::try_from(struck).unwrap_or(u32::MAX);
        self.0.insert(n, struck);
    }
}

struct Player {
    shared: Arc<Shared>,
    bus: Bus,
    journal: Journal,
    /// Strikes that wait for somebody whom they can strike.
    waiting: BTreeMap<usize, Scope>,
    strikes: u64,
}

impl Faults {
    /// How the player is started.
    #[must_use]
    pub fn player(&self, bus: &Bus, journal: &Journal) -> Option<Start> {
        let shared = self.shared()?.clone();
        let (bus, journal) = (bus.clone(), journal.clone());
        Some(Start::worker(move || {
            let player = Player {
                shared: shared.clone(),
                bus: bus.clone(),
                journal: journal.clone(),
                waiting: BTreeMap::new(),
                strikes: 0,
            };
            let shared = shared.clone();
            async move {
                tokio::select! {
                    () = player.play() => {}
                    () = keep_going(&shared) => {}
                }
                Ok(())
            }
        }))
    }
}

/// Keeps the links going that have faults on them.
async fn keep_going(shared: &Shared) {
    let mut pumps = FuturesUnordered::new();
    loop {
        tokio::select! {
            pump = shared.next_pump() => pumps.push(pump),
            Some(()) = pumps.next(), if !pumps.is_empty() => {}
        }
    }
}

impl Player {
    async fn play(mut self) {
        let first = lock(&self.shared.first).take();
        let is_first = first.is_some();
        let mut live = first.unwrap_or_else(|| self.bus.listen());
        match is_first {
            true => self.remember_ends().await,
            false => self.catch_up().await,
        }
        loop {
            let due = lock(&self.shared.timers).next(&self.shared.plan);
            tokio::select! {
                heard = next(&mut live) => match heard {
                    Some(event) => self.published(&event).await,
                    None => self.catch_up().await,
                },
                () = sleep(&self.shared, due) => {
                    let now = self.shared.now();
                    let due = lock(&self.shared.timers).take(&self.shared.plan, now);
                    for n in due {
                        self.strike(n, Scope::default()).await;
                    }
                }
            }
            for (n, scope) in std::mem::take(&mut self.waiting) {
                self.strike(n, scope).await;
            }
        }
    }

    // ---- hearing

    async fn published(&mut self, event: &Event) {
        let (task, id) = (event.task_id, event.id);
        let next = lock(&self.shared.ears).next(task, id);
        match next {
            Next::Hear => self.hear(event).await,
            Next::Known => {}
            Next::Missed(after) => self.read(task, after).await,
            Next::Remember(after) => {
                for past in self.events(task, after).await {
                    if past.id < id {
                        lock(&self.shared.ears).hear(&self.shared.plan, &past);
                    }
                }
                self.hear(event).await;
            }
        }
    }

    async fn hear(&mut self, event: &Event) {
        let due = lock(&self.shared.ears).hear(&self.shared.plan, event);
        if event.body.is_task_end() {
            let task = Some(event.task_id);
            self.waiting.retain(|_, scope| scope.task != task);
        }
        for n in due {
            self.strike(n, scope(event)).await;
        }
    }

    /// What was published while nobody listened is in the journal.
    async fn catch_up(&mut self) {
        let known = lock(&self.shared.ears).known();
        for (task, after) in known {
            self.read(task, after).await;
        }
    }

    async fn read(&mut self, task: TaskId, after: u64) {
        for event in self.events(task, after).await {
            self.hear(&event).await;
        }
    }

    async fn events(&self, task: TaskId, after: u64) -> Vec<Event> {
        let (mut events, store) = (Vec::new(), self.journal.store());
        let read = each_event(store.as_ref(), task, after, |event| events.push(event)).await;
        if let Err(error) = read {
            tracing::warn!(%task, "what calls for faults cannot be read: {error}");
        }
        events
    }

    /// A node that a task has seen end is not ended at the same time again when it goes on with it.
    async fn remember_ends(&self) {
        let tasks = self.journal.store().tasks(true).await.unwrap_or_default();
        for task in tasks {
            for event in self.events(task.id, 0).await {
                let EventBody::FaultInjected { target, when, .. } = &event.body else {
                    continue;
                };
                let is_it = |of: &super::Fault| {
                    of.target == Target::Node
                        && matches!(of.when, When::At(_))
                        && *target == of.target.to_string()
                        && *when == of.when.to_string()
                };
                let faults = self.shared.plan.0.iter().enumerate();
                for (n, fault) in faults.filter(|(_, fault)| is_it(fault)) {
                    lock(&self.shared.timers).spend(n, &fault.when, Duration::ZERO);
                }
            }
        }
    }

    // ---- striking

    async fn strike(&mut self, n: usize, scope: Scope) {
        let Some(fault) = self.shared.plan.0.get(n).cloned() else {
            return;
        };
        if !fault.is_active() {
            return self.shared.owe(n);
        }
        if fault.target == Target::Node {
            return self.end_node(n).await;
        }
        let Some(root) = self.shared.root.get().cloned() else {
            self.waiting.insert(n, scope);
            return;
        };
        let tree = root.tree("system", PATIENCE).await;
        self.strikes += 1;
        let words = format!("{n} {}", self.strikes);
        match choose(&fault.target, &tree, &scope, fault.seed, &words) {
            // First told: what is struck may be above this very actor.
            Some(victim) => {
                self.shared.note(n, victim.task, &victim.target);
                root.kill_at(&victim.path).await;
            }
            None => drop(self.waiting.insert(n, scope)),
        }
    }

    /// Its tasks are told first, durably: they are gone on with after it.
    async fn end_node(&self, n: usize) {
        let body = self.shared.entry(n, &Target::Node);
        let told = async {
            for task in self.journal.store().tasks(true).await.unwrap_or_default() {
                let append = entry(&self.journal, task.id, body.clone());
                let _ = self.journal.append(append).await;
            }
        };
        let _ = timeout(LAST_WORDS, told).await;
        let fault = &self.shared.plan.0[n];
        tracing::warn!(
            "a fault on purpose: {} of the node ({})",
            fault.kind,
            fault.when
        );
        if let Some(end) = &self.shared.end_node {
            end(fault.kind);
        }
    }
}

fn scope(event: &Event) -> Scope {
    let run = event.run_id.map(|run| Target::Run(run.to_string()));
    let agent = event.agent.as_ref();
    let agent = agent.map(|agent| Target::Agent(agent.as_str().to_owned()));
    Scope {
        task: Some(event.task_id),
        about: run.into_iter().chain(agent).collect(),
    }
}

fn entry(journal: &Journal, task: TaskId, body: EventBody) -> Append {
    let draft = Draft {
        run: None,
        agent: None,
        at: journal.clock().now(),
        epoch: 0,
        cause: None,
        body,
    };
    Append {
        task,
        fence: None,
        drafts: vec![draft],
        blobs: Vec::new(),
    }
}

/// The next event that is published; none if some may have been missed.
async fn next(live: &mut Receiver<Live>) -> Option<Arc<Event>> {
    loop {
        match live.recv().await {
            Ok(Live::Event(event)) => return Some(event),
            Ok(Live::Delta { .. }) => {}
            Ok(Live::JournalRestarted) | Err(RecvError::Lagged(_)) => return None,
            Err(RecvError::Closed) => return pending().await,
        }
    }
}

async fn sleep(shared: &Shared, due: Option<Duration>) {
    match due {
        Some(due) => sleep_until(shared.moment(due)).await,
        None => pending().await,
    }
}
