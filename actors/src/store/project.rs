//! The rows that are kept beside the events, folded from them in the same transaction. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::event::{EventBody, Seq};
use crate::model::{
    AgentName, Delegation, Event, RunId, RunStatus, TaskId, TaskStatus, Timestamp, Usage,
};

use super::{Append, Rejected};

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// Its project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// Its root run, once queued.
    pub root_run: Option<RunId>,
    /// The number of its newest event.
    pub head: Seq,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its newest event was written.
    pub updated_at: Timestamp,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Its task.
    pub task: TaskId,
    /// Who delegated it.
    pub parent: Option<RunId>,
    /// How it was delegated.
    pub delegation: Option<Delegation>,
    /// Who does it.
    pub agent: AgentName,
    /// What people read in lists.
    pub title: String,
    /// 0 for the root run.
    pub depth: u32,
    /// Where it stands.
    pub status: RunStatus,
    /// The epoch of its newest incarnation; 0 before the first.
    pub epoch: u64,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// When its first incarnation claimed it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it cost, once ended.
    pub usage: Usage,
}

/// An event that does not fit the state it would be applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} does not fit {subject}, which is {state}")]
pub struct Illegal {
    /// The event's name.
    pub event: &'static str,
    /// The task or run.
    pub subject: String,
    /// What it is.
    pub state: String,
}

impl Illegal {
    fn new(event: &'static str, subject: impl ToString, state: impl std::fmt::Debug) -> Self {
        Self {
            event,
            subject: subject.to_string(),
            state: format!("{state:?}").to_lowercase(),
        }
    }
}

/// The rows one append touches: loaded by the store, changed by [`Projection::apply`], written back by the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Projection {
    /// The task's row; none before `task_created`.
    pub task: Option<TaskRow>,
    /// The rows of the runs that the append names; a run that has none yet is missing.
    pub runs: BTreeMap<RunId, RunRow>,
}

impl Projection {
    /// The runs whose rows must be loaded before `append` is applied.
    #[must_use]
    pub fn runs_of(append: &Append) -> Vec<RunId> {
        let mut runs: Vec<_> = append
            .drafts
            .iter()
            .filter_map(|draft| draft.run)
            .chain(append.fence.map(|(run, _)| run))
            .collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// Checks the fence, numbers the events and folds them in. On an error nothing is changed.
    ///
    /// # Errors
    /// [`Rejected::Fenced`] when a later incarnation has the run, [`Rejected::Illegal`] when an event does not fit.
    pub fn apply(&mut self, append: &Append) -> Result<Vec<Event>, Rejected> {
        let mut next = self.clone();
        if let Some((run, given)) = append.fence {
            let current = next.runs.get(&run).map_or(0, |row| row.epoch);
            if current != given {
                return Err(Rejected::Fenced {
                    run,
                    current,
                    given,
                });
            }
        }
        let mut events = Vec::with_capacity(append.drafts.len());
        for draft in &append.drafts {
            let event = Event {
                id: next.task.as_ref().map_or(1, |task| task.head + 1),
                task_id: append.task,
                run_id: draft.run,
                agent: draft.agent.clone(),
                at: draft.at,
                epoch: draft.epoch,
                cause: draft.cause,
                body: draft.body.clone(),
            };
            next.fold(&event)?;
            events.push(event);
        }
        *self = next;
        Ok(events)
    }

    fn fold(&mut self, event: &Event) -> Result<(), Illegal> {
        if let EventBody::TaskCreated { definition } = &event.body {
            if let Some(task) = &self.task {
                return Err(Illegal::new("task_created", task.id, task.status));
            }
            self.task = Some(TaskRow {
                id: event.task_id,
                project: definition.project.clone(),
                name: definition.name.clone(),
                status: TaskStatus::Running,
                root_run: None,
                head: event.id,
                created_at: event.at,
                updated_at: event.at,
            });
            return Ok(());
        }
        let Some(task) = self.task.as_mut() else {
            return Err(Illegal::new("an event", event.task_id, "not created"));
        };
        task.head = event.id;
        task.updated_at = event.at;
        fold_task(task, event)?;
        match event.run_id {
            Some(id) => self.fold_run(id, event),
            None => Ok(()),
        }
    }

    fn fold_run(&mut self, id: RunId, event: &Event) -> Result<(), Illegal> {
        if let EventBody::RunQueued { spec } = &event.body {
            if let Some(row) = self.runs.get(&id) {
                return Err(Illegal::new("run_queued", id, row.status));
            }
            let row = RunRow {
                id,
                task: event.task_id,
                parent: spec.parent.as_ref().map(|parent| parent.run),
                delegation: spec.parent.as_ref().map(|parent| parent.delegation),
                agent: spec.agent.clone(),
                title: spec.title.clone(),
                depth: spec.depth,
                status: RunStatus::Queued,
                epoch: 0,
                queued_at: event.at,
                started_at: None,
                ended_at: None,
                usage: Usage::default(),
            };
            self.runs.insert(id, row);
            return Ok(());
        }
        let row = self
            .runs
            .get_mut(&id)
            .ok_or_else(|| Illegal::new("an event", id, "not queued"))?;
        fold_run(row, event)
    }
}

fn fold_task(task: &mut TaskRow, event: &Event) -> Result<(), Illegal> {
    let (name, next) = match &event.body {
        EventBody::RunQueued { spec } if spec.parent.is_none() => {
            task.root_run = event.run_id;
            return Ok(());
        }
        EventBody::TaskNeedsAttention { .. } => {
            ("task_needs_attention", TaskStatus::NeedsAttention)
        }
        EventBody::TaskResumed { .. } => ("task_resumed", TaskStatus::Running),
        EventBody::TaskCompleted { .. } => ("task_completed", TaskStatus::Completed),
        EventBody::TaskFailed { .. } => ("task_failed", TaskStatus::Failed),
        EventBody::TaskCancelled { .. } => ("task_cancelled", TaskStatus::Cancelled),
        _ => return Ok(()),
    };
    if task.status.is_terminal() {
        return Err(Illegal::new(name, task.id, task.status));
    }
    task.status = next;
    Ok(())
}

fn fold_run(row: &mut RunRow, event: &Event) -> Result<(), Illegal> {
    if row.status.is_terminal() {
        return match &event.body {
            EventBody::ToolCallLate { .. }
            | EventBody::Message { .. }
            | EventBody::TaskMessage { .. } => Ok(()),
            _ => Err(Illegal::new("an event", row.id, row.status)),
        };
    }
    match &event.body {
        EventBody::RunStarted | EventBody::RunRestarted { .. } => {
            row.epoch = event.epoch;
            row.started_at.get_or_insert(event.at);
            row.status = RunStatus::Running;
        }
        EventBody::RunQuarantined { .. } => row.status = RunStatus::Quarantined,
        EventBody::RunReleased => row.status = RunStatus::Queued,
        EventBody::RunCompleted { usage, .. } => end(row, event, RunStatus::Completed, *usage),
        EventBody::RunFailed { usage, .. } => end(row, event, RunStatus::Failed, *usage),
        EventBody::RunCancelled { usage, .. } => end(row, event, RunStatus::Cancelled, *usage),
        _ => {}
    }
    Ok(())
}

fn end(row: &mut RunRow, event: &Event, status: RunStatus, usage: Usage) {
    row.status = status;
    row.ended_at = Some(event.at);
    row.usage = usage;
}
