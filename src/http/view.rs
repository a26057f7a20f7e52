//! How things look from outside.

use actors::model::{Attention, ForkedFrom, RunStatus, TaskStatus, Usage};
use actors::store::{RunRow, TaskRow};
use actors::system::{RunRecord, Settled};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A task.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct TaskView {
    /// Its id: `task_…`.
    id: String,
    /// Its name.
    name: String,
    /// Its project.
    project: String,
    /// Where it stands: `running`, `needs_attention`, `completed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    status: TaskStatus,
    /// The run of its root agent.
    root_run: Option<String>,
    /// The number of its newest event.
    last_event: u64,
    /// When it was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its newest event was written.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&TaskRow> for TaskView {
    fn from(row: &TaskRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            project: row.project.clone(),
            status: row.status,
            root_run: row.root_run.map(|run| run.to_string()),
            last_event: row.head,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

impl TaskView {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// A task in full.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct TaskDetail {
    #[serde(flatten)]
    task: TaskView,
    /// What is to be done.
    description: String,
    /// The agent that got it.
    root_agent: String,
    /// The agents that work may be delegated to.
    available_agents: Vec<String>,
    /// The team that does it, if one does.
    team: Option<String>,
    /// How urgent it is.
    priority: i32,
    /// Where it was forked from, if it was.
    #[schema(value_type = Option<Object>)]
    forked_from: Option<ForkedFrom>,
    /// Its result, once it is completed.
    result: Option<String>,
    /// Why it has none, once it failed or was cancelled.
    error: Option<String>,
    /// What somebody has to decide, where it needs attention: `POST …/answer` does.
    #[schema(value_type = Option<Object>)]
    attention: Option<Attention>,
}

impl TaskDetail {
    pub(super) fn new(
        row: &TaskRow,
        definition: Option<&actors::model::TaskDefinition>,
        settled: Option<Settled>,
    ) -> Self {
        let (mut result, mut error, mut attention) = (None, None, None);
        match settled {
            Some(Settled::Completed(text)) => result = Some(text),
            Some(Settled::Failed(why) | Settled::Cancelled(why)) => error = Some(why),
            Some(Settled::NeedsAttention(open)) => attention = Some(open),
            None => {}
        }
        let available = definition.map(|it| it.available_agents.iter());
        Self {
            task: row.into(),
            description: definition
                .map(|it| it.description.clone())
                .unwrap_or_default(),
            root_agent: definition
                .map(|it| it.root_agent.to_string())
                .unwrap_or_default(),
            available_agents: available
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
            team: definition.and_then(|it| Some(it.team.as_ref()?.name.clone())),
            priority: definition.map_or(0, |it| it.priority),
            forked_from: definition.and_then(|it| it.forked_from),
            result,
            error,
            attention,
        }
    }
}

/// A run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RunView {
    /// Its id: `run_…`.
    id: String,
    /// Its task.
    task_id: String,
    /// The run that delegated it.
    parent: Option<String>,
    /// Who does it.
    agent: String,
    /// What people read in lists.
    title: String,
    /// 0 for the root run.
    depth: u32,
    /// Where it stands: `queued`, `running`, `completed`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    status: RunStatus,
    /// How often it was claimed: 1, and one more for each crash it went on after.
    attempt: u64,
    /// When it was queued.
    #[schema(format = DateTime)]
    queued_at: String,
    /// When it was claimed first.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// What it used.
    #[schema(value_type = Object)]
    usage: Usage,
}

impl From<&RunRow> for RunView {
    fn from(row: &RunRow) -> Self {
        Self {
            id: row.id.to_string(),
            task_id: row.task.to_string(),
            parent: row.parent.map(|run| run.to_string()),
            agent: row.agent.to_string(),
            title: row.title.clone(),
            depth: row.depth,
            status: row.status,
            attempt: row.epoch,
            queued_at: row.queued_at.to_string(),
            started_at: row.started_at.map(|at| at.to_string()),
            ended_at: row.ended_at.map(|at| at.to_string()),
            usage: row.usage,
        }
    }
}

impl RunView {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// A run in full.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RunDetail {
    #[serde(flatten)]
    run: RunView,
    /// What it was given.
    input: String,
    /// Its result, if it has one.
    result: Option<String>,
    /// Why it has none, if it ended without.
    error: Option<String>,
    /// Why it does not go on at this moment, or what it is doing.
    #[schema(value_type = Option<Object>)]
    why: Option<Value>,
}

impl RunDetail {
    pub(super) fn new(record: RunRecord, result: Option<String>, why: Option<Value>) -> Self {
        Self {
            run: (&record.run).into(),
            input: record.input,
            result,
            error: record.error,
            why,
        }
    }
}

/// Something that was said.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct MessageView {
    /// The number of the event that says it.
    pub(super) id: u64,
    /// When.
    #[schema(format = DateTime)]
    pub(super) at: String,
    /// By whom: `human`, `system`, or an agent.
    #[schema(value_type = Object)]
    pub(super) from: Value,
    /// To whom; to all when left out.
    pub(super) to: Option<String>,
    /// What.
    pub(super) content: String,
}

/// That something was written.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Written {
    /// The number of its event.
    pub(super) event: u64,
}
