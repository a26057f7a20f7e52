//! A whole system in virtual time over a store that outlives it, with accidents at chosen moments.
//!
//! On a current-thread runtime with a paused clock the same seed gives the same journal.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::Notify;

use crate::clock::{SeededIds, TokioClock};
use crate::model::event::Seq;
use crate::model::{
    AgentSpec, EffectClass, Event, RunId, TaskDefinition, TaskId, TaskStatus, Timestamp,
};
use crate::provider::scripted::{Scripted, ScriptedSettings};
use crate::run::next::RetryPolicy;
use crate::store::{
    Append, Appended, EventQuery, Memory, RunRow, Snapshot, Store, StoreError, TaskRow,
};
use crate::system::{Deps, System};

use super::outside::Outside;

/// When simulated time begins: 2026-01-01.
pub const EPOCH: Timestamp = Timestamp(1_767_225_600_000);

/// What happens at a chosen moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accident {
    /// Whoever is at work panics.
    Crash,
    /// Nothing moves any more, as if the process had been killed: [`Moments::power_off`] tells when.
    PowerOff,
}

/// Counts the moments before and after every append and every effect; accidents happen at the chosen ones.
#[derive(Debug, Clone, Default)]
pub struct Moments(Arc<Plan>);

#[derive(Debug, Default)]
struct Plan {
    passed: AtomicU64,
    accidents: BTreeMap<u64, Accident>,
    off: Notify,
}

impl Moments {
    /// Nothing happens.
    #[must_use]
    pub fn calm() -> Self {
        Self::default()
    }

    /// These accidents happen at these moments, from 1.
    pub fn with(accidents: impl IntoIterator<Item = (u64, Accident)>) -> Self {
        Self(Arc::new(Plan {
            accidents: accidents.into_iter().collect(),
            ..Plan::default()
        }))
    }

    /// One more moment passes.
    ///
    /// # Panics
    /// At a moment for which a crash was chosen.
    pub async fn pass(&self) {
        let now = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        match self.0.accidents.get(&now) {
            None => {}
            Some(Accident::Crash) => panic!("an accident at moment {now}"),
            Some(Accident::PowerOff) => {
                self.0.off.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the power is off.
    pub async fn power_off(&self) {
        self.0.off.notified().await;
    }

    /// How many have passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }
}

/// A store that lets a moment pass before and after every append.
#[derive(Debug)]
pub struct Watched<S> {
    inner: Arc<S>,
    moments: Moments,
}

impl<S: Store> Watched<S> {
    /// `inner`, watched.
    #[must_use]
    pub fn new(inner: Arc<S>, moments: Moments) -> Self {
        Self { inner, moments }
    }
}

impl<S: Store> Store for Watched<S> {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        async move {
            self.moments.pass().await;
            let appended = self.inner.append(batch).await;
            self.moments.pass().await;
            appended
        }
        .boxed()
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.inner.events(query)
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.inner.tasks(unfinished)
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        self.inner.task(id)
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        self.inner.runs(task)
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.blob(hash)
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.put_snapshot(snapshot)
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.inner.snapshot(run)
    }
}

/// What a simulated system consists of. The store and the outside world outlive it.
#[derive(Debug, Clone)]
pub struct Stage {
    /// What is remembered.
    pub store: Arc<Memory>,
    /// What really happened.
    pub outside: Outside,
    /// The scripts of the agents.
    pub scripts: ScriptedSettings,
    /// The seed of ids.
    pub seed: u64,
}

impl Stage {
    /// A stage on which nothing has happened.
    #[must_use]
    pub fn new(scripts: ScriptedSettings, seed: u64) -> Self {
        Self {
            store: Arc::default(),
            outside: Outside::default(),
            scripts,
            seed,
        }
    }

    /// Starts a system on the stage, with tools `pay_pure`, `pay_keyed`, `pay_queryable`, `pay_once` in the node and
    /// `pay_ledgered` on an executor. Moments pass before and after every append and every effect.
    ///
    /// # Panics
    /// When the scripts are wrong or the system does not start: nothing can be simulated then.
    pub async fn open(&self, moments: &Moments) -> System {
        let clock = Arc::new(TokioClock::starting_at(EPOCH));
        let store = Arc::new(Watched::new(self.store.clone(), moments.clone()));
        let mut deps = Deps::new(store, clock.clone(), Arc::new(SeededIds::new(self.seed)));
        let provider = Arc::new(Scripted::new(&self.scripts).expect("the scripts are well-formed"));
        deps.providers
            .insert("stage".to_owned(), (provider, RetryPolicy::default()));
        let classes = [
            ("pay_pure", EffectClass::Pure),
            ("pay_keyed", EffectClass::Keyed),
            ("pay_queryable", EffectClass::Queryable),
            ("pay_once", EffectClass::Once),
        ];
        deps.tools = classes
            .map(|(name, class)| self.outside.tool(name, class, moments.clone()))
            .into();
        deps.executor_tools = vec![Outside::executor_tool("pay_ledgered")];
        let system = System::start(deps).await.expect("the system starts");
        self.serve(system.clone(), moments.clone());
        system
    }

    /// An executor that is started again when it dies, as its operator would.
    fn serve(&self, system: System, moments: Moments) {
        let outside = self.outside.clone();
        let life = async move {
            loop {
                let (link, life) = outside.executor("pay_ledgered", moments.clone());
                if system.attach_executor("default", link).await.is_err() {
                    return;
                }
                let _ = AssertUnwindSafe(life).catch_unwind().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the executor is outside the system's tree, as a real one is"
        )]
        tokio::spawn(life);
    }

    /// A task for `agents`, the first of which gets it. All of them have all tools.
    #[must_use]
    pub fn task(&self, agents: &[&str]) -> TaskDefinition {
        let tools = [
            "create_run",
            "post_message",
            "pay_pure",
            "pay_keyed",
            "pay_queryable",
            "pay_once",
            "pay_ledgered",
        ];
        let spec = AgentSpec {
            provider: "stage".to_owned(),
            tools: tools.map(str::to_owned).into(),
            ..AgentSpec::default()
        };
        let agents: Vec<crate::model::AgentName> =
            agents.iter().map(|name| (*name).into()).collect();
        TaskDefinition {
            name: "simulated".to_owned(),
            description: "pay the bills".to_owned(),
            project: "default".to_owned(),
            root_agent: agents[0].clone(),
            available_agents: agents.clone(),
            team: None,
            workflow: None,
            agents: agents
                .into_iter()
                .map(|name| (name, spec.clone()))
                .collect::<BTreeMap<_, _>>(),
            limits: crate::model::Limits::default(),
            source: serde_json::Value::Null,
        }
    }

    /// The first task there is.
    ///
    /// # Panics
    /// Never: the store is in memory.
    pub async fn store_task(&self) -> Option<TaskId> {
        self.store
            .tasks(false)
            .await
            .expect("memory can be read")
            .first()
            .map(|row| row.id)
    }

    /// All events of a task.
    ///
    /// # Panics
    /// Never: the store is in memory.
    pub async fn journal(&self, task: TaskId) -> Vec<Event> {
        let query = EventQuery {
            task,
            after: 0,
            limit: usize::MAX,
        };
        self.store.events(query).await.expect("memory can be read")
    }
}

/// Waits until a task has ended, or does not go on without a human; `None` after `patience`.
pub async fn settle(system: &System, task: TaskId, patience: Duration) -> Option<TaskStatus> {
    let wait = async {
        let mut feed = system.watch(task, 0 as Seq);
        loop {
            match system.task(task).await {
                Ok(row) if row.status != TaskStatus::Running => return Some(row.status),
                Ok(_) => {}
                Err(_) => return None,
            }
            feed.next().await.ok()??;
        }
    };
    tokio::time::timeout(patience, wait).await.ok().flatten()
}
