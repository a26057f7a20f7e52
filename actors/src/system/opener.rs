//! Opens every unfinished task: at the start, when one is created, and again whenever what they stood on was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supervision::{
    Actor, AdminError, ChildState, Context, DynamicHandle, Failure, Inbox, Reply, Start,
};

use crate::journal::{Journal, JournalError};
use crate::model::{Attention, Event, EventBody, TaskDefinition, TaskId, TaskStatus};
use crate::run::RunState;
use crate::run::cause::causes_of;
use crate::run::next::left_in_doubt;
use crate::store::{Append, Cause, Draft, EventQuery, RunRow, StoreError, TaskRow, each_event};
use crate::task::room::open_questions;
use crate::task::{RoomMessage, TaskArguments, TaskSeat};

use super::Settings;

/// What the opener is told.
#[derive(Debug)]
pub(super) enum OpenerMessage {
    /// Open this task, if it is not open; this is the first thing its room is told, before it starts anything.
    Open(TaskId, Option<Box<RoomMessage>>, Reply<Result<(), String>>),
    /// A task's tree is up, or why it is not.
    Opened(TaskId, Result<(), String>),
    /// Open what is unfinished.
    OpenAll,
    /// What is unfinished cannot be read.
    Unreadable(StoreError),
    /// This task is to be opened.
    Next(TaskId),
}

/// Where open tasks are found.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<BTreeMap<TaskId, Taken>>>);

#[derive(Debug, Default)]
struct Taken {
    seat: TaskSeat,
    /// Whether the start of its tree was confirmed.
    is_started: bool,
}

impl Seats {
    fn seats(&self) -> MutexGuard<'_, BTreeMap<TaskId, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seat of a task whose tree is up or coming up.
    #[must_use]
    pub fn get(&self, task: TaskId) -> Option<TaskSeat> {
        let seat = self.seats().get(&task).map(|taken| taken.seat.clone());
        seat.filter(|seat| !seat.room.is_stopped())
    }

    fn leave(&self, task: TaskId) {
        self.seats().remove(&task);
    }

    fn take_seat(&self, task: TaskId) -> TaskSeat {
        let mut seats = self.seats();
        seats.retain(|_, taken| !taken.seat.room.is_stopped());
        seats.entry(task).or_default().seat.clone()
    }

    fn started(&self, task: TaskId) {
        if let Some(taken) = self.seats().get_mut(&task) {
            taken.is_started = true;
        }
    }

    fn in_doubt(&self) -> Vec<TaskId> {
        let seats = self.seats();
        let in_doubt = seats.iter().filter(|(_, taken)| !taken.is_started);
        in_doubt.map(|(task, _)| *task).collect()
    }

    /// An opener that ended in the middle of it does not know whether a tree was started; one that was not never comes up.
    async fn settle(&self, tasks: &DynamicHandle<TaskArguments>) -> Result<(), Failure> {
        let in_doubt = self.in_doubt();
        if in_doubt.is_empty() {
            return Ok(());
        }
        let tree = tasks.supervisor().tree("tasks", PATIENCE).await;
        if tree.state != ChildState::Running {
            return Err("the tasks' supervisor does not say which tasks are open".into());
        }
        for task in in_doubt {
            let path = format!("tasks/{task}");
            match tree.children.iter().any(|child| child.path == path) {
                true => self.started(task),
                false => self.leave(task),
            }
        }
        Ok(())
    }
}

/// How long the tasks' supervisor may take to say which tasks are open.
const PATIENCE: Duration = Duration::from_secs(10);

struct Opener {
    journal: Journal,
    tasks: DynamicHandle<TaskArguments>,
    seats: Seats,
    opening: BTreeMap<TaskId, Vec<Reply<Result<(), String>>>>,
}

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
            seats.settle(&tasks).await?;
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
            OpenerMessage::Next(task) => self.open(task, None, None, cx),
            OpenerMessage::Open(task, first, reply) => self.open(task, first, Some(reply), cx),
            OpenerMessage::Opened(task, result) => {
                if let Err(error) = &result {
                    tracing::error!(%task, "the task could not be opened: {error}");
                    let (journal, error) = (self.journal.clone(), error.clone());
                    let _ = cx.attach_maybe(async move {
                        tell_trouble(&journal, task, error).await;
                        None
                    });
                }
                let waiting = self.opening.remove(&task).into_iter().flatten();
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
        first: Option<Box<RoomMessage>>,
        reply: Option<Reply<Result<(), String>>>,
        cx: &Context<OpenerMessage>,
    ) {
        if self.seats.get(task).is_some() || self.opening.contains_key(&task) {
            self.tell_room(task, first, cx);
        } else {
            self.opening.insert(task, reply.into_iter().collect());
            let (journal, tasks, seats) =
                (self.journal.clone(), self.tasks.clone(), self.seats.clone());
            let _ = cx.attach(async move {
                let result = open(&journal, &tasks, &seats, task, first).await;
                OpenerMessage::Opened(task, result)
            });
            return;
        }
        match self.opening.get_mut(&task) {
            Some(waiting) => waiting.extend(reply),
            None => reply.into_iter().for_each(|reply| reply.send(Ok(()))),
        }
    }

    fn tell_room(
        &self,
        task: TaskId,
        message: Option<Box<RoomMessage>>,
        cx: &Context<OpenerMessage>,
    ) {
        if let Some(message) = message {
            let seat = self.seats.take_seat(task);
            let _ = cx.attach_maybe(async move {
                let _ = seat.room.send(*message).await;
                None
            });
        }
    }
}

async fn open(
    journal: &Journal,
    tasks: &DynamicHandle<TaskArguments>,
    seats: &Seats,
    id: TaskId,
    first: Option<Box<RoomMessage>>,
) -> Result<(), String> {
    let definition = definition(journal, id)
        .await
        .map_err(|error| error.to_string())?;
    let definition = Arc::new(definition.ok_or_else(|| format!("{id} has no beginning"))?);
    let seat = seats.take_seat(id);
    if let Some(first) = first {
        let _ = seat.room.try_send(*first);
    }
    let started = tasks
        .start_child(TaskArguments {
            id,
            definition,
            seat,
        })
        .await;
    match started {
        Ok(_) => {
            seats.started(id);
            Ok(())
        }
        // Whoever stops or restarts the tasks' supervisor has the opener open all of them again.
        Err(AdminError::Stopping) => Ok(()),
        Err(error) => {
            seats.leave(id);
            Err(error.to_string())
        }
    }
}

/// The definition a task was created with.
pub(super) async fn definition(
    journal: &Journal,
    task: TaskId,
) -> Result<Option<TaskDefinition>, StoreError> {
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
    let questions = open_questions(journal.store().as_ref(), row.id).await?;
    Ok(questions.gave_up().is_some())
}

/// Says in a task's journal that it cannot be opened. It may be that nothing of it can be read; that can be written all the same.
async fn tell_trouble(journal: &Journal, task: TaskId, reason: String) {
    let is_told = match journal.store().task(task).await {
        Ok(Some(row)) => row.status != TaskStatus::Running,
        Ok(None) => true,
        Err(_) => false,
    };
    if is_told {
        return;
    }
    let attention = Attention::GaveUp {
        path: format!("system/tasks/{task}"),
        reason: format!("it cannot be opened: {reason}"),
    };
    let body = EventBody::TaskNeedsAttention { attention };
    if let Err(error) = write(journal, task, None, vec![(body, None)]).await {
        tracing::error!(%task, "that it could not be opened was not written: {error}");
    }
}

/// With `auto_recover` off, what is unfinished ends here. What had been begun and has no result stays in doubt.
async fn mark_failed(journal: &Journal) -> Result<(), Failure> {
    const REASON: &str = "the node was restarted with auto_recover off";
    for task in journal.store().tasks(true).await? {
        let events = all_events(journal, task.id).await?;
        let end = |row: &RunRow| {
            let state = RunState::from_events(row.id, &events);
            let doubts = left_in_doubt(&state, &BTreeSet::new(), REASON);
            let causes = causes_of(&state, &doubts);
            let end = EventBody::RunFailed {
                error: REASON.to_owned(),
                usage: state.usage_at_end(),
            };
            let doubts = doubts.into_iter().zip(causes);
            doubts.chain([(end, None)]).collect()
        };
        let error = REASON.to_owned();
        end_all(journal, task.id, end, EventBody::TaskFailed { error }).await?;
    }
    Ok(())
}

/// All events of a task, up to the first that is damaged.
async fn all_events(journal: &Journal, task: TaskId) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    let read = each_event(journal.store().as_ref(), task, 0, |event| {
        events.push(event)
    })
    .await;
    if let Err(StoreError::Corrupt { place, detail }) = read {
        tracing::error!(%task, "it is ended unread: {place}: {detail}");
        return Ok(events);
    }
    read.map(|()| events)
}

/// Ends the live runs of a task of which nothing is up, and then the task.
pub(super) async fn end_all(
    journal: &Journal,
    task: TaskId,
    end: impl Fn(&RunRow) -> Vec<Caused>,
    whole: EventBody,
) -> Result<(), JournalError> {
    let runs = journal.store().runs(task).await?;
    let mut cause = None;
    for run in runs.iter().filter(|run| !run.status.is_terminal()) {
        let ended = write(journal, task, Some(run), end(run)).await?;
        // Of several, the root run's comes first.
        cause = cause.or(ended.last().map(|end| Cause::Event(end.id)));
    }
    write(journal, task, None, vec![(whole, cause)])
        .await
        .map(drop)
}

/// An event to be written, and what led to it.
type Caused = (EventBody, Option<Cause>);

async fn write(
    journal: &Journal,
    task: TaskId,
    run: Option<&RunRow>,
    bodies: Vec<Caused>,
) -> Result<Vec<Event>, JournalError> {
    let at = journal.clock().now();
    let draft = |(body, cause)| Draft {
        run: run.map(|run| run.id),
        agent: run.map(|run| run.agent.clone()),
        at,
        epoch: run.map_or(0, |run| run.epoch),
        cause,
        body,
    };
    let append = Append {
        task,
        fence: run.map(|run| (run.id, run.epoch)),
        drafts: bodies.into_iter().map(draft).collect(),
        blobs: Vec::new(),
    };
    journal.append(append).await
}
