//! The room's actor: starts runs, is told of their ends, tells those who wait, and ends the task.
//!
//! It keeps nothing that the journal does not say: a new incarnation reads the task's runs and goes on.

mod answer;
mod closing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use supervision::{Actor, AdminError, Context, DynamicHandle, Exit, Failure, Inbox, Reply, Start};

use crate::clock::Ids;
use crate::journal::{Journal, JournalError};
use crate::model::{AgentName, Event, EventBody, RunId, RunStatus, Step, TaskStatus};
use crate::run::read::end_of;
use crate::run::{RunArguments, RunMessage, RunReport, actor::RunContext};
use crate::store::{RunRow, StoreError};

use super::budget::{Counted, may_delegate};
use super::registry::Registry;
use closing::Closing;

/// What a room's actor is told.
#[derive(Debug)]
pub enum RoomMessage {
    /// A run reports.
    Report(RunReport),
    /// The task is to be cancelled; answered when nothing of it runs any more and that is durable.
    Cancel(String, Reply<()>),
    /// A human answers what the task waits for; whether anything did.
    Answer(String, Reply<bool>),
    /// The runs are read and may be started.
    Open,
    /// A run's start has ended.
    Started(RunId, Result<(), AdminError>),
    /// The end of the task is durable, or was before.
    Ended(Result<(), JournalError>),
    /// A run that had ended goes on.
    Continued(RunId, AgentName),
    /// A quarantined run is released.
    Released(Vec<(RunId, AgentName)>),
}

impl From<RunReport> for RoomMessage {
    fn from(report: RunReport) -> Self {
        Self::Report(report)
    }
}

/// What a room's actor is given.
#[derive(Clone)]
pub struct RoomArguments {
    /// What it shares with its runs.
    pub context: Arc<RunContext>,
    /// Where new ids come from.
    pub ids: Arc<dyn Ids>,
    /// Who supervises the runs.
    pub runs: DynamicHandle<RunArguments>,
    /// Which runs are up.
    pub registry: Registry,
}

struct Room {
    arguments: RoomArguments,
    counted: BTreeMap<RunId, Counted>,
    open: BTreeMap<RunId, AgentName>,
    granted: BTreeMap<(RunId, Step), RunId>,
    starting: BTreeSet<RunId>,
    root: Option<RunId>,
    cancelling: Vec<Reply<()>>,
    is_ending: bool,
}

/// How a room's actor is started.
pub fn start(reads: Inbox<RoomMessage>, arguments: RoomArguments) -> Start {
    Start::actor(reads, move |cx| {
        let (arguments, wake) = (arguments.clone(), cx.handle());
        async move {
            let room = Room::read(arguments).await?;
            let _ = wake.try_send(RoomMessage::Open);
            Ok(room)
        }
    })
}

impl Actor for Room {
    type Message = RoomMessage;

    async fn handle(
        &mut self,
        message: RoomMessage,
        cx: &mut Context<RoomMessage>,
    ) -> Result<(), Failure> {
        match message {
            RoomMessage::Open => self.open_all(cx),
            RoomMessage::Report(RunReport::Delegate {
                run,
                step,
                depth,
                reply,
            }) => reply.send(self.delegate(run, step, depth)),
            RoomMessage::Report(RunReport::Queued(run, agent)) => self.queued(run, agent, cx),
            RoomMessage::Report(RunReport::Over(end)) => self.over(&end, cx),
            RoomMessage::Report(RunReport::Quarantined(run)) => self.quarantined(run),
            RoomMessage::Report(RunReport::Progress(event)) => self.progressed(event, cx),
            RoomMessage::Continued(run, agent) => self.continued(run, agent, cx),
            RoomMessage::Started(run, result) => self.started(run, result)?,
            RoomMessage::Cancel(reason, reply) => self.cancel(reason, reply, cx),
            RoomMessage::Answer(text, reply) => self.answer(text, reply, cx),
            RoomMessage::Released(runs) => runs
                .into_iter()
                .for_each(|(run, agent)| self.queued(run, agent, cx)),
            RoomMessage::Ended(result) => {
                result?;
                self.cancelling.drain(..).for_each(|reply| reply.send(()));
                cx.exit(Exit::Normal);
            }
        }
        Ok(())
    }
}

impl Room {
    async fn read(arguments: RoomArguments) -> Result<Self, StoreError> {
        let (store, task) = (
            arguments.context.journal.store().clone(),
            arguments.context.task,
        );
        let rows = store.runs(task).await?;
        let is_open =
            |row: &&RunRow| !row.status.is_terminal() && row.status != RunStatus::Quarantined;
        let open = rows
            .iter()
            .filter(is_open)
            .map(|row| (row.id, row.agent.clone()))
            .collect();
        let counted = |row: &RunRow| {
            (
                row.id,
                Counted {
                    parent: row.parent,
                    is_live: !row.status.is_terminal(),
                },
            )
        };
        Ok(Self {
            counted: rows.iter().map(counted).collect(),
            open,
            granted: BTreeMap::new(),
            starting: BTreeSet::new(),
            root: rows
                .iter()
                .find(|row| row.parent.is_none())
                .map(|row| row.id),
            cancelling: Vec::new(),
            is_ending: false,
            arguments,
        })
    }

    fn journal(&self) -> &Journal {
        &self.arguments.context.journal
    }

    /// Starts what is not up, and tells those who missed an end while the room was down.
    fn open_all(&mut self, cx: &Context<RoomMessage>) {
        for (run, agent) in std::mem::take(&mut self.open) {
            self.queued(run, agent, cx);
        }
        let ended: Vec<_> = self
            .counted
            .iter()
            .filter(|(_, run)| !run.is_live)
            .map(|(run, counted)| (*run, counted.parent))
            .collect();
        let (store, task) = (self.journal().store().clone(), self.arguments.context.task);
        for (run, parent) in ended {
            let is_waited_for =
                parent.is_none_or(|parent| self.arguments.registry.get(parent).is_some());
            let (store, own) = (store.clone(), cx.handle());
            if is_waited_for {
                let _ = cx.attach_maybe(async move {
                    if let Ok(Some(end)) = end_of(store.as_ref(), task, run).await {
                        let _ = own
                            .send(RoomMessage::Report(RunReport::Over(Arc::new(end))))
                            .await;
                    }
                    None
                });
            }
        }
    }

    // ---- delegation

    fn delegate(&mut self, run: RunId, step: Step, depth: u32) -> Result<RunId, String> {
        if self.is_ending {
            return Err("the task is ending".to_owned());
        }
        if let Some(child) = self.granted.get(&(run, step)) {
            return Ok(*child);
        }
        let definition = &self.arguments.context.definition;
        let max_workers = definition.team.as_ref().and_then(|team| team.max_workers);
        may_delegate(&definition.limits, max_workers, &self.counted, run, depth)?;
        let child = RunId(self.arguments.ids.uuid(self.journal().clock().now()));
        self.granted.insert((run, step), child);
        self.counted.insert(
            child,
            Counted {
                parent: Some(run),
                is_live: true,
            },
        );
        Ok(child)
    }

    fn queued(&mut self, run: RunId, agent: AgentName, cx: &Context<RoomMessage>) {
        self.counted.entry(run).or_insert(Counted {
            parent: None,
            is_live: true,
        });
        let is_up = self.arguments.registry.get(run).is_some();
        if self.is_ending || is_up || !self.counted[&run].is_live || !self.starting.insert(run) {
            return;
        }
        let runs = self.arguments.runs.clone();
        let arguments = RunArguments {
            run,
            agent,
            context: self.arguments.context.clone(),
        };
        let _ = cx.attach(async move {
            RoomMessage::Started(run, runs.start_child(arguments).await.map(drop))
        });
    }

    fn started(&mut self, run: RunId, result: Result<(), AdminError>) -> Result<(), Failure> {
        self.starting.remove(&run);
        match result {
            Ok(()) | Err(AdminError::Stopping) => Ok(()),
            // The room has no better idea than to be started again itself, and in the end to give up loudly.
            Err(error) => Err(format!("{run} could not be started: {error}").into()),
        }
    }

    fn quarantined(&mut self, run: RunId) {
        self.arguments.registry.remove(run);
        self.starting.remove(&run);
    }

    fn continued(&mut self, run: RunId, agent: AgentName, cx: &Context<RoomMessage>) {
        self.counted
            .entry(run)
            .and_modify(|counted| counted.is_live = true);
        self.queued(run, agent, cx);
    }

    fn progressed(&self, event: Arc<Event>, cx: &Context<RoomMessage>) {
        let parent = event.run_id.and_then(|run| self.counted.get(&run)?.parent);
        self.tell_run(parent, event, cx);
    }

    fn tell_run(&self, run: Option<RunId>, event: Arc<Event>, cx: &Context<RoomMessage>) {
        if let Some(run) = run.and_then(|run| self.arguments.registry.get(run)) {
            let _ = cx.attach_maybe(async move {
                let _ = run.send(RunMessage::Heard(event)).await;
                None
            });
        }
    }

    // ---- ends

    fn over(&mut self, end: &Arc<Event>, cx: &Context<RoomMessage>) {
        let Some(run) = end.run_id else { return };
        self.arguments.registry.remove(run);
        self.granted
            .retain(|(parent, _), child| *parent != run && *child != run);
        let parent = self.counted.get(&run).and_then(|counted| counted.parent);
        self.counted.insert(
            run,
            Counted {
                parent,
                is_live: false,
            },
        );
        self.tell_run(parent, end.clone(), cx);
        if Some(run) == self.root && !self.is_ending {
            self.end_task(end, cx);
        } else {
            self.cancel_below(run, cx);
        }
    }

    /// A run that ended before those it delegated leaves nobody to work for.
    fn cancel_below(&self, run: RunId, cx: &Context<RoomMessage>) {
        let below = self
            .counted
            .iter()
            .filter(|(_, counted)| counted.parent == Some(run) && counted.is_live);
        for handle in below.filter_map(|(child, _)| self.arguments.registry.get(*child)) {
            let _ = cx.attach_maybe(async move {
                let _ = handle
                    .ask(|reply| {
                        RunMessage::Cancel("the run that delegated it has ended".to_owned(), reply)
                    })
                    .await;
                None
            });
        }
    }

    fn end_task(&mut self, end: &Event, cx: &Context<RoomMessage>) {
        let body = match &end.body {
            EventBody::RunCompleted { result, .. } => EventBody::TaskCompleted {
                result: result.clone(),
            },
            EventBody::RunFailed { error, .. } => EventBody::TaskFailed {
                error: error.clone(),
            },
            EventBody::RunCancelled { reason, .. } => EventBody::TaskCancelled {
                reason: reason.clone(),
            },
            _ => return,
        };
        self.is_ending = true;
        let closing = Closing::new(&self.arguments);
        let _ = cx.attach(async move {
            RoomMessage::Ended(closing.close("the task has ended", body).await)
        });
    }

    fn cancel(&mut self, reason: String, reply: Reply<()>, cx: &Context<RoomMessage>) {
        self.cancelling.push(reply);
        if std::mem::replace(&mut self.is_ending, true) {
            return;
        }
        let closing = Closing::new(&self.arguments);
        let _ = cx.attach(async move {
            let body = EventBody::TaskCancelled {
                reason: reason.clone(),
            };
            RoomMessage::Ended(closing.close(&reason, body).await)
        });
    }
}

/// How long one run is waited for, where all of them are asked one after another.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a task in this state has a tree.
#[must_use]
pub fn is_open(status: TaskStatus) -> bool {
    !status.is_terminal()
}
