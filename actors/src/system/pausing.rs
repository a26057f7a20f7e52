//! Pausing and resuming.

use std::time::Duration;

use supervision::Reply;

use crate::model::{AgentName, Sender, TaskId, Whom};
use crate::task::RoomMessage;

use super::{System, SystemError};

/// How often its room is asked, when it is restarted over it.
const TRIES: u32 = 5;

/// How long is waited before that.
const PAUSE: Duration = Duration::from_millis(500);

impl System {
    /// Pauses a run, a subtree, an agent's runs or all of a task. When it returns, none of them begins a model or tool call until
    /// it is resumed, and that is durable; what is in flight ends and is recorded. What is paused already stays so.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::NoSuchRun`], [`SystemError::NoSuchAgent`], [`SystemError::Over`], or nobody answers.
    pub async fn pause(&self, task: TaskId, whom: Whom) -> Result<(), SystemError> {
        self.tell_whom(task, whom, RoomMessage::Pause).await
    }

    /// Lets what was paused go on, as if it had not been. What was not paused is left as it is; resuming a task resumes all of it.
    ///
    /// # Errors
    /// As [`System::pause`].
    pub async fn resume(&self, task: TaskId, whom: Whom) -> Result<(), SystemError> {
        self.tell_whom(task, whom, RoomMessage::Resume).await
    }

    async fn tell_whom(
        &self,
        task: TaskId,
        whom: Whom,
        wish: fn(Whom, Sender, Reply<()>) -> RoomMessage,
    ) -> Result<(), SystemError> {
        self.live(task).await?;
        self.is_there(task, &whom).await?;
        for _ in 0..TRIES {
            let (reply, done) = Reply::channel();
            let message = wish(whom.clone(), Sender::Human, reply);
            self.open_and_tell(task, Some(message)).await?;
            if done.await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            self.live(task).await?;
        }
        Err(SystemError::Silent)
    }

    async fn is_there(&self, task: TaskId, whom: &Whom) -> Result<(), SystemError> {
        match whom {
            Whom::Run(run) | Whom::Subtree(run) => self.run_row(task, *run).await.map(drop),
            Whom::Agent(agent) => self.knows(task, agent).await,
            Whom::Task => Ok(()),
        }
    }

    /// Whether the task has this agent.
    pub(super) async fn knows(&self, task: TaskId, agent: &AgentName) -> Result<(), SystemError> {
        let definition = self.definition(task).await?;
        let agents = definition.map(|it| it.agents).unwrap_or_default();
        match agents.contains_key(agent) {
            true => Ok(()),
            false => Err(SystemError::NoSuchAgent(agent.clone())),
        }
    }

    /// A task as it was created, with everything it depends on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn definition(
        &self,
        task: TaskId,
    ) -> Result<Option<crate::model::TaskDefinition>, SystemError> {
        Ok(super::opener::definition(&self.journal, task).await?)
    }
}
