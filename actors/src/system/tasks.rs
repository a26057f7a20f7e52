//! What can be done with tasks.

use std::sync::Arc;

use supervision::Handle;

use crate::model::event::Seq;
use crate::model::{
    AgentName, Content, ContextMode, EventBody, RunId, RunSpec, Sender, TaskDefinition, TaskId,
};
use crate::pool::PRIORITIES;
use crate::store::{Append, Draft, RunRow};
use crate::task::RoomMessage;
use crate::topology::TopologyMessage;

use super::opener::OpenerMessage;
use super::{PATIENCE, System, SystemError};

impl System {
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
            worker: false,
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
            outcome: false,
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
}
