//! The topology's actor: takes what was said in the room and tells it to the runs whose agents see it.

use std::sync::Arc;

use supervision::{Actor, Context, Failure, Handle, Inbox, Start};

use crate::model::{AgentName, Event, EventBody, RunId, TaskDefinition};

use super::routing::sees;

/// What the topology's actor is told.
#[derive(Debug)]
pub enum TopologyMessage {
    /// This was said in the room, durably.
    Said(Arc<Event>),
}

/// Finds the runs that are up now.
pub type Listeners<M> = Arc<dyn Fn() -> Vec<(RunId, AgentName, Handle<M>)> + Send + Sync>;

struct TopologyActor<M> {
    task: Arc<TaskDefinition>,
    listeners: Listeners<M>,
}

/// How a topology's actor is started; runs hear through messages made from events.
pub fn start<M>(
    reads: Inbox<TopologyMessage>,
    task: Arc<TaskDefinition>,
    listeners: Listeners<M>,
) -> Start
where
    M: From<Arc<Event>> + Send + 'static,
{
    Start::actor(reads, move |_| {
        let (task, listeners) = (task.clone(), listeners.clone());
        std::future::ready(Ok(TopologyActor { task, listeners }))
    })
}

impl<M: From<Arc<Event>> + Send + 'static> Actor for TopologyActor<M> {
    type Message = TopologyMessage;

    async fn handle(
        &mut self,
        message: TopologyMessage,
        cx: &mut Context<TopologyMessage>,
    ) -> Result<(), Failure> {
        let TopologyMessage::Said(event) = message;
        let EventBody::TaskMessage { from, to, .. } = &event.body else {
            return Ok(());
        };
        for (run, agent, handle) in (self.listeners)() {
            let hears = event.run_id != Some(run)
                && sees(self.task.team.as_ref(), &agent, from, to.as_ref());
            if hears && let Err(full) = handle.try_send(event.clone().into()) {
                // A run with a full inbox is waited for beside the actor, never in it.
                let _ = cx.attach_maybe(async move {
                    let _ = handle.send(full.into_message()).await;
                    None
                });
            }
        }
        Ok(())
    }
}
