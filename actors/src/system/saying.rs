//! What people say.

use std::sync::Arc;

use crate::model::agent::WhenBusy;
use crate::model::event::Seq;
use crate::model::{AgentName, EventBody, Sender, TaskId};
use crate::store::RunRow;
use crate::topology::TopologyMessage;

use super::{System, SystemError};

impl System {
    /// A person says something in the room, or to one agent.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::NoSuchAgent`], [`SystemError::Over`], [`SystemError::Busy`] if the agent takes
    /// nothing while it is at work, or why it could not be written.
    pub async fn say(
        &self,
        task: TaskId,
        content: &str,
        to: Option<AgentName>,
    ) -> Result<Seq, SystemError> {
        self.live(task).await?;
        if let Some(to) = &to {
            self.takes(task, to).await?;
        }
        let body = EventBody::TaskMessage {
            from: Sender::Human,
            to,
            content: content.to_owned(),
            outcome: false,
        };
        let mut events = self.append_task(task, vec![body]).await?;
        let event = events.pop().ok_or(SystemError::Silent)?;
        let number = event.id;
        if let Some(seat) = self.seats.get(task) {
            let _ = seat
                .topology
                .send(TopologyMessage::Said(Arc::new(event)))
                .await;
        }
        Ok(number)
    }

    /// Whether an agent takes a message now.
    async fn takes(&self, task: TaskId, agent: &AgentName) -> Result<(), SystemError> {
        let Some(mut definition) = self.definition(task).await? else {
            return Err(SystemError::NoSuchTask(task));
        };
        let spec = definition.agents.remove(agent);
        let spec = spec.ok_or_else(|| SystemError::NoSuchAgent(agent.clone()))?;
        let is_at_work = |row: &RunRow| row.agent == *agent && !row.status.is_terminal();
        let refuses = spec.when_busy == WhenBusy::Reject;
        match refuses && self.runs(task).await?.iter().any(is_at_work) {
            true => Err(SystemError::Busy(agent.clone())),
            false => Ok(()),
        }
    }
}
