//! The rows that are kept beside the events, folded from them in the same transaction. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::event::{EventBody, Seq};
use crate::model::{
    AgentName, Delegation, Event, Recovery, RunId, RunSpec, RunStatus, TaskDefinition, TaskId,
    TaskStatus, Timestamp, Usage,
};

use super::{Append, Cause, Rejected, StoreError};

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

impl TaskRow {
    /// Whether the task may be removed: it has ended.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if not.
    pub fn removable(&self) -> Result<(), StoreError> {
        if self.status.is_terminal() {
            return Ok(());
        }
        Err(StoreError::Refused {
            subject: self.id.to_string(),
            why: "it has not ended: cancel it before it is removed".to_owned(),
        })
    }
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
    /// What its answers cost; once ended, with what it wasted.
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
    /// `event` does not fit `subject`, which is `state`.
    pub fn new(event: &'static str, subject: impl ToString, state: impl Into<String>) -> Self {
        Self {
            event,
            subject: subject.to_string(),
            state: state.into(),
        }
    }
}

fn named(status: impl Serialize) -> String {
    serde_json::to_value(status)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
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
    /// The runs whose rows must be loaded before `append` is applied, each once, in the order in which they are named.
    #[must_use]
    pub fn runs_of(append: &Append) -> Vec<RunId> {
        let mut seen = BTreeSet::new();
        append
            .drafts
            .iter()
            .filter_map(|draft| draft.run)
            .chain(append.fence.map(|(run, _)| run))
            .filter(|run| seen.insert(*run))
            .collect()
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
        let mut events = Vec::<Event>::with_capacity(append.drafts.len());
        for draft in &append.drafts {
            let event = Event {
                id: next.task.as_ref().map_or(1, |task| task.head + 1),
                task_id: append.task,
                run_id: draft.run,
                agent: draft.agent.clone(),
                at: draft.at,
                epoch: draft.epoch,
                cause: draft.cause.and_then(|cause| number(cause, &events)),
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
            return self.create(event, definition);
        }
        let kind = event.body.kind();
        let Some(task) = self.task.as_mut() else {
            return Err(Illegal::new(kind, event.task_id, "not created"));
        };
        task.head = event.id;
        task.updated_at = event.at;
        fold_task(task, event)?;
        match event.run_id {
            Some(id) => self.fold_run(id, event),
            None if event.body.needs_run() => {
                Err(Illegal::new(kind, event.task_id, "a task and not a run"))
            }
            None => Ok(()),
        }
    }

    fn create(&mut self, event: &Event, definition: &TaskDefinition) -> Result<(), Illegal> {
        let kind = event.body.kind();
        if let Some(task) = &self.task {
            return Err(Illegal::new(kind, task.id, named(task.status)));
        }
        if let Some(run) = event.run_id {
            return Err(Illegal::new(kind, run, "a run and not a task"));
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
        Ok(())
    }

    fn fold_run(&mut self, id: RunId, event: &Event) -> Result<(), Illegal> {
        let kind = event.body.kind();
        match (&event.body, self.runs.get_mut(&id)) {
            (EventBody::RunQueued { spec }, None) => {
                self.runs.insert(id, queued(id, event, spec));
                Ok(())
            }
            (EventBody::RunQueued { .. }, Some(row)) => {
                Err(Illegal::new(kind, id, named(row.status)))
            }
            (_, None) => Err(Illegal::new(kind, id, "not queued")),
            (_, Some(row)) if row.task != event.task_id => {
                Err(Illegal::new(kind, id, format!("a run of {}", row.task)))
            }
            (_, Some(row)) => fold_run(row, event),
        }
    }
}

/// The number of what led to an event, which may be one of those that are written with it.
fn number(cause: Cause, written: &[Event]) -> Option<Seq> {
    match cause {
        Cause::Event(seq) => Some(seq),
        Cause::Draft(place) => written.get(place).map(|event| event.id),
    }
}

fn queued(id: RunId, event: &Event, spec: &RunSpec) -> RunRow {
    RunRow {
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
    }
}

fn fold_task(task: &mut TaskRow, event: &Event) -> Result<(), Illegal> {
    let next = match &event.body {
        EventBody::RunQueued { .. } => task.status,
        EventBody::TaskNeedsAttention { .. } => TaskStatus::NeedsAttention,
        EventBody::TaskResumed { .. } => TaskStatus::Running,
        EventBody::TaskCompleted { .. } => TaskStatus::Completed,
        EventBody::TaskFailed { .. } => TaskStatus::Failed,
        EventBody::TaskCancelled { .. } => TaskStatus::Cancelled,
        EventBody::TaskReopened => TaskStatus::Running,
        body if is_work(body) => task.status,
        _ => return Ok(()),
    };
    if task.status.is_terminal() != matches!(event.body, EventBody::TaskReopened) {
        let kind = event.body.kind();
        return Err(Illegal::new(kind, task.id, named(task.status)));
    }
    task.status = next;
    if matches!(&event.body, EventBody::RunQueued { spec } if spec.parent.is_none() && spec.heard.is_none())
    {
        task.root_run = event.run_id;
    }
    Ok(())
}

/// What means that a task is being worked on: what is said, and results that come late, do not.
fn is_work(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::RunContinued { .. }
            | EventBody::TopologyChanged { .. }
            | EventBody::AgentState { .. }
            | EventBody::SupervisorRestart { .. }
            | EventBody::SupervisorGaveUp { .. }
            | EventBody::FaultInjected { .. }
    )
}

fn fold_run(row: &mut RunRow, event: &Event) -> Result<(), Illegal> {
    if row.status.is_terminal() {
        return match &event.body {
            EventBody::RunContinued { .. } => {
                row.status = RunStatus::Queued;
                row.ended_at = None;
                Ok(())
            }
            EventBody::ToolCallLate { .. }
            | EventBody::Message { .. }
            | EventBody::TaskMessage { .. } => Ok(()),
            body => Err(Illegal::new(body.kind(), row.id, named(row.status))),
        };
    }
    match &event.body {
        EventBody::RunStarted | EventBody::RunRestarted { .. } => claim(row, event)?,
        EventBody::ModelCallCompleted { usage, .. } => row.usage += *usage,
        EventBody::RunQuarantined { .. } => row.status = RunStatus::Quarantined,
        EventBody::RunReleased => row.status = RunStatus::Queued,
        EventBody::RunContinued { .. } => {
            return Err(Illegal::new(event.body.kind(), row.id, named(row.status)));
        }
        EventBody::RunCompleted { usage, .. } => end(row, event, RunStatus::Completed, *usage),
        EventBody::RunFailed { usage, .. } => end(row, event, RunStatus::Failed, *usage),
        EventBody::RunCancelled { usage, .. } => end(row, event, RunStatus::Cancelled, *usage),
        _ => {}
    }
    Ok(())
}

fn claim(row: &mut RunRow, event: &Event) -> Result<(), Illegal> {
    if event.epoch <= row.epoch {
        let state = format!("at epoch {} already", row.epoch);
        return Err(Illegal::new(event.body.kind(), row.id, state));
    }
    row.epoch = event.epoch;
    if is_clean_slate(&event.body) {
        row.usage = row.usage.thrown_away();
    }
    row.started_at.get_or_insert(event.at);
    row.status = RunStatus::Running;
    Ok(())
}

fn is_clean_slate(body: &EventBody) -> bool {
    let EventBody::RunRestarted { recovery, .. } = body else {
        return false;
    };
    *recovery == Recovery::CleanSlate
}

fn end(row: &mut RunRow, event: &Event, status: RunStatus, usage: Usage) {
    row.status = status;
    row.ended_at = Some(event.at);
    row.usage = usage;
}
