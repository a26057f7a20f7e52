//! What can be done with tasks.

use std::time::Duration;

use supervision::{Handle, Reply};

use crate::journal::JournalError;
use crate::model::{
    Attention, Content, ContextMode, Event, EventBody, Question, RunId, RunSpec, Sender,
    TaskDefinition, TaskId, TaskStatus,
};
use crate::pool::PRIORITIES;
use crate::store::{Append, Cause, Draft, RunRow, StoreError, TaskRow};
use crate::task::RoomMessage;
use crate::task::room::open_questions;

use super::opener::{OpenerMessage, end_all};
use super::{PATIENCE, System, SystemError};

/// How often an answer is given, or a task cancelled, when its tree is restarted over it.
pub(super) const TRIES: u32 = 5;

/// How long is waited before something is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// How often a run is continued when its task ended or was opened again at the same moment.
const FOLLOW_UPS: u32 = 3;

impl System {
    /// Creates a task and opens it. When it returns, the task is durable.
    ///
    /// # Errors
    /// [`SystemError::Definition`] before anything is written, or why it could not be written.
    pub async fn create_task(&self, definition: TaskDefinition) -> Result<TaskId, SystemError> {
        let task = TaskId(self.deps.ids.uuid(self.deps.clock.now()));
        self.create_new(task, definition).await
    }

    /// Creates a task that has this id. One that is there already under it is the one that was meant: it is left as it is.
    ///
    /// # Errors
    /// As [`System::create_task`].
    pub async fn create_task_as(
        &self,
        task: TaskId,
        definition: TaskDefinition,
    ) -> Result<TaskId, SystemError> {
        if self.deps.store.task(task).await?.is_some() {
            return Ok(task);
        }
        self.create_new(task, definition).await
    }

    async fn create_new(
        &self,
        task: TaskId,
        definition: TaskDefinition,
    ) -> Result<TaskId, SystemError> {
        self.check(&definition).map_err(SystemError::Definition)?;
        let at = self.deps.clock.now();
        let run = RunId(self.deps.ids.uuid(at));
        let spec = RunSpec {
            agent: definition.root_agent.clone(),
            title: definition.name.clone(),
            input: definition.description.clone(),
            depth: 0,
            context: ContextMode::None,
            snippets: Vec::new(),
            worker: false,
            parent: None,
            heard: None,
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
            cause: Some(Cause::Draft(0)),
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
        if !PRIORITIES.contains(&definition.priority) {
            let (low, high) = (PRIORITIES.start(), PRIORITIES.end());
            return Err(format!(
                "its priority is {}; priorities are from {low} to {high}",
                definition.priority
            ));
        }
        if definition.agents.is_empty() {
            return Err("it has no agent".to_owned());
        }
        let providers = self.providers.all();
        for name in definition
            .available_agents
            .iter()
            .chain([&definition.root_agent])
        {
            let agent = definition
                .agents
                .get(name)
                .ok_or_else(|| format!("agent `{name}` is not defined"))?;
            if !providers.contains_key(&agent.provider) {
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
        self.wiring(definition).check()
    }

    /// Opens a task that is not open: after a restart with `auto_recover` off, or when it waits for attention and its tree is
    /// down. A task that is open stays so.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn open(&self, task: TaskId) -> Result<(), SystemError> {
        self.live(task).await?;
        if self.is_given_up(task).await? {
            return self.restart(task, "it was opened again").await;
        }
        self.open_and_tell(task, None).await
    }

    /// A task that has not ended.
    pub(super) async fn live(&self, task: TaskId) -> Result<TaskRow, SystemError> {
        let row = self.task(task).await?;
        match row.status.is_terminal() {
            true => Err(SystemError::Over(task)),
            false => Ok(row),
        }
    }

    pub(super) async fn open_and_tell(
        &self,
        task: TaskId,
        first: Option<RoomMessage>,
    ) -> Result<(), SystemError> {
        let first = first.map(Box::new);
        let answer = self
            .opener
            .call(|reply| OpenerMessage::Open(task, first, reply), PATIENCE)
            .await;
        answer
            .map_err(|_| SystemError::Silent)?
            .map_err(SystemError::Definition)
    }

    /// Whether one of its supervisors gave up. If so, nothing of its tree is left when this returns.
    pub(super) async fn is_given_up(&self, task: TaskId) -> Result<bool, SystemError> {
        let row = self.live(task).await?;
        if row.status != TaskStatus::NeedsAttention {
            return Ok(false);
        }
        let questions = open_questions(self.deps.store.as_ref(), task).await?;
        if questions.gave_up().is_none() {
            return Ok(false);
        }
        if let Some(seat) = self.seats.get(task) {
            let ended = seat.supervisor.wait_for(PATIENCE).await;
            ended.ok_or(SystemError::Silent)?;
        }
        Ok(true)
    }

    /// Starts the tree of a task that gave up. The answer is written first: should it give up again at once, that is said after it.
    async fn restart(&self, task: TaskId, answer: &str) -> Result<(), SystemError> {
        let answer = answer.to_owned();
        let questions = open_questions(self.deps.store.as_ref(), task).await?;
        let asked = questions.gave_up().map(|open| open.asked);
        let gave_up = |open: &&Question| matches!(open.attention, Attention::GaveUp { .. });
        let rest = questions.all().iter().filter(|open| !gave_up(open));
        let again = rest.cloned().map(|Question { asked, attention }| {
            let body = EventBody::TaskNeedsAttention { attention };
            (body, Some(Cause::Event(asked)))
        });
        let resumed = (EventBody::TaskResumed { answer }, asked.map(Cause::Event));
        let bodies = std::iter::once(resumed).chain(again);
        self.append_caused(task, bodies.collect()).await?;
        self.open_and_tell(task, None).await
    }

    /// Cancels a task. When it returns, nothing of it runs any more, and that is durable.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn cancel(&self, task: TaskId, reason: &str) -> Result<(), SystemError> {
        for _ in 0..TRIES {
            match self.cancel_once(task, reason).await {
                Err(SystemError::Silent) => {}
                cancelled => return cancelled,
            }
            // Its room may have crashed over it, before or after it was done.
            tokio::time::sleep(PAUSE).await;
            if self.task(task).await?.status == TaskStatus::Cancelled {
                return Ok(());
            }
        }
        Err(SystemError::Silent)
    }

    async fn cancel_once(&self, task: TaskId, reason: &str) -> Result<(), SystemError> {
        match self.is_given_up(task).await {
            Err(SystemError::Store(StoreError::Corrupt { .. })) => {
                return self.end_unreadable(task, reason).await;
            }
            given_up => given_up?,
        };
        let (reply, cancelled) = Reply::channel();
        let cancel = RoomMessage::Cancel(reason.to_owned(), reply);
        self.open_and_tell(task, Some(cancel)).await?;
        cancelled.await.map_err(|_| SystemError::Silent)
    }

    /// Nothing of a task runs whose journal is damaged so that it cannot be opened; its end is all that is written.
    async fn end_unreadable(&self, task: TaskId, reason: &str) -> Result<(), SystemError> {
        if self.seats.get(task).is_some() {
            return Err(SystemError::Silent);
        }
        let usage = |row: &RunRow| row.usage;
        let end = |row: &RunRow| EventBody::RunCancelled {
            reason: reason.to_owned(),
            usage: usage(row),
        };
        let reason = reason.to_owned();
        let whole = EventBody::TaskCancelled {
            reason: reason.clone(),
        };
        Ok(end_all(&self.journal, task, |row| vec![(end(row), None)], whole).await?)
    }

    /// Cancels one run, and with it what works for it. Whoever delegated it is told; when it was the root run, the task ends.
    ///
    /// # Errors
    /// [`SystemError::NoSuchRun`], [`SystemError::Over`] when its task has ended, or nobody answers. A run that has ended is left
    /// as it is.
    pub async fn cancel_run(
        &self,
        task: TaskId,
        run: RunId,
        reason: &str,
    ) -> Result<(), SystemError> {
        self.run_row(task, run).await?;
        for _ in 0..TRIES {
            match self.cancel_run_once(task, run, reason).await {
                Err(SystemError::Silent) => {}
                cancelled => return cancelled,
            }
            // Its room may have crashed over it, before or after it was done.
            tokio::time::sleep(PAUSE).await;
        }
        Err(SystemError::Silent)
    }

    async fn cancel_run_once(
        &self,
        task: TaskId,
        run: RunId,
        reason: &str,
    ) -> Result<(), SystemError> {
        self.open(task).await?;
        let (room, reason) = (self.room(task)?, reason.to_owned());
        let cancelled = room
            .ask(|reply| RoomMessage::CancelRun(run, reason, reply))
            .await;
        match cancelled {
            Ok(()) => Ok(()),
            // When it was the root run its end is that of the task, which waits for all the others.
            Err(_) if self.task(task).await?.status.is_terminal() => Ok(()),
            Err(_) => Err(SystemError::Silent),
        }
    }

    /// A room that does not answer may have ended with its task.
    async fn why_silent<R>(&self, task: TaskId) -> Result<R, SystemError> {
        self.live(task).await?;
        Err(SystemError::Silent)
    }

    /// A human's answer to what the task waits for; opens the task if its tree is down. Of several questions, it is the answer to
    /// the one that was asked first, as [`System::wait`] tells it; the others are asked again. Whether something waited.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn answer(&self, task: TaskId, answer: &str) -> Result<bool, SystemError> {
        let open = || open_questions(self.deps.store.as_ref(), task);
        let asked = open().await?.first().cloned();
        for _ in 0..TRIES {
            match self.give_answer(task, answer).await {
                Err(SystemError::Silent) => {}
                answered => return answered,
            }
            // Whoever took it may have crashed before it could say so.
            tokio::time::sleep(PAUSE).await;
            let still_open = open().await?;
            if asked
                .as_ref()
                .is_some_and(|asked| !still_open.is_open(asked))
            {
                return Ok(true);
            }
        }
        Err(SystemError::Silent)
    }

    async fn give_answer(&self, task: TaskId, answer: &str) -> Result<bool, SystemError> {
        if self.is_given_up(task).await? {
            self.restart(task, answer).await?;
            return Ok(true);
        }
        self.open_and_tell(task, None).await?;
        let (room, text) = (self.room(task)?, answer.to_owned());
        let taken = room
            .call(|reply| RoomMessage::Answer(text, reply), PATIENCE)
            .await;
        match taken {
            Ok(taken) => Ok(taken),
            Err(_) => self.why_silent(task).await,
        }
    }

    /// A run that has ended goes on in the same conversation, with something new; its task is opened again if it had ended too.
    ///
    /// # Errors
    /// [`SystemError::NoSuchRun`], or [`JournalError::Rejected`] if the run has not ended: say it in the room then.
    pub async fn follow_up(
        &self,
        task: TaskId,
        run: RunId,
        prompt: &str,
    ) -> Result<(), SystemError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.continue_run(task, run, prompt).await {
                // Its task may have ended at the same moment.
                Err(SystemError::Journal(JournalError::Rejected(_))) if tries < FOLLOW_UPS => {}
                continued => return continued,
            }
        }
    }

    async fn continue_run(
        &self,
        task: TaskId,
        run: RunId,
        prompt: &str,
    ) -> Result<(), SystemError> {
        let over = self.task(task).await?.status.is_terminal();
        let row = self.run_row(task, run).await?;
        let at = self.deps.clock.now();
        let content = Content::Inline(prompt.to_owned());
        let draft = |run, agent, epoch, body| Draft {
            run,
            agent,
            at,
            epoch,
            cause: None,
            body,
        };
        let reopened = over.then(|| draft(None, None, 0, EventBody::TaskReopened));
        let body = EventBody::RunContinued {
            from: Sender::Human,
            content,
        };
        let continued = draft(Some(run), Some(row.agent.clone()), row.epoch, body);
        let drafts = reopened.into_iter().chain([continued]).collect();
        let append = Append {
            task,
            fence: Some((run, row.epoch)),
            drafts,
            blobs: Vec::new(),
        };
        let events = self.journal.append(append).await?;
        let since = events.last().map_or(0, |event| event.id);
        let was_open = self.seats.get(task);
        self.open(task).await?;
        if let Some(seat) = was_open {
            let _ = seat.room.send(RoomMessage::Continued(run, since)).await;
        }
        Ok(())
    }

    pub(super) async fn run_row(&self, task: TaskId, run: RunId) -> Result<RunRow, SystemError> {
        let rows = self.runs(task).await?;
        rows.into_iter()
            .find(|row| row.id == run)
            .ok_or(SystemError::NoSuchRun(run))
    }

    pub(super) async fn append_task(
        &self,
        task: TaskId,
        bodies: Vec<EventBody>,
    ) -> Result<Vec<Event>, SystemError> {
        let bodies = bodies.into_iter().map(|body| (body, None));
        self.append_caused(task, bodies.collect()).await
    }

    pub(super) async fn append_caused(
        &self,
        task: TaskId,
        bodies: Vec<(EventBody, Option<Cause>)>,
    ) -> Result<Vec<Event>, SystemError> {
        let draft = |(body, cause)| Draft {
            run: None,
            agent: None,
            at: self.deps.clock.now(),
            epoch: 0,
            cause,
            body,
        };
        let append = Append {
            task,
            fence: None,
            drafts: bodies.into_iter().map(draft).collect(),
            blobs: Vec::new(),
        };
        Ok(self.journal.append(append).await?)
    }

    fn room(&self, task: TaskId) -> Result<Handle<RoomMessage>, SystemError> {
        self.seats
            .get(task)
            .map(|seat| seat.room)
            .ok_or(SystemError::Silent)
    }
}
