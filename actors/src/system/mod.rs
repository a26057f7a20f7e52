//! The system: the one handle everything outside uses, and what stands at the top of the tree.
//!
//! ```text
//! system          rest_for_one   journal · services · tasks · opener
//! ├ services      one_for_one    chronicle · pools · executors
//! ├ tasks         dynamic        task/<id> …
//! └ opener                       opens every unfinished task; last, so that it does so again whenever something before it was lost
//! ```

mod alerts;
mod budget;
mod causes;
mod chronicle;
mod deps;
mod desk;
mod forking;
mod opener;
mod pausing;
mod registry;
mod saying;
mod spec;
mod tasks;
mod topology;
mod wait;
mod why;

use std::sync::Arc;
use std::time::Duration;

use supervision::{
    AtRestart, DynamicHandle, Exit, Handle, Report, Root, StartError, SupervisorHandle, Tree, inbox,
};
use tokio::sync::watch;

use crate::executor::{Attached, Executors, Joining, Link};
use crate::fault::{Faults, PlanError};
use crate::feed::{Bus, Feed};
use crate::journal::{Journal, JournalError, Trouble};
use crate::model::event::Seq;
use crate::model::executor::ConnectedExecutor;
use crate::model::{AgentName, RunId, TaskId};
use crate::pool::Pools;
use crate::store::{EventQuery, RunRow, StoreError, TaskRow};
use crate::task::tree::{Stock, TaskWorld};
use crate::tool::Toolbox;

use opener::OpenerMessage;
use spec::{LinkArguments, links, root_spec, tasks};

pub use crate::task::tree::Providers;
pub use alerts::STUCK_AFTER;
pub use causes::MOST_CAUSES;
pub use deps::{Deps, Settings};
pub use opener::Seats;
pub use registry::{RunNode, RunRecord};
pub use wait::Settled;

/// Why the system did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// It could not be started.
    #[error("the system could not be started: {0}")]
    Start(#[from] StartError),
    /// The task cannot be carried out as it is defined.
    #[error("the task cannot be started: {0}")]
    Definition(String),
    /// Its faults cannot be played.
    #[error("the faults cannot be played: {0}")]
    Faults(#[from] PlanError),
    /// It could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run cannot be forked there.
    #[error("the run cannot be forked: {0}")]
    Fork(String),
    /// The topology cannot be used in this task.
    #[error("the topology cannot be changed: {0}")]
    Topology(String),
    /// There is no such task.
    #[error("there is no {0}")]
    NoSuchTask(TaskId),
    /// There is no such run in the task.
    #[error("there is no {0} in this task")]
    NoSuchRun(RunId),
    /// There is no such agent in the task.
    #[error("there is no agent `{0}` in this task")]
    NoSuchAgent(AgentName),
    /// There is no such event in the task.
    #[error("{0} has no event {1}: its events are numbered from 1 to {2}")]
    NoSuchEvent(TaskId, Seq, Seq),
    /// The causes of an event go back further than is followed at a time.
    #[error(
        "event {event} of {task} has more than {limit} causes: ask for those of event {next}, where they go on"
    )]
    TooManyCauses {
        /// The task.
        task: TaskId,
        /// The event that was asked about.
        event: Seq,
        /// How many are followed at a time.
        limit: usize,
        /// The first that was not followed.
        next: Seq,
    },
    /// The agent takes nothing while it is at work.
    #[error(
        "agent `{0}` is at work and takes no messages until it is done (when_busy = \"reject\"); say it later, or to the room"
    )]
    Busy(AgentName),
    /// The task has ended.
    #[error("{0} has ended")]
    Over(TaskId),
    /// The system is stopping, or what should have answered is down.
    #[error("nobody answered; the system may be stopping")]
    Silent,
    /// It has ended, in an orderly way or not.
    #[error("the system has ended: {0}; its tasks go on when it is started again")]
    Down(Exit),
}

/// A running system. Cheap to clone; dropping it stops nothing, [`System::shutdown`] does.
#[derive(Clone)]
pub struct System {
    root: SupervisorHandle,
    journal: Journal,
    deps: Arc<Deps>,
    pools: Pools,
    providers: Stock,
    toolbox: Arc<Toolbox>,
    executors: Executors,
    executor_links: DynamicHandle<LinkArguments>,
    opener: Handle<OpenerMessage>,
    seats: Seats,
    faults: Faults,
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System")
            .field("deps", &self.deps)
            .finish_non_exhaustive()
    }
}

/// How long an answer inside the system is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

impl System {
    /// Starts a system over what it is given. When it returns, every unfinished task is known and being opened.
    ///
    /// # Errors
    /// [`SystemError::Start`], with what could not be started; then nothing is left running. [`SystemError::Faults`].
    pub async fn start(deps: Deps) -> Result<Self, SystemError> {
        let faults = deps.checked_faults()?;
        let deps = Arc::new(deps);
        let bus = Bus::default();
        let (journal, journal_start) =
            Journal::new(deps.store.clone(), deps.clock.clone(), bus.clone());
        let executors = Executors::default();
        let toolbox = Arc::new(deps.toolbox(&executors));
        let pools = deps.pools();
        let providers = Stock::new(deps.providers.clone());
        let world = TaskWorld {
            journal: journal.clone(),
            bus: bus.clone(),
            ids: deps.ids.clone(),
            providers: providers.clone(),
            tools: toolbox.clone(),
            pools: pools.clone(),
            routes: Arc::new(deps.topologies.clone()),
            faults: faults.clone(),
        };
        let (seats, reports) = (Seats::default(), chronicle::Reports::default());
        let (chronicle, chronicle_reads) = inbox(64, AtRestart::Carry);
        let (tasks, tasks_start) = tasks(&world)?;
        let (executor_links, links_start) = links(&executors)?;
        let (opener, opener_reads) = inbox(256, AtRestart::Carry);
        let chronicle_start = chronicle::start(chronicle_reads, journal.clone(), reports.clone());
        let opener_start = opener::start(
            opener_reads,
            journal.clone(),
            tasks,
            seats.clone(),
            deps.settings.clone(),
        );
        let spec = root_spec(
            journal_start,
            chronicle_start,
            spec::pools(&pools),
            links_start,
            tasks_start,
            opener_start,
            faults.player(&bus, &journal),
        );
        let hears = journal.clone();
        let (notes, desk, scribe) = (reports.clone(), journal.clone(), chronicle.clone());
        pools.listen(move |news| notes.note(&news, &desk, &scribe));
        let (told, desk, scribe) = (reports.clone(), journal.clone(), chronicle.clone());
        let note = Arc::new(move |task, body| told.tell(task, body, &desk, &scribe));
        faults.listen(note, bus.listen());
        let outside = deps.listener.clone();
        let listener = Arc::new(move |report: &Report| {
            reports.hear(report, &hears, &chronicle);
            outside.iter().for_each(|outside| outside(report));
        });
        let mut root = Root::new("system").listener(listener);
        if let Some(limit) = deps.watchdog {
            root = root.watchdog(limit);
        }
        let root = faults.in_tree(root).start(spec).await?;
        faults.up(&root);
        Ok(Self {
            root,
            journal,
            deps,
            pools,
            providers,
            toolbox,
            executors,
            executor_links,
            opener,
            seats,
            faults,
        })
    }

    // ---- looking

    /// One task.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`].
    pub async fn task(&self, task: TaskId) -> Result<TaskRow, SystemError> {
        self.deps
            .store
            .task(task)
            .await?
            .ok_or(SystemError::NoSuchTask(task))
    }

    /// All tasks, or those that have not ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn tasks(&self, unfinished: bool) -> Result<Vec<TaskRow>, SystemError> {
        Ok(self.deps.store.tasks(unfinished).await?)
    }

    /// The runs of a task: who delegated what to whom, and how it stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self, task: TaskId) -> Result<Vec<RunRow>, SystemError> {
        Ok(self.deps.store.runs(task).await?)
    }

    /// The runs of a task as a tree, each with the runs it waits for, or what else it waits for at this moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn run_tree(&self, task: TaskId) -> Result<Vec<RunNode>, SystemError> {
        let rows = self.runs(task).await?;
        let live = rows.iter().filter(|row| !row.status.is_terminal());
        let live: Vec<_> = live.cloned().collect();
        let why = self.why_each(task, &live).await?;
        Ok(registry::tree(rows, why))
    }

    /// One run in full: what it was given and what came of it.
    ///
    /// # Errors
    /// [`SystemError::NoSuchRun`].
    pub async fn run(&self, task: TaskId, run: RunId) -> Result<RunRecord, SystemError> {
        let row = self.run_row(task, run).await?;
        Ok(registry::record(self.deps.store.as_ref(), row).await?)
    }

    /// The progress log of a task: what happened, in order, from after the event `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn events(
        &self,
        task: TaskId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<crate::model::Event>, SystemError> {
        Ok(self
            .deps
            .store
            .events(EventQuery { task, after, limit })
            .await?)
    }

    /// A task's events from after the event `after`, and what comes.
    #[must_use]
    pub fn watch(&self, task: TaskId, after: Seq) -> Feed {
        Feed::new(task, after, self.deps.store.clone(), self.journal.bus())
    }

    /// The pools of permits and the limits of providers, to be looked at.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// From now on these providers are there for new tasks, in the place of those of the same names. Tasks that are open go on with
    /// those that they began with, and one whose tree is started again finds those that are there then.
    pub fn renew_providers(&self, providers: Providers) {
        self.providers.renew(providers);
    }

    /// Everything live, of all tasks.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        self.journal.bus()
    }

    /// What keeps the journal from writing, as it changes.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.journal.trouble()
    }

    /// The supervision tree as it is now.
    pub async fn tree(&self) -> Tree {
        self.root.tree("system", Duration::from_secs(1)).await
    }

    /// The supervisor at the top.
    #[must_use]
    pub fn root(&self) -> &SupervisorHandle {
        &self.root
    }

    /// Where open tasks are found.
    #[must_use]
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    // ---- executors

    /// Takes on an executor of a project, over a link. It is used from its hello on, and forgotten when the link ends. A newer link of
    /// an executor with the same ledger takes an older one's place, which ends then.
    ///
    /// # Errors
    /// [`SystemError::Silent`] when the system is stopping.
    pub async fn attach_executor(
        &self,
        project: &str,
        link: Link,
    ) -> Result<Attached, SystemError> {
        let (joining, attached) = Joining::new(self.faults.on_link(link), self.deps.clock.now());
        let joining = Arc::new(std::sync::Mutex::new(Some(joining)));
        let arguments = (project.to_owned(), joining);
        match self.executor_links.start_child(arguments).await {
            Ok(_) => Ok(attached),
            Err(_) => Err(SystemError::Silent),
        }
    }

    /// The executors that are connected now, of all projects or of one.
    #[must_use]
    pub fn executors(&self, project: Option<&str>) -> Vec<ConnectedExecutor> {
        self.executors.list(project)
    }

    /// Stops everything in reverse order. Unfinished tasks stay unfinished and go on at the next start.
    pub async fn shutdown(&self) -> Exit {
        self.root.stop().await
    }
}
