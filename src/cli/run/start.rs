//! From the arguments to a node at work on a task. Everything that can be refused is refused before anything is made.

use std::path::{Path, PathBuf};

use actors::clock::Clock;
use actors::model::{Event, EventBody, TaskDefinition, TaskId, TaskStatus, Timestamp};
use actors::store::{EventQuery, Store, StoreError, TaskRow};
use actors::system::SystemError;
use serde_json::json;

use super::super::output;
use super::place;
use super::view::View;
use super::{Refusal, Run};
use crate::config::{self, Config, TaskChoice};
use crate::local::SystemClock;
use crate::node::{Data, Node, NodeError};

/// A node at work on a task.
pub(super) struct Started {
    pub(super) node: Node,
    pub(super) task: TaskId,
    /// Up to which event there is a history; 0 for a new task.
    pub(super) history: u64,
    /// Whether a human's answer was given: what the history waits for is decided.
    pub(super) is_answered: bool,
    /// Since when this program has been at work on it.
    pub(super) since: Timestamp,
}

/// What came of starting.
pub(super) enum Begin {
    Started(Box<Started>),
    /// There is nothing left to go on with: the newest task of the data folder has ended, and this is what it wrote.
    Over(TaskRow, Vec<Event>),
}

pub(super) async fn start(run: &Run) -> Result<Begin, Refusal> {
    let config = match &run.file {
        Some(file) => Some(config::load(file).map_err(Refusal::Problems)?),
        None => None,
    };
    let data_dir = place::data_dir(run, config.as_ref());
    place::named(&data_dir, "data folder")?;
    let found = data_dir.exists();
    match &config {
        None if !found => Err(Refusal::Usage(format!(
            "there is no data folder {} to go on with: give a team file, or the right --data-dir",
            data_dir.display()
        ))),
        Some(config) if !(run.resume && found) => {
            let planned = plan(run, config, &data_dir)?;
            let data = Data::open(&data_dir, Some(config)).map_err(unusable)?;
            match newest(&data).await?.filter(|row| !row.status.is_terminal()) {
                Some(row) if !run.resume => Err(unfinished(run, &data_dir, &row)),
                Some(row) => resume(run, data, &row, Some(config)).await,
                None => create(data, config, planned).await,
            }
        }
        config => {
            let data = Data::open(&data_dir, config.as_ref()).map_err(unusable)?;
            go_on(run, data, &data_dir, config.as_ref()).await
        }
    }
}

/// With `--continue`, over a data folder that is there.
async fn go_on(
    run: &Run,
    data: Data,
    data_dir: &Path,
    config: Option<&Config>,
) -> Result<Begin, Refusal> {
    match (newest(&data).await?, config) {
        (Some(row), _) if row.status.is_terminal() && run.answer.is_some() => Err(unasked(
            &row,
            "has ended: --continue without --answer shows how",
        )),
        (Some(row), _) if row.status.is_terminal() => {
            let events = events(&data, row.id, usize::MAX).await?;
            Ok(Begin::Over(row, events))
        }
        (Some(row), config) => resume(run, data, &row, config).await,
        (None, Some(config)) => {
            let planned = plan(run, config, data_dir)?;
            create(data, config, planned).await
        }
        (None, None) => Err(Refusal::Usage(format!(
            "the data folder {} holds no task to go on with: give a team file",
            data_dir.display()
        ))),
    }
}

fn unfinished(run: &Run, data_dir: &Path, row: &TaskRow) -> Refusal {
    Refusal::Usage(format!(
        "the data folder {} holds an unfinished task, `{}`: go on with it ({}), or choose another --data-dir",
        data_dir.display(),
        row.name,
        run.commands().go_on(),
    ))
}

fn unusable(error: NodeError) -> Refusal {
    match error {
        NodeError::System(_) | NodeError::Start(_) => Refusal::Failed(error.to_string()),
        error => Refusal::Usage(error.to_string()),
    }
}

fn unreadable(error: StoreError) -> Refusal {
    Refusal::Usage(error.to_string())
}

/// The unfinished task, or the one that was created last.
async fn newest(data: &Data) -> Result<Option<TaskRow>, Refusal> {
    let tasks = data.store.tasks(false).await.map_err(unreadable)?;
    let unfinished = tasks.iter().rev().find(|task| !task.status.is_terminal());
    Ok(unfinished.or(tasks.last()).cloned())
}

async fn events(data: &Data, task: TaskId, limit: usize) -> Result<Vec<Event>, Refusal> {
    let after = 0;
    let query = EventQuery { task, after, limit };
    data.store.events(query).await.map_err(unreadable)
}

// ---- a new task

/// What is to be done, and where.
struct Plan {
    definition: TaskDefinition,
    workspace: PathBuf,
}

fn plan(run: &Run, config: &Config, data_dir: &Path) -> Result<Plan, Refusal> {
    let choice = TaskChoice {
        task: run.task.clone(),
        team: run.team.clone(),
    };
    let definition = config.definition(&choice);
    let mut definition = definition.map_err(|error| Refusal::Usage(error.to_string()))?;
    let workspace = place::workspace(run, data_dir)?;
    definition.source = json!({ "config": config.to_json(), "workspace": workspace });
    Ok(Plan {
        definition,
        workspace,
    })
}

async fn create(data: Data, config: &Config, plan: Plan) -> Result<Begin, Refusal> {
    let since = SystemClock.now();
    let node = Node::start(config, data, &plan.workspace).await;
    let node = node.map_err(unusable)?;
    match node.system.create_task(plan.definition).await {
        Ok(task) => Ok(Begin::Started(Box::new(Started {
            node,
            task,
            history: 0,
            is_answered: false,
            since,
        }))),
        Err(error) => {
            let _ = node.stop().await;
            Err(match error {
                SystemError::Definition(_) => Refusal::Usage(error.to_string()),
                error => Refusal::Failed(error.to_string()),
            })
        }
    }
}

// ---- a task that was interrupted

async fn resume(
    run: &Run,
    data: Data,
    row: &TaskRow,
    given: Option<&Config>,
) -> Result<Begin, Refusal> {
    let history = events(&data, row.id, usize::MAX).await?;
    let Some(EventBody::TaskCreated { definition }) = history.first().map(|event| &event.body)
    else {
        return Err(Refusal::Usage(format!(
            "{} has no beginning in this store",
            row.id
        )));
    };
    let (config, pinned) = pinned(definition)?;
    let workspace = place::kept(run, pinned)?;
    place::checked(&workspace, data.folder.path())?;
    let answer = answer(run, row, &history)?;
    if let Some(note) = unheeded(run, given, &config) {
        // With stderr gone there is nobody to tell.
        let _ = output::note(note);
    }
    let since = SystemClock.now();
    let node = Node::start(&config, data, &workspace).await;
    let node = node.map_err(unusable)?;
    let is_answered = match answer {
        None => Ok(false),
        Some(answer) => node.system.answer(row.id, &answer).await,
    };
    match is_answered {
        Ok(is_answered) => Ok(Begin::Started(Box::new(Started {
            node,
            task: row.id,
            history: row.head,
            is_answered,
            since,
        }))),
        Err(error) => {
            let _ = node.stop().await;
            Err(Refusal::Failed(error.to_string()))
        }
    }
}

/// What was asked for that only a new task could heed.
fn unheeded(run: &Run, given: Option<&Config>, pinned: &Config) -> Option<&'static str> {
    if run.task.is_some() || run.team.is_some() {
        Some("--task and --team are for new tasks; this one goes on as it began")
    } else if given.is_some_and(|given| given != pinned) {
        Some("the file has changed since the task began, which goes on as it began")
    } else {
        None
    }
}

/// What the task is to be answered, if anything.
fn answer(run: &Run, row: &TaskRow, history: &[Event]) -> Result<Option<String>, Refusal> {
    let mut view = View::default();
    history.iter().for_each(|event| view.fold(event));
    match &run.answer {
        Some(_) if row.status != TaskStatus::NeedsAttention => Err(unasked(
            row,
            "waits for no answer: go on with it without --answer",
        )),
        Some(answer) => Ok(Some(answer.clone())),
        // To go on with a task whose tree gave up is an answer in itself; a question is not answered by it.
        None => Ok(view.has_given_up.then(|| "continue".to_owned())),
    }
}

fn unasked(row: &TaskRow, why: &str) -> Refusal {
    let name = &row.name;
    Refusal::Usage(format!("the task `{name}` {why}"))
}

fn pinned(definition: &TaskDefinition) -> Result<(Config, PathBuf), Refusal> {
    let read = || {
        let config = serde_json::from_value(definition.source.get("config")?.clone()).ok()?;
        let workspace = definition.source.get("workspace")?.as_str()?;
        Some((config, PathBuf::from(workspace)))
    };
    read().ok_or_else(|| {
        Refusal::Usage(
            "the task was not started by `impresario run` and cannot be continued by it".to_owned(),
        )
    })
}
