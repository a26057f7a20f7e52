//! Opens every unfinished task: at the start, when one is created, and again whenever what they stood on was lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervision::{Actor, Context, DynamicHandle, Failure, Inbox, Reply, Start};

use crate::journal::{Journal, JournalError};
use crate::model::event::Seq;
use crate::model::{Attention, EventBody, TaskDefinition, TaskId, TaskStatus, Usage};
use crate::store::{Append, Draft, EventQuery, StoreError, TaskRow};
use crate::task::{TaskArguments, TaskSeat};

use super::Settings;

/// What the opener is told.
#[derive(Debug)]
pub(super) enum OpenerMessage {
    /// Open this task, if it is not open.
    Open(TaskId, Reply<Result<(), String>>),
    /// A task's tree is up, or why it is not.
    Opened(
        TaskId,
        Option<Reply<Result<(), String>>>,
        Result<(), String>,
    ),
    /// Open what is unfinished.
    OpenAll,
    /// What is unfinished cannot be read.
    Unreadable(StoreError),
    /// This task is to be opened.
    Next(TaskId),
}

/// Where open tasks are found.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<BTreeMap<TaskId, TaskSeat>>>);

impl Seats {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<TaskId, TaskSeat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seat of a task whose tree is up or coming up.
    #[must_use]
    pub fn get(&self, task: TaskId) -> Option<TaskSeat> {
        let seat = self.seats().get(&task).cloned();
        seat.filter(|seat| !seat.room.is_stopped())
    }

    fn leave(&self, task: TaskId) {
        self.seats().remove(&task);
    }

    fn take_seat(&self, task: TaskId) -> TaskSeat {
        let mut seats = self.seats();
        seats.retain(|_, seat| !seat.room.is_stopped());
        seats.entry(task).or_default().clone()
    }
}

struct Opener {
    journal: Journal,
    tasks: DynamicHandle<TaskArguments>,
    seats: Seats,
    opening: BTreeMap<TaskId, Vec<Reply<Result<(), String>>>>,
}

/// How many events are looked through for why a task needs attention, from its end.
const LOOK_BACK: u64 = 512;

/// How the opener is started.
pub(super) fn start(
    reads: Inbox<OpenerMessage>,
    journal: Journal,
    tasks: DynamicHandle<TaskArguments>,
    seats: Seats,
    settings: Settings,
) -> Start {
    Start::actor(reads, move |cx| {
        let (journal, tasks, seats, own) =
            (journal.clone(), tasks.clone(), seats.clone(), cx.handle());
        let is_first = cx.incarnation().0 == 1;
        let recovers = settings.auto_recover || !is_first;
        async move {
            if recovers {
                let _ = own.try_send(OpenerMessage::OpenAll);
            } else {
                mark_failed(&journal).await?;
            }
            Ok(Opener {
                journal,
                tasks,
                seats,
                opening: BTreeMap::new(),
            })
        }
    })
}

impl Actor for Opener {
    type Message = OpenerMessage;

    async fn handle(
        &mut self,
        message: OpenerMessage,
        cx: &mut Context<OpenerMessage>,
    ) -> Result<(), Failure> {
        match message {
            OpenerMessage::OpenAll => self.open_all(cx),
            OpenerMessage::Unreadable(error) => {
                return Err(format!("the unfinished tasks cannot be read: {error}").into());
            }
            OpenerMessage::Next(task) => self.open(task, None, cx),
            OpenerMessage::Open(task, reply) => self.open(task, Some(reply), cx),
            OpenerMessage::Opened(task, reply, result) => {
                if let Err(error) = &result {
                    tracing::error!(%task, "the task could not be opened: {error}");
                }
                let waiting = self
                    .opening
                    .remove(&task)
                    .into_iter()
                    .flatten()
                    .chain(reply);
                waiting.for_each(|reply| reply.send(result.clone()));
            }
        }
        Ok(())
    }
}

impl Opener {
    fn open_all(&self, cx: &Context<OpenerMessage>) {
        let (journal, own) = (self.journal.clone(), cx.handle());
        let _ = cx.attach_maybe(async move {
            match unfinished(&journal).await {
                Ok(tasks) => {
                    for task in tasks {
                        let _ = own.send(OpenerMessage::Next(task)).await;
                    }
                    None
                }
                Err(error) => Some(OpenerMessage::Unreadable(error)),
            }
        });
    }

    fn open(
        &mut self,
        task: TaskId,
        reply: Option<Reply<Result<(), String>>>,
        cx: &Context<OpenerMessage>,
    ) {
        if let Some(waiting) = self.opening.get_mut(&task) {
            return waiting.extend(reply);
        }
        if self.seats.get(task).is_some() {
            reply.into_iter().for_each(|reply| reply.send(Ok(())));
            return;
        }
        self.opening.insert(task, Vec::new());
        let (journal, tasks, seats) =
            (self.journal.clone(), self.tasks.clone(), self.seats.clone());
        let _ = cx.attach(async move {
            let result = open(&journal, &tasks, &seats, task).await;
            OpenerMessage::Opened(task, reply, result)
        });
    }
}

async fn open(
    journal: &Journal,
    tasks: &DynamicHandle<TaskArguments>,
    seats: &Seats,
    id: TaskId,
) -> Result<(), String> {
    let definition = definition(journal, id)
        .await
        .map_err(|error| error.to_string())?;
    let definition = Arc::new(definition.ok_or_else(|| format!("{id} has no beginning"))?);
    let seat = seats.take_seat(id);
    let started = tasks
        .start_child(TaskArguments {
            id,
            definition,
            seat,
        })
        .await;
    started.map(drop).map_err(|error| {
        seats.leave(id);
        error.to_string()
    })
}

/// The definition a task was created with.
async fn definition(journal: &Journal, task: TaskId) -> Result<Option<TaskDefinition>, StoreError> {
    let first = journal
        .store()
        .events(EventQuery {
            task,
            after: 0,
            limit: 1,
        })
        .await?
        .into_iter()
        .next();
    Ok(first.and_then(|event| match event.body {
        EventBody::TaskCreated { definition } => Some(*definition),
        _ => None,
    }))
}

/// Tasks that go on by themselves: all that have not ended, but for those whose supervisor gave up.
async fn unfinished(journal: &Journal) -> Result<Vec<TaskId>, StoreError> {
    let mut open = Vec::new();
    for row in journal.store().tasks(true).await? {
        match gave_up(journal, &row).await {
            Ok(true) => {}
            // One damaged task is no reason to leave the others alone; opening it says what is wrong with it.
            Ok(false) | Err(StoreError::Corrupt { .. }) => open.push(row.id),
            Err(error) => return Err(error),
        }
    }
    Ok(open)
}

async fn gave_up(journal: &Journal, row: &TaskRow) -> Result<bool, StoreError> {
    if row.status != TaskStatus::NeedsAttention {
        return Ok(false);
    }
    let after: Seq = row.head.saturating_sub(LOOK_BACK);
    let limit = usize::try_from(LOOK_BACK).unwrap_or(usize::MAX);
    let events = journal
        .store()
        .events(EventQuery {
            task: row.id,
            after,
            limit,
        })
        .await?;
    let last = events.iter().rev().find_map(|event| match &event.body {
        EventBody::TaskNeedsAttention { attention } => {
            Some(matches!(attention, Attention::GaveUp { .. }))
        }
        _ => None,
    });
    Ok(last.unwrap_or(false))
}

/// With `auto_recover` off, what is unfinished ends here.
async fn mark_failed(journal: &Journal) -> Result<(), Failure> {
    let error = "the node was restarted with auto_recover off".to_owned();
    for task in journal.store().tasks(true).await? {
        let runs = journal.store().runs(task.id).await?;
        for run in runs.into_iter().filter(|run| !run.status.is_terminal()) {
            let body = EventBody::RunFailed {
                error: error.clone(),
                usage: Usage::default(),
            };
            let (agent, fence) = (Some(run.agent), Some((run.id, run.epoch)));
            let at = journal.clock().now();
            let draft = Draft {
                run: Some(run.id),
                agent,
                at,
                epoch: run.epoch,
                cause: None,
                body,
            };
            append(
                journal,
                Append {
                    task: task.id,
                    fence,
                    drafts: vec![draft],
                    blobs: Vec::new(),
                },
            )
            .await?;
        }
        let (at, body) = (
            journal.clock().now(),
            EventBody::TaskFailed {
                error: error.clone(),
            },
        );
        let draft = Draft {
            run: None,
            agent: None,
            at,
            epoch: 0,
            cause: None,
            body,
        };
        append(
            journal,
            Append {
                task: task.id,
                fence: None,
                drafts: vec![draft],
                blobs: Vec::new(),
            },
        )
        .await?;
    }
    Ok(())
}

async fn append(journal: &Journal, append: Append) -> Result<(), JournalError> {
    journal.append(append).await.map(drop)
}
