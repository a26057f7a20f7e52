//! Who hears whom in a task.

use std::sync::Arc;

use crate::model::event::Seq;
use crate::model::{AgentName, EventBody, Sender, TaskDefinition, TaskId, Topology};
use crate::store::each_event;
use crate::topology::mail::{Mail, Mailbox};
use crate::topology::{ChangeError, TopologyMessage, Wiring};

use super::tasks::{PAUSE, TRIES};
use super::{PATIENCE, System, SystemError};

impl System {
    /// Who hears whom as a task is defined.
    pub(super) fn wiring(&self, definition: &TaskDefinition) -> Wiring {
        Wiring::of(definition, &Arc::new(self.deps.topologies.clone()))
    }

    /// Changes who hears whom in a task, from the event on whose number is returned; none if it was so already. What was said
    /// before is seen as it was. Opens the task if its tree is down.
    ///
    /// # Errors
    /// [`SystemError::Topology`] if it cannot be used there, [`SystemError::NoSuchTask`], [`SystemError::Over`], or nobody answers.
    pub async fn set_topology(
        &self,
        task: TaskId,
        topology: Topology,
    ) -> Result<Option<Seq>, SystemError> {
        if self.is_given_up(task).await? {
            return self.change_unattended(task, topology).await;
        }
        for _ in 0..TRIES {
            self.open_and_tell(task, None).await?;
            let seat = self.seats.get(task).ok_or(SystemError::Silent)?;
            let change = |reply| TopologyMessage::Change(topology.clone(), reply);
            match seat.topology.call(change, PATIENCE).await {
                Ok(Ok(since)) => return Ok(since),
                Ok(Err(ChangeError::Unusable(why))) => return Err(SystemError::Topology(why)),
                Ok(Err(ChangeError::Journal(error))) => return Err(error.into()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
            // It may have ended meanwhile; if it was changed and nobody could say so, changing it again changes nothing.
            self.live(task).await?;
        }
        Err(SystemError::Silent)
    }

    /// Nothing of the task is up that could be told.
    async fn change_unattended(
        &self,
        task: TaskId,
        topology: Topology,
    ) -> Result<Option<Seq>, SystemError> {
        let now = self.topology_now(task).await?;
        let next = now.under(Some(&topology));
        next.check().map_err(SystemError::Topology)?;
        if next.topology() == now.topology() {
            return Ok(None);
        }
        let by = Sender::Human;
        let body = EventBody::TopologyChanged { topology, by };
        let events = self.append_task(task, vec![body]).await?;
        Ok(events.last().map(|event| event.id))
    }

    /// The topology that holds in a task.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], or when the store cannot be read.
    pub async fn topology(&self, task: TaskId) -> Result<Topology, SystemError> {
        Ok(self.topology_now(task).await?.topology().clone())
    }

    /// All messages of a task, with who sees them.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], or when the store cannot be read.
    pub async fn mail(&self, task: TaskId) -> Result<Mail, SystemError> {
        let mut mail = None;
        self.each_event(task, |event| {
            if let EventBody::TaskCreated { definition } = &event.body {
                mail.get_or_insert_with(|| Mail::new(self.wiring(definition)));
            }
            mail.iter_mut().for_each(|mail| mail.fold(event));
        })
        .await?;
        mail.ok_or(SystemError::NoSuchTask(task))
    }

    /// What one agent of a task was sent and has sent.
    ///
    /// # Errors
    /// [`SystemError::NoSuchTask`], [`SystemError::NoSuchAgent`], or when the store cannot be read.
    pub async fn mailbox(&self, task: TaskId, agent: &AgentName) -> Result<Mailbox, SystemError> {
        let mail = self.mail(task).await?;
        let found = mail.mailbox(agent);
        found.ok_or_else(|| SystemError::NoSuchAgent(agent.clone()))
    }

    async fn topology_now(&self, task: TaskId) -> Result<Wiring, SystemError> {
        let mut wiring = None;
        self.each_event(task, |event| match (&event.body, &mut wiring) {
            (EventBody::TaskCreated { definition }, none) => *none = Some(self.wiring(definition)),
            (_, Some(wiring)) => wiring.fold(event),
            _ => {}
        })
        .await?;
        wiring.ok_or(SystemError::NoSuchTask(task))
    }

    /// Goes through the whole journal of a task.
    async fn each_event(
        &self,
        task: TaskId,
        mut fold: impl FnMut(&crate::model::Event),
    ) -> Result<(), SystemError> {
        let store = self.deps.store.as_ref();
        Ok(each_event(store, task, 0, |event| fold(&event)).await?)
    }
}
