//! What all handlers share.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actors::model::{AgentName, RunId, TaskId};
use actors::registry::Registry;
use actors::registry::access::Key;
use actors::store::{RunRow, TaskRow};
use actors::system::System;
use arc_swap::ArcSwap;
use supervision::SupervisorHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::config::Config;
use crate::settings::Settings;
use crate::webhook::Webhooks;

use super::link::LinkOptions;
use super::problem::Problem;

/// Limits of the interface.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest body of a request, in bytes; 1 MiB.
    pub body: usize,
    /// The longest that `Prefer: wait` waits; 60 s.
    pub wait: Duration,
    /// How often a silent stream shows that it is alive; 15 s.
    pub heartbeat: Duration,
    /// Names under which a node on a loopback address may be asked: a page of another site whose name points here is refused. None for
    /// a node that may be asked under any name.
    pub hosts: Option<Vec<String>>,
    /// How long requests under way are waited for when the node stops; 10 s.
    pub drain: Duration,
    /// What a connection of an executor may cost.
    pub link: LinkOptions,
}

/// Names under which a node on a loopback address may always be asked.
pub const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            wait: Duration::from_secs(60),
            heartbeat: Duration::from_secs(15),
            hosts: Some(HOSTS.map(str::to_owned).into()),
            drain: Duration::from_secs(10),
            link: LinkOptions::default(),
        }
    }
}

/// What all handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Shared>);

/// What there is to share.
#[derive(Debug)]
pub struct Shared {
    /// Where everything about tasks is asked.
    pub system: System,
    /// Where everything else is.
    pub registry: Registry,
    /// The file that is loaded now.
    pub config: Arc<ArcSwap<Config>>,
    /// What can be set while the node runs.
    pub settings: Settings,
    /// The tree around the system, once it is up: the servers.
    pub servers: OnceLock<SupervisorHandle>,
    /// The limits.
    pub limits: Limits,
    /// Cancelled when the node stops: streams and sockets end.
    pub stop: CancellationToken,
    /// The sockets that are open.
    pub sockets: TaskTracker,
    /// Which life of the node this is.
    pub life: Uuid,
    /// Where webhooks are made and sent; set once, by whoever starts their deliverer.
    pub webhooks: OnceLock<Webhooks>,
}

impl std::ops::Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    /// Over a system and a registry.
    #[must_use]
    pub fn new(
        system: System,
        registry: Registry,
        config: Arc<ArcSwap<Config>>,
        limits: Limits,
    ) -> Self {
        let life = registry.id();
        let settings = Settings::new(system.clone(), registry.clone(), config.clone());
        Self(Arc::new(Shared {
            system,
            registry,
            config,
            settings,
            servers: OnceLock::new(),
            limits,
            stop: CancellationToken::new(),
            sockets: TaskTracker::new(),
            life,
            webhooks: OnceLock::new(),
        }))
    }

    /// A task that this key sees, by its id as it was sent. What it does not see is not there for it.
    ///
    /// # Errors
    /// 404.
    pub(super) async fn task(&self, key: &Key, id: &str) -> Result<TaskRow, Problem> {
        let missing = || Problem::missing("task", id);
        let task: TaskId = id.parse().map_err(|_| missing())?;
        match self.system.task(task).await {
            Ok(row) if key.sees(&row.project) => Ok(row),
            Ok(_) | Err(actors::system::SystemError::NoSuchTask(_)) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }

    /// A run that this key sees.
    ///
    /// # Errors
    /// 404.
    pub(super) async fn run(&self, key: &Key, id: &str) -> Result<RunRow, Problem> {
        let missing = || Problem::missing("run", id);
        let run: RunId = id.parse().map_err(|_| missing())?;
        let found = self.registry.records().find_run(run).await;
        let row = found.map_err(Problem::from)?.ok_or_else(missing)?;
        let task = self.system.task(row.task).await?;
        match key.sees(&task.project) {
            true => Ok(row),
            false => Err(missing()),
        }
    }
}

/// An agent's name as it was sent.
pub(super) fn agent(name: &str) -> AgentName {
    AgentName::from(name)
}
