//! What stands under what in a task: topology · agents · runs · room, rest-for-one.
//!
//! The `agents` supervisor carries the strategy, intensity and backoff that the team's file declares. It and the runs' supervisor
//! are significant: one that gives up ends the task's tree in an orderly way, and the task waits for a human.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use supervision::{
    AtRestart, AutoShutdown, Backoff, ChildSpec, DynamicHandle, DynamicSpec, Failure, Flags,
    Handle, Inbox, InitResult, Restart, Start, Strategy, SupervisorHandle, SupervisorSpec, inbox,
    template,
};

use crate::agent::actor::AgentArguments;
use crate::agent::{self, AgentMessage};
use crate::budget::Purse;
use crate::clock::Ids;
use crate::fault::Faults;
use crate::feed::Bus;
use crate::journal::Journal;
use crate::model::agent::RestartType;
use crate::model::team::TeamStrategy;
use crate::model::{AgentName, AgentSpec, TaskDefinition, TaskId};
use crate::pool::Pools;
use crate::provider::Provider;
use crate::recipient::Recipient;
use crate::run::actor::RunContext;
use crate::run::next::RetryPolicy;
use crate::run::{self, RunArguments};
use crate::tool::Toolbox;
use crate::topology::actor::TopologyArguments;
use crate::topology::routing::{Routes, Wiring};
use crate::topology::{self, TopologyMessage};

use super::registry::Registry;
use super::room::{self, RoomArguments, RoomMessage};

/// What agents think with, by name, and how often each is tried again.
pub type Providers = BTreeMap<String, (Arc<dyn Provider>, RetryPolicy)>;

/// The providers that there are now. Clones are the same.
#[derive(Clone, Default)]
pub struct Stock(Arc<RwLock<Arc<Providers>>>);

impl Stock {
    /// These.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(providers))))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Arc<Providers> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// These take the place of those of the same names. Others stay: tasks that began with them go on.
    pub fn renew(&self, providers: Providers) {
        let mut stock = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = Providers::clone(&stock);
        all.extend(providers);
        *stock = Arc::new(all);
    }
}

/// What every task of a system is given.
#[derive(Clone)]
pub struct TaskWorld {
    /// Where everything is written.
    pub journal: Journal,
    /// Where everything is published.
    pub bus: Bus,
    /// Where new ids come from.
    pub ids: Arc<dyn Ids>,
    /// What agents think with, by name, and how often it is tried again.
    pub providers: Stock,
    /// What agents can call.
    pub tools: Arc<Toolbox>,
    /// Where permits come from.
    pub pools: Pools,
    /// Topologies of one's own, by name.
    pub routes: Routes,
    /// Faults on purpose.
    pub faults: Faults,
}

impl std::fmt::Debug for TaskWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskWorld")
            .field("providers", &self.providers.all().keys())
            .finish_non_exhaustive()
    }
}

/// One task that is to be opened.
#[derive(Debug, Clone)]
pub struct TaskArguments {
    /// The task.
    pub id: TaskId,
    /// Its definition.
    pub definition: Arc<TaskDefinition>,
    /// Where its room is found, whichever incarnation it is.
    pub seat: TaskSeat,
}

/// Where an open task is found.
#[derive(Debug, Clone)]
pub struct TaskSeat {
    /// Its room.
    pub room: Handle<RoomMessage>,
    reads: Inbox<RoomMessage>,
    /// Its topology, which is told what people say.
    pub topology: Handle<TopologyMessage>,
    hears: Inbox<TopologyMessage>,
    /// Its supervisor.
    pub supervisor: SupervisorHandle,
}

/// How many messages a room, a topology and a run hold.
const INBOX: usize = 256;

impl Default for TaskSeat {
    fn default() -> Self {
        let (room, reads) = inbox(INBOX, AtRestart::Carry);
        let (topology, hears) = inbox(INBOX, AtRestart::Carry);
        Self {
            room,
            reads,
            topology,
            hears,
            supervisor: SupervisorHandle::vacant(),
        }
    }
}

/// How a task's tree is started.
#[must_use]
pub fn start(world: &TaskWorld, arguments: TaskArguments) -> Start {
    let (world, name, handle) = (
        world.clone(),
        arguments.id.to_string(),
        arguments.seat.supervisor.clone(),
    );
    Start::supervisor_at(&handle, move || supervise(&world, &arguments)).named(name)
}

fn supervise(world: &TaskWorld, arguments: &TaskArguments) -> InitResult {
    let definition = &arguments.definition;
    let registry = Registry::default();
    let (agents, agent_specs) = agents(world, arguments)?;
    let wiring = Wiring::of(definition, &world.routes);
    let purse = Purse::default();
    purse.follow(&world.journal, arguments.id);
    let context = Arc::new(RunContext {
        task: arguments.id,
        definition: definition.clone(),
        wiring: wiring.clone(),
        journal: world.journal.clone(),
        agents: Arc::new(agents),
        tools: world.tools.clone(),
        pools: world.pools.clone(),
        retries: Arc::new(retries(world, definition)),
        nobody: AgentSpec::default(),
        purse,
        room: Recipient::new(arguments.seat.room.clone()),
        said: Recipient::new(arguments.seat.topology.clone()),
    });
    let (runs, runs_start) = runs(&registry)?;
    let (listeners, room_hears) = (registry.clone(), arguments.seat.room.clone());
    let topology = topology::actor::start(
        arguments.seat.hears.clone(),
        TopologyArguments {
            task: arguments.id,
            wiring,
            journal: world.journal.clone(),
            faults: world.faults.clone(),
            listeners: Arc::new(move |of| {
                of.map_or_else(|| listeners.all(), |agent| listeners.of_agent(agent))
            }),
            // A room whose inbox is full looks after each message that is before this one.
            heard: Arc::new(move || drop(room_hears.try_send(RoomMessage::Heard))),
        },
    );
    let room = RoomArguments {
        context,
        ids: world.ids.clone(),
        runs,
        registry,
    };
    let flags = Flags::new(Strategy::RestForOne)
        .intensity(10, Duration::from_secs(60))
        .auto_shutdown(AutoShutdown::AnySignificant);
    Ok(Some(
        SupervisorSpec::new(flags)
            .child(ChildSpec::new("topology", topology))
            .child(significant(ChildSpec::supervisor("agents", agent_specs)))
            .child(significant(ChildSpec::supervisor("runs", runs_start)))
            .child(significant(ChildSpec::new(
                "room",
                room::start(arguments.seat.reads.clone(), room),
            ))),
    ))
}

/// Restarted when it failed; its orderly end is the task's.
fn significant(child: ChildSpec) -> ChildSpec {
    child.restart(Restart::Transient).significant()
}

type Agents = BTreeMap<AgentName, Handle<AgentMessage>>;

/// The agents in the order of the team: the lead, then the members as they are declared.
fn agents(world: &TaskWorld, arguments: &TaskArguments) -> Result<(Agents, Start), Failure> {
    let definition = &arguments.definition;
    let mut names = vec![definition.root_agent.clone()];
    names.extend(
        definition
            .available_agents
            .iter()
            .filter(|name| **name != definition.root_agent)
            .cloned(),
    );
    let mut handles = Agents::new();
    let mut spec = SupervisorSpec::new(agent_flags(definition));
    let providers = world.providers.all();
    for name in names {
        let agent = definition
            .agents
            .get(&name)
            .ok_or_else(|| format!("agent `{name}` is not defined"))?;
        let (provider, _) = providers.get(&agent.provider).ok_or_else(|| {
            format!(
                "agent `{name}` thinks with `{}`, which is no provider",
                agent.provider
            )
        })?;
        let (handle, reads) = inbox(INBOX, AtRestart::Carry);
        let start = agent::actor::start(
            reads,
            AgentArguments {
                task: arguments.id,
                name: name.clone(),
                provider: world
                    .faults
                    .around(&agent.provider, arguments.id, provider.clone()),
                timeout: agent.timeout,
                bus: world.bus.clone(),
            },
        );
        let mut child = ChildSpec::new(name.as_str(), start).restart(restart(agent.restart));
        if let Some(limits) = run::actor::hang_limits(agent) {
            child = child.hang(limits);
        }
        if let Some(backoff) = definition.team.as_ref().and_then(|team| team.backoff) {
            child = child.backoff(Backoff::new(backoff.base, backoff.cap));
        }
        spec = spec.child(child);
        handles.insert(name, handle);
    }
    Ok((handles, Start::supervisor(move || Ok(Some(spec.clone())))))
}

fn agent_flags(definition: &TaskDefinition) -> Flags {
    let team = definition.team.clone().unwrap_or_default();
    let strategy = match team.strategy {
        TeamStrategy::OneForOne => Strategy::OneForOne,
        TeamStrategy::OneForAll => Strategy::OneForAll,
        TeamStrategy::RestForOne => Strategy::RestForOne,
    };
    Flags::new(strategy).intensity(team.max_restarts, team.within)
}

fn restart(restart: RestartType) -> Restart {
    match restart {
        RestartType::Permanent => Restart::Permanent,
        RestartType::Transient => Restart::Transient,
        RestartType::Temporary => Restart::Temporary,
    }
}

fn retries(world: &TaskWorld, definition: &TaskDefinition) -> BTreeMap<AgentName, RetryPolicy> {
    let providers = world.providers.all();
    let policy = |provider: &String| {
        providers
            .get(provider)
            .map(|(_, retry)| *retry)
            .unwrap_or_default()
    };
    definition
        .agents
        .iter()
        .map(|(name, agent)| (name.clone(), policy(&agent.provider)))
        .collect()
}

/// Runs are restarted when they crash; one that crashes at the same point again and again quarantines itself long before this
/// supervisor gives up.
fn runs(registry: &Registry) -> Result<(DynamicHandle<RunArguments>, Start), Failure> {
    let registry = registry.clone();
    let flags = Flags::default().intensity(50, Duration::from_secs(10));
    let mut plan = template("run");
    plan.restart = Restart::Transient;
    plan.backoff = Some(Backoff::new(
        Duration::from_millis(20),
        Duration::from_secs(2),
    ));
    let spec = DynamicSpec::new(flags).template(plan, move |arguments: RunArguments| {
        let (handle, reads) = inbox(INBOX, AtRestart::Carry);
        registry.insert(arguments.run, arguments.agent.clone(), handle);
        run::actor::start(reads, arguments)
    });
    Ok(spec.seat()?)
}

/// The recipient of what was said in a room.
impl From<Arc<crate::model::Event>> for TopologyMessage {
    fn from(event: Arc<crate::model::Event>) -> Self {
        Self::Said(event)
    }
}
