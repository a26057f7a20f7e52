//! A whole system in virtual time over a store that outlives it, with accidents at chosen moments.
//!
//! On a current-thread runtime with a paused clock the same seed gives the same journal.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;

use crate::clock::{SeededIds, TokioClock};
use crate::model::event::Seq;
use crate::model::{
    AgentName, AgentSpec, EffectClass, Event, TaskDefinition, TaskId, TaskStatus, Timestamp,
};
use crate::provider::Provider;
use crate::provider::scripted::{Scripted, ScriptedSettings};
use crate::run::next::RetryPolicy;
use crate::store::{EventQuery, Memory, Store};
use crate::system::{Deps, System};

use super::machine::{Life, Machine};
use super::outside::Outside;
use super::watched::{Manners, Watched};

pub use super::moments::{Accident, Moments};

/// When simulated time begins: 2026-01-01.
pub const EPOCH: Timestamp = Timestamp(1_767_225_600_000);

/// The tools that every agent of a stage has.
pub const TOOLS: [&str; 7] = [
    "create_run",
    "post_message",
    "pay_pure",
    "pay_keyed",
    "pay_queryable",
    "pay_once",
    "pay_ledgered",
];

/// What a simulated system consists of. The store and the outside world outlive it.
#[derive(Clone)]
pub struct Stage {
    /// What is remembered.
    pub store: Arc<Memory>,
    /// How the store behaves.
    pub manners: Manners,
    /// What really happened.
    pub outside: Outside,
    /// The seed of ids.
    pub seed: u64,
    /// The machines with executors that connect when a system is opened.
    pub machines: Vec<String>,
    cast: Cast,
}

#[derive(Clone)]
enum Cast {
    Scripts(ScriptedSettings),
    Provider(Arc<dyn Provider>),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// A stage on which nothing has happened, where agents play these scripts.
    #[must_use]
    pub fn new(scripts: ScriptedSettings, seed: u64) -> Self {
        Self::played_by(Cast::Scripts(scripts), seed)
    }

    /// A stage on which nothing has happened, where all agents think with one provider. It outlives systems too.
    #[must_use]
    pub fn with_provider(provider: Arc<dyn Provider>, seed: u64) -> Self {
        Self::played_by(Cast::Provider(provider), seed)
    }

    fn played_by(cast: Cast, seed: u64) -> Self {
        Self {
            store: Arc::default(),
            manners: Manners::default(),
            outside: Outside::default(),
            seed,
            machines: vec!["outside".to_owned()],
            cast,
        }
    }

    /// Starts a system on the stage, with tools `pay_pure`, `pay_keyed`, `pay_queryable`, `pay_once` in the node and
    /// `pay_ledgered` on an executor. Moments pass before and after every append and every effect.
    ///
    /// # Panics
    /// When the scripts are wrong or the system does not start: nothing can be simulated then.
    pub async fn open(&self, moments: &Moments) -> System {
        self.open_with(moments, |_| {}).await
    }

    /// Starts a system on the stage that is given something else.
    ///
    /// # Panics
    /// As [`Stage::open`].
    pub async fn open_with(&self, moments: &Moments, change: impl FnOnce(&mut Deps)) -> System {
        let mut deps = self.deps(moments).await;
        change(&mut deps);
        let system = System::start(deps).await.expect("the system starts");
        for name in &self.machines {
            self.connect(&system, name, moments);
        }
        aside(killer(system.clone(), moments.clone()));
        system
    }

    /// What a system on the stage is given. Its clock goes on where the newest record stands.
    async fn deps(&self, moments: &Moments) -> Deps {
        let rows = self.store.tasks(false).await.expect("memory can be read");
        let newest = rows.iter().map(|row| row.updated_at).max();
        let start = newest.map_or(EPOCH, |newest| Timestamp(newest.0 + 1_000));
        let (store, manners) = (self.store.clone(), self.manners.clone());
        let mut deps = Deps::new(
            Arc::new(Watched::new(store, moments.clone(), manners)),
            Arc::new(TokioClock::starting_at(start)),
            Arc::new(SeededIds::new(self.seed)),
        );
        let provider = match &self.cast {
            Cast::Scripts(scripts) => {
                Arc::new(Scripted::new(scripts).expect("the scripts are well-formed"))
            }
            Cast::Provider(provider) => provider.clone(),
        };
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
        deps
    }

    /// Connects the executor of a machine to the project `default`; it is started again when it dies, and replaced when it is lost,
    /// as its operator would.
    pub fn connect(&self, system: &System, name: &str, moments: &Moments) {
        let machine = Machine {
            name: name.to_owned(),
            tool: "pay_ledgered".to_owned(),
            outside: self.outside.clone(),
            moments: moments.clone(),
        };
        aside(keep_up(machine, system.clone(), moments.clone()));
    }

    /// A task for `agents`, the first of which gets it. All of them have all tools.
    #[must_use]
    pub fn task(&self, agents: &[&str]) -> TaskDefinition {
        let spec = AgentSpec {
            provider: "stage".to_owned(),
            tools: TOOLS.map(str::to_owned).into(),
            ..AgentSpec::default()
        };
        let agents: Vec<AgentName> = agents.iter().map(|name| (*name).into()).collect();
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
            priority: 0,
            forked_from: None,
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

fn aside(life: impl Future<Output = ()> + Send + 'static) {
    #[expect(
        clippy::disallowed_methods,
        reason = "what is outside of the system is not in its tree"
    )]
    tokio::spawn(life);
}

/// How long it takes to set up a machine in the place of one that is lost.
const REPLACED: Duration = Duration::from_secs(20);

/// Starts a machine, again and again, and others when it is lost.
async fn keep_up(mut machine: Machine, system: System, moments: Moments) {
    loop {
        let mut life = machine.start();
        let lost = AssertUnwindSafe(connected(&mut life, &system, &moments))
            .catch_unwind()
            .await;
        if lost.is_ok() {
            aside(async move { life.alone(None).await });
            tokio::time::sleep(REPLACED).await;
            machine.name.push('+');
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Connects a machine as often as its connection ends, until it is lost for ever.
async fn connected(life: &mut Life, system: &System, moments: &Moments) {
    loop {
        let (link, hears) = life.plug();
        if system.attach_executor("default", link).await.is_err() {
            life.alone(Some(Duration::from_millis(100))).await;
        }
        let lost = tokio::select! {
            biased;
            lost = moments.unplugged() => Some(lost),
            () = life.live(hears) => None,
        };
        match lost {
            Some(None) => return,
            Some(time) => life.alone(time).await,
            None => life.alone(Some(Duration::from_millis(10))).await,
        }
    }
}

/// What somebody in the tree is, whatever it is called.
fn word(path: &str) -> &str {
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["tasks", _, "runs", _] => "a run",
        ["tasks", _, "agents", _] => "an agent",
        ["tasks", _] => "the supervisor of a task",
        ["executors", _] => "the actor of an executor",
        parts => parts.last().unwrap_or(&""),
    }
}

/// Kills what the accidents choose, with its supervisors as they are at that moment.
async fn killer(system: System, moments: Moments) {
    loop {
        let (whom, done) = moments.kill().await;
        let tree = system.tree().await;
        let nodes: Vec<_> = tree.iter().skip(1).collect();
        if let Some(node) = nodes.get(usize::try_from(whom).unwrap_or(0) % nodes.len().max(1)) {
            let path = node.path.split_once('/').map_or("", |(_, below)| below);
            tracing::info!("killing {path}");
            moments.census().note(format!("kill {}", word(path)));
            let _ = system.root().kill_at(path).await;
        }
        let _ = done.send(());
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
