//! What a system is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervision::Listener;

use crate::clock::{Clock, Ids};
use crate::executor::Executors;
use crate::fault::shared::EndNode;
use crate::fault::{self, FaultPlan, Faults, PlanError, Target};
use crate::model::ToolSpec;
use crate::pool::{self, Pools};
use crate::provider::Provider;
use crate::run::next::RetryPolicy;
use crate::store::Store;
use crate::tool::{Tool, Toolbox};
use crate::topology::Route;

use super::Providers;

/// Everything from outside that a system needs. Nothing of it is global: two systems in one process do not meet.
#[derive(Clone)]
pub struct Deps {
    /// Where it remembers.
    pub store: Arc<dyn Store>,
    /// Wall time for its records.
    pub clock: Arc<dyn Clock>,
    /// Where its ids come from.
    pub ids: Arc<dyn Ids>,
    /// What its agents think with.
    pub providers: Providers,
    /// Tools that run in the node.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Tools that run on executors.
    pub executor_tools: Vec<ToolSpec>,
    /// Topologies of one's own, by the name that tasks pin.
    pub topologies: BTreeMap<String, Arc<dyn Route>>,
    /// What can be set.
    pub settings: Settings,
    /// Faults on purpose.
    pub faults: FaultPlan,
    /// How faults end the process.
    pub end_node: Option<EndNode>,
    /// Who hears what supervisors decide.
    pub listener: Option<Listener>,
    /// For how long anything may block a thread before it is reported; none for not looking.
    pub watchdog: Option<Duration>,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("providers", &self.providers.keys())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Deps {
    /// A system that has nothing but a store, a clock and ids.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let (providers, tools, executor_tools) = (Providers::new(), Vec::new(), Vec::new());
        Self {
            store,
            clock,
            ids,
            providers,
            tools,
            executor_tools,
            topologies: BTreeMap::new(),
            settings: Settings::default(),
            faults: FaultPlan::default(),
            end_node: None,
            listener: None,
            watchdog: None,
        }
    }

    /// With something to think with, under the name agents use for it. A failed call is tried again as usual.
    #[must_use]
    pub fn provider(mut self, name: &str, provider: impl Provider) -> Self {
        let provider = (Arc::new(provider) as _, RetryPolicy::default());
        self.providers.insert(name.to_owned(), provider);
        self
    }

    /// With one more tool in the node.
    #[must_use]
    pub fn tool(mut self, tool: impl Tool) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// With a topology of one's own, for [`Topology::Custom`](crate::model::Topology::Custom) of this name.
    #[must_use]
    pub fn topology(mut self, name: &str, topology: impl Route) -> Self {
        self.topologies.insert(name.to_owned(), Arc::new(topology));
        self
    }

    /// With faults on purpose, from the system's start on. Those that strike the node need [`Deps::end_node`].
    #[must_use]
    pub fn faults(mut self, faults: FaultPlan) -> Self {
        self.faults = faults;
        self
    }

    /// With a way to end the process, for faults that strike the node: at once, without any cleaning up.
    #[must_use]
    pub fn end_node(mut self, end: impl Fn(fault::Kind) + Send + Sync + 'static) -> Self {
        self.end_node = Some(Arc::new(end));
        self
    }

    /// With a listener to every decision of every supervisor, of the watchdog too. It is called in the middle of the decision and must
    /// not block.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// With a [watchdog](supervision::Root::watchdog), which names whoever blocks a thread for longer than `limit`.
    #[must_use]
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// With these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    pub(super) fn checked_faults(&self) -> Result<Faults, PlanError> {
        self.faults.check()?;
        let is_node = |fault: &fault::Fault| fault.target == Target::Node;
        if self.end_node.is_none() && self.faults.0.iter().any(is_node) {
            return Err(PlanError::NoNode);
        }
        Ok(Faults::new(self.faults.clone(), self.end_node.clone()))
    }

    pub(super) fn toolbox(&self, executors: &Executors) -> Toolbox {
        let specs = self.executor_tools.iter();
        let remote = specs.map(|spec| executors.tool(spec.clone()));
        let tools = remote.chain(self.tools.iter().cloned());
        Toolbox::new(crate::run::tools::specs(), tools)
    }

    pub(super) fn pools(&self) -> Pools {
        Pools::new(&self.settings.pools)
    }
}

/// What can be set about a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether unfinished tasks go on at the start; otherwise they are marked failed, with this as the reason.
    pub auto_recover: bool,
    /// Sizes of the pools and what providers take; the pool `workers` has 5 permits unless said otherwise.
    pub pools: pool::Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_recover: true,
            pools: pool::Limits::default(),
        }
    }
}
