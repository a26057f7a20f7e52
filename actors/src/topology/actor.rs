//! The topology's actor: takes what was said in the room and wakes the runs whose agents see it, and changes who hears whom.
//!
//! What a run knows it reads from the journal; to be told is to be told to look. So nothing is lost when nobody is up to be told,
//! and nothing is heard twice.

use std::collections::VecDeque;
use std::sync::Arc;

use supervision::{Actor, Context, Failure, Handle, Inbox, Reply, Start};

use crate::fault::Faults;
use crate::fault::link::Passage;
use crate::journal::{Journal, JournalError};
use crate::model::event::Seq;
use crate::model::{AgentName, Event, EventBody, RunId, Sender, TaskId, Topology};
use crate::store::{Append, Draft, StoreError, each_event};

use super::routing::{Said, Wiring};

/// What the topology's actor is told.
#[derive(Debug)]
pub enum TopologyMessage {
    /// This was said in the room, durably.
    Said(Arc<Event>),
    /// Somebody wants another topology; answered when it holds, with its event, or none if it held already.
    Change(Topology, ChangeReply),
    /// A change is durable, or was refused.
    Changed(Result<Vec<Event>, JournalError>),
}

/// Where the answer to a change goes.
pub type ChangeReply = Reply<Result<Option<Seq>, ChangeError>>;

/// Why a topology was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It cannot be used in this room.
    #[error("{0}")]
    Unusable(String),
    /// It could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Finds the runs that are up now: those of one agent, or all.
pub type Listeners<M> =
    Arc<dyn Fn(Option<&AgentName>) -> Vec<(RunId, AgentName, Handle<M>)> + Send + Sync>;

/// What a topology's actor is given; runs hear through messages made from events.
pub struct TopologyArguments<M> {
    /// The task.
    pub task: TaskId,
    /// Who hears whom to begin with.
    pub wiring: Wiring,
    /// Where changes are written.
    pub journal: Journal,
    /// Faults on the way from one agent to another.
    pub faults: Faults,
    /// Who is told.
    pub listeners: Listeners<M>,
    /// What is done besides, at whatever is said or changed; it must not wait.
    pub heard: Arc<dyn Fn() + Send + Sync>,
}

impl<M> Clone for TopologyArguments<M> {
    fn clone(&self) -> Self {
        Self {
            task: self.task,
            wiring: self.wiring.clone(),
            journal: self.journal.clone(),
            faults: self.faults.clone(),
            listeners: self.listeners.clone(),
            heard: self.heard.clone(),
        }
    }
}

struct TopologyActor<M> {
    arguments: TopologyArguments<M>,
    /// As it is now.
    wiring: Wiring,
    changes: VecDeque<(Topology, ChangeReply)>,
    is_changing: bool,
}

/// Changes that may wait for one before them; who wants one more is not answered.
const CHANGES: usize = 64;

/// How a topology's actor is started.
pub fn start<M>(reads: Inbox<TopologyMessage>, arguments: TopologyArguments<M>) -> Start
where
    M: From<Arc<Event>> + Send + 'static,
{
    Start::actor(reads, move |cx| {
        let (arguments, is_first) = (arguments.clone(), cx.incarnation().0 == 1);
        async move {
            if !is_first {
                // What the incarnation before had sent to the journal is there before it is read.
                write(&arguments.journal, arguments.task, Vec::new()).await?;
            }
            let wiring = read(&arguments).await?;
            wiring.check()?;
            Ok(TopologyActor {
                arguments,
                wiring,
                changes: VecDeque::new(),
                is_changing: false,
            })
        }
    })
}

/// The room as the changes in the journal have made it.
async fn read<M>(arguments: &TopologyArguments<M>) -> Result<Wiring, StoreError> {
    let mut wiring = arguments.wiring.clone();
    let store = arguments.journal.store().as_ref();
    each_event(store, arguments.task, 0, |event| wiring.fold(&event)).await?;
    Ok(wiring)
}

/// Writes events of the task itself.
async fn write(
    journal: &Journal,
    task: TaskId,
    bodies: Vec<EventBody>,
) -> Result<Vec<Event>, JournalError> {
    let at = journal.clock().now();
    let draft = |body| Draft {
        run: None,
        agent: None,
        at,
        epoch: 0,
        cause: None,
        body,
    };
    let append = Append {
        task,
        fence: None,
        drafts: bodies.into_iter().map(draft).collect(),
        blobs: Vec::new(),
    };
    journal.append(append).await
}

impl<M: From<Arc<Event>> + Send + 'static> Actor for TopologyActor<M> {
    type Message = TopologyMessage;

    async fn handle(
        &mut self,
        message: TopologyMessage,
        cx: &mut Context<TopologyMessage>,
    ) -> Result<(), Failure> {
        match message {
            TopologyMessage::Said(event) => self.said(&event, cx),
            TopologyMessage::Change(topology, reply) => {
                if self.changes.len() < CHANGES {
                    self.changes.push_back((topology, reply));
                }
            }
            TopologyMessage::Changed(result) => self.changed(result),
        }
        self.change(cx);
        Ok(())
    }
}

impl<M: From<Arc<Event>> + Send + 'static> TopologyActor<M> {
    fn said(&self, event: &Arc<Event>, cx: &Context<TopologyMessage>) {
        let Some(said) = Said::of(event) else { return };
        let (faults, task) = (&self.arguments.faults, self.arguments.task);
        let to = match &event.body {
            EventBody::TaskMessage { to, .. } => to.as_ref(),
            _ => None,
        };
        // What is said to the room needs no turn of anybody's own: whoever takes a turn looks.
        if to.is_none() && !faults.are_on_links() {
            return (self.arguments.heard)();
        }
        self.wake(
            event,
            to,
            |agent| to.is_none_or(|to| agent == to) && self.wiring.sees(agent, said),
            |agent, handle| match faults.passage(task, said.from, agent) {
                Passage::Straight => tell(handle, event),
                Passage::Lost => {}
                Passage::Twice => {
                    tell(handle, event);
                    tell(handle, event);
                }
                Passage::Late(time) => {
                    let (handle, event) = (handle.clone(), event.clone());
                    let _ = cx.attach_maybe(async move {
                        tokio::time::sleep(time).await;
                        tell(&handle, &event);
                        None
                    });
                }
            },
        );
    }

    /// A run whose inbox is full is not waited for: it looks after each message that is before this one.
    fn wake(
        &self,
        event: &Arc<Event>,
        to: Option<&AgentName>,
        hears: impl Fn(&AgentName) -> bool,
        tell: impl Fn(&AgentName, &Handle<M>),
    ) {
        (self.arguments.heard)();
        for (run, agent, handle) in (self.arguments.listeners)(to) {
            if event.run_id != Some(run) && hears(&agent) {
                tell(&agent, &handle);
            }
        }
    }

    // ---- changes, one after the other

    fn change(&mut self, cx: &Context<TopologyMessage>) {
        while !self.is_changing
            && let Some((topology, _)) = self.changes.front()
        {
            let next = self.wiring.under(Some(topology));
            let answer = match next.check() {
                Err(problem) => Err(ChangeError::Unusable(problem)),
                Ok(()) if next.topology() == self.wiring.topology() => Ok(None),
                Ok(()) => return self.write(next.topology().clone(), cx),
            };
            self.answer(answer);
        }
    }

    fn write(&mut self, topology: Topology, cx: &Context<TopologyMessage>) {
        self.is_changing = true;
        let (journal, task) = (self.arguments.journal.clone(), self.arguments.task);
        let by = Sender::Human;
        let body = EventBody::TopologyChanged { topology, by };
        let _ =
            cx.attach(
                async move { TopologyMessage::Changed(write(&journal, task, vec![body]).await) },
            );
    }

    fn changed(&mut self, result: Result<Vec<Event>, JournalError>) {
        self.is_changing = false;
        let event = match result {
            Ok(events) => events.into_iter().next().map(Arc::new),
            Err(error) => return self.answer(Err(error.into())),
        };
        if let Some(event) = &event {
            self.wiring.fold(event);
            // Who was told by the old rules of what was said after the change looks by itself now.
            self.wake(event, None, |_| true, |_, handle| tell(handle, event));
        }
        self.answer(Ok(event.map(|event| event.id)));
    }

    fn answer(&mut self, answer: Result<Option<Seq>, ChangeError>) {
        if let Some((_, reply)) = self.changes.pop_front() {
            reply.send(answer);
        }
    }
}

fn tell<M: From<Arc<Event>> + Send + 'static>(handle: &Handle<M>, event: &Arc<Event>) {
    let _ = handle.try_send(event.clone().into());
}
