//! The system: the one handle everything outside uses, and what stands at the top of the tree.
//!
//! ```text
//! system          rest_for_one   journal · services · tasks · opener
//! ├ services      one_for_one    chronicle · executors
//! ├ tasks         dynamic        task/<id> …
//! └ opener                       opens every unfinished task; last, so that it does so again whenever something before it was lost
//! ```

mod chronicle;
mod deps;
mod opener;
mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervision::{
    AtRestart, ChildSpec, DynamicHandle, DynamicSpec, Exit, Flags, Handle, Report, Restart, Root,
    Start, StartError, Strategy, SupervisorHandle, SupervisorSpec, Tree, inbox, template,
};
use tokio::sync::watch;

use crate::executor::{Executors, Link};
use crate::feed::{Bus, Feed};
use crate::journal::{Journal, JournalError, Trouble};
use crate::model::event::Seq;
use crate::model::{
    AgentName, ContextMode, EventBody, RunId, RunSpec, Sender, TaskDefinition, TaskId,
};
use crate::store::{Append, Draft, RunRow, StoreError, TaskRow};
use crate::task::tree::{self, TaskWorld};
use crate::task::{RoomMessage, TaskArguments};
use crate::tool::Toolbox;
use crate::topology::TopologyMessage;

use opener::OpenerMessage;

pub use deps::{Deps, Settings};
pub use opener::Seats;
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
    /// It could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such task.
    #[error("there is no {0}")]
    NoSuchTask(TaskId),
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
    toolbox: Arc<Toolbox>,
    executor_links: DynamicHandle<(String, Arc<std::sync::Mutex<Option<Link>>>)>,
    opener: Handle<OpenerMessage>,
    seats: Seats,
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

/// How many reports of supervisors wait to be written down.
const REPORTS: usize = 4096;

impl System {
    /// Starts a system over what it is given. When it returns, every unfinished task is known and being opened.
    ///
    /// # Errors
    /// [`SystemError::Start`], with what could not be started; then nothing is left running.
    pub async fn start(deps: Deps) -> Result<Self, SystemError> {
        let deps = Arc::new(deps);
        let bus = Bus::default();
        let (journal, journal_start) =
            Journal::new(deps.store.clone(), deps.clock.clone(), bus.clone());
        let executors = Executors::default();
        let remote = deps
            .executor_tools
            .iter()
            .map(|spec| executors.tool(spec.clone()));
        let toolbox = Arc::new(Toolbox::new(remote.chain(deps.tools.iter().cloned())));
        let world = TaskWorld {
            journal: journal.clone(),
            bus,
            ids: deps.ids.clone(),
            providers: Arc::new(deps.providers.clone()),
            tools: toolbox.clone(),
            pools: deps.pools(),
        };
        let seats = Seats::default();
        let (chronicle, chronicle_reads) = inbox(REPORTS, AtRestart::Carry);
        let (tasks, tasks_start) = tasks(&world)?;
        let (executor_links, links_start) = links(&executors)?;
        let (opener, opener_reads) = inbox(256, AtRestart::Carry);
        let chronicle_start = chronicle::start(chronicle_reads, journal.clone());
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
            links_start,
            tasks_start,
            opener_start,
        );
        let listener = Arc::new(move |report: &Report| chronicle::hear(&chronicle, report));
        let root = Root::new("system").listener(listener).start(spec).await?;
        Ok(Self {
            root,
            journal,
            deps,
            toolbox,
            executor_links,
            opener,
            seats,
        })
    }

    // ---- tasks

    /// Creates a task and opens it. When it returns, the task is durable.
    ///
    /// # Errors
    /// [`SystemError::Definition`] before anything is written, or why it could not be written.
    pub async fn create_task(&self, definition: TaskDefinition) -> Result<TaskId, SystemError> {
        self.check(&definition).map_err(SystemError::Definition)?;
        let at = self.deps.clock.now();
        let (task, run) = (
            TaskId(self.deps.ids.uuid(at)),
            RunId(self.deps.ids.uuid(at)),
        );
        let spec = RunSpec {
            agent: definition.root_agent.clone(),
            title: definition.name.clone(),
            input: definition.description.clone(),
            depth: 0,
            context: ContextMode::None,
            snippets: Vec::new(),
            parent: None,
        };
        let agent = Some(spec.agent.clone());
        let definition = Box::new(definition);
        let created = Draft {
            run: None,
            agent: None,
            at,
            epoch: 0,
            cause: None,
            body: EventBody::TaskCreated { definition },
        };
        let queued = Draft {
            run: Some(run),
            agent,
            at,
            epoch: 0,
            cause: Some(1),
            body: EventBody::RunQueued {
                spec: Box::new(spec),
            },
        };
        self.journal
            .append(Append {
                task,
                fence: None,
                drafts: vec![created, queued],
                blobs: Vec::new(),
            })
            .await?;
        self.open(task).await?;
        Ok(task)
    }

    /// Checks everything a task depends on, so that nothing is found missing half-way.
    fn check(&self, definition: &TaskDefinition) -> Result<(), String> {
        if definition.agents.is_empty() {
            return Err("it has no agent".to_owned());
        }
        for name in definition
            .available_agents
            .iter()
            .chain([&definition.root_agent])
        {
            let agent = definition
                .agents
                .get(name)
                .ok_or_else(|| format!("agent `{name}` is not defined"))?;
            if !self.deps.providers.contains_key(&agent.provider) {
                return Err(format!(
                    "agent `{name}` thinks with provider `{}`, which is not there",
                    agent.provider
                ));
            }
            if let Some(tool) = agent
                .tools
                .iter()
                .find(|tool| !self.toolbox.specs().contains_key(*tool))
            {
                return Err(format!(
                    "agent `{name}` has tool `{tool}`, which is not there"
                ));
            }
        }
        Ok(())
    }

    /// Opens a task that is not open: after a restart with `auto_recover` off, or when it waits for attention and its tree is
    /// down. A task that is open stays so.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn open(&self, task: TaskId) -> Result<(), SystemError> {
        let row = self.task(task).await?;
        if row.status.is_terminal() {
            return Err(SystemError::Over(task));
        }
        let answer = self
            .opener
            .call(|reply| OpenerMessage::Open(task, reply), PATIENCE)
            .await;
        answer
            .map_err(|_| SystemError::Silent)?
            .map_err(SystemError::Definition)
    }

    /// Cancels a task. When it returns, nothing of it runs any more, and that is durable.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn cancel(&self, task: TaskId, reason: &str) -> Result<(), SystemError> {
        self.open(task).await?;
        let room = self.room(task)?;
        let reason = reason.to_owned();
        room.ask(|reply| RoomMessage::Cancel(reason, reply))
            .await
            .map_err(|_| SystemError::Silent)
    }

    /// A human's answer to whatever the task waits for; opens the task if its tree is down. Whether something waited.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn answer(&self, task: TaskId, answer: &str) -> Result<bool, SystemError> {
        let was_down = self.seats.get(task).is_none();
        self.open(task).await?;
        if was_down {
            let body = EventBody::TaskResumed {
                answer: answer.to_owned(),
            };
            self.append_task(task, body).await?;
        }
        let text = answer.to_owned();
        let room = self.room(task)?;
        let taken = room
            .call(|reply| RoomMessage::Answer(text, reply), PATIENCE)
            .await
            .map_err(|_| SystemError::Silent)?;
        Ok(taken || was_down)
    }

    /// A person says something in the room, or to one agent.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or why it could not be written.
    pub async fn say(
        &self,
        task: TaskId,
        content: &str,
        to: Option<AgentName>,
    ) -> Result<Seq, SystemError> {
        if self.task(task).await?.status.is_terminal() {
            return Err(SystemError::Over(task));
        }
        let body = EventBody::TaskMessage {
            from: Sender::Human,
            to,
            content: content.to_owned(),
        };
        let event = self.append_task(task, body).await?;
        let number = event.id;
        if let Some(seat) = self.seats.get(task) {
            let _ = seat
                .topology
                .send(TopologyMessage::Said(Arc::new(event)))
                .await;
        }
        Ok(number)
    }

    async fn append_task(
        &self,
        task: TaskId,
        body: EventBody,
    ) -> Result<crate::model::Event, SystemError> {
        let draft = Draft {
            run: None,
            agent: None,
            at: self.deps.clock.now(),
            epoch: 0,
            cause: None,
            body,
        };
        let append = Append {
            task,
            fence: None,
            drafts: vec![draft],
            blobs: Vec::new(),
        };
        self.journal
            .append(append)
            .await?
            .pop()
            .ok_or(SystemError::Silent)
    }

    fn room(&self, task: TaskId) -> Result<Handle<RoomMessage>, SystemError> {
        self.seats
            .get(task)
            .map(|seat| seat.room)
            .ok_or(SystemError::Silent)
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

    /// A task's events from after the event `after`, and what comes.
    #[must_use]
    pub fn watch(&self, task: TaskId, after: Seq) -> Feed {
        Feed::new(task, after, self.deps.store.clone(), self.journal.bus())
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

    /// Takes on an executor of a project, over a link. It is used from its hello on, and forgotten when the link ends.
    ///
    /// # Errors
    /// [`SystemError::Silent`] when the system is stopping.
    pub async fn attach_executor(&self, project: &str, link: Link) -> Result<(), SystemError> {
        let link = Arc::new(std::sync::Mutex::new(Some(link)));
        let started = self
            .executor_links
            .start_child((project.to_owned(), link))
            .await;
        started.map(drop).map_err(|_| SystemError::Silent)
    }

    /// Stops everything in reverse order. Unfinished tasks stay unfinished and go on at the next start.
    pub async fn shutdown(&self) -> Exit {
        self.root.stop().await
    }
}

fn tasks(world: &TaskWorld) -> Result<(DynamicHandle<TaskArguments>, Start), SystemError> {
    let mut plan = template("task");
    (plan.kind, plan.shutdown) = (
        supervision::Kind::Supervisor,
        supervision::Shutdown::Infinity,
    );
    // A task whose tree gave up is not started again by itself: a human is its last supervisor.
    plan.restart = Restart::Temporary;
    let world = world.clone();
    let spec = DynamicSpec::new(Flags::default())
        .template(plan, move |arguments| tree::start(&world, arguments));
    spec.seat()
        .map_err(|error| SystemError::Definition(error.to_string()))
}

type LinkArguments = (String, Arc<std::sync::Mutex<Option<Link>>>);

fn links(executors: &Executors) -> Result<(DynamicHandle<LinkArguments>, Start), SystemError> {
    let mut plan = template("executor");
    plan.restart = Restart::Temporary;
    let executors = executors.clone();
    let spec =
        DynamicSpec::new(Flags::default()).template(plan, move |(project, link): LinkArguments| {
            let link = link
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            match link {
                Some(link) => crate::executor::attach(&project, link, executors.clone()),
                None => {
                    Start::worker(|| async { Err("the link of this executor has ended".into()) })
                }
            }
        });
    spec.seat()
        .map_err(|error| SystemError::Definition(error.to_string()))
}

fn root_spec(
    journal: Start,
    chronicle: Start,
    links: Start,
    tasks: Start,
    opener: Start,
) -> SupervisorSpec {
    let services =
        SupervisorSpec::new(Flags::new(Strategy::OneForOne).intensity(10, Duration::from_secs(60)))
            .child(ChildSpec::new("chronicle", chronicle))
            .child(ChildSpec::supervisor("executors", links));
    SupervisorSpec::new(Flags::new(Strategy::RestForOne).intensity(10, Duration::from_secs(60)))
        .child(ChildSpec::new("journal", journal))
        .child(ChildSpec::supervisor(
            "services",
            Start::supervisor(move || Ok(Some(services.clone()))),
        ))
        .child(ChildSpec::supervisor("tasks", tasks))
        .child(ChildSpec::new("opener", opener))
}

/// Providers by name, for [`Deps`].
pub type Providers = BTreeMap<
    String,
    (
        Arc<dyn crate::provider::Provider>,
        crate::run::next::RetryPolicy,
    ),
>;
