//! From the arguments to a node at work on a task.

use std::path::{Path, PathBuf};

use actors::model::{Event, EventBody, TaskDefinition, TaskId, TaskStatus};
use actors::store::{EventQuery, Store, TaskRow};
use serde_json::json;

use super::{Refusal, Run};
use crate::config::{self, Config, TaskChoice};
use crate::node::{Data, Node, NodeError};

/// A node at work on a task.
pub(super) struct Started {
    pub(super) node: Node,
    pub(super) task: TaskId,
    /// Up to which event there is a history; 0 for a new task.
    pub(super) history: u64,
}

/// What came of starting.
pub(super) enum Begin {
    Started(Box<Started>),
    /// There is nothing left to go on with: the newest task of the data folder has ended, and this is what it wrote.
    Over(TaskRow, Vec<Event>),
}

/// The data folder unless said otherwise.
const DATA_DIR: &str = ".impresario";

pub(super) async fn start(run: &Run) -> Result<Begin, Refusal> {
    let config = match &run.file {
        Some(file) => Some(config::load(file).map_err(Refusal::Problems)?),
        None => None,
    };
    let data_dir = data_dir(run, config.as_ref());
    if run.resume && run.file.is_none() && !data_dir.exists() {
        let place = data_dir.display();
        return Err(Refusal::Usage(format!(
            "there is no data folder {place} to go on with: give a team file, or the right --data-dir"
        )));
    }
    let data = Data::open(&data_dir, config.as_ref()).map_err(unusable)?;
    let newest = newest(&data).await?;
    match (run.resume, newest) {
        (true, Some(row)) if row.status.is_terminal() => {
            let events = history(&data, row.id).await?;
            Ok(Begin::Over(row, events))
        }
        (true, Some(row)) => resume(run, data, &row).await,
        (false, Some(row)) if !row.status.is_terminal() => Err(Refusal::Usage(format!(
            "the data folder {} holds an unfinished task, `{}`: go on with it by --continue, or choose another --data-dir",
            data_dir.display(),
            row.name
        ))),
        (_, newest) => match config {
            Some(config) => create(run, data, config).await,
            None if newest.is_none() => Err(Refusal::Usage(format!(
                "the data folder {} holds no task to go on with: give a team file",
                data_dir.display()
            ))),
            None => Err(Refusal::Usage("give a team file".to_owned())),
        },
    }
}

fn data_dir(run: &Run, config: Option<&Config>) -> PathBuf {
    let said = || config.map(|config| PathBuf::from(&config.node.data_dir));
    run.data_dir
        .clone()
        .or_else(said)
        .unwrap_or_else(|| DATA_DIR.into())
}

fn unusable(error: NodeError) -> Refusal {
    match error {
        NodeError::System(_) | NodeError::Start(_) => Refusal::Failed(error.to_string()),
        error => Refusal::Usage(error.to_string()),
    }
}

async fn newest(data: &Data) -> Result<Option<TaskRow>, Refusal> {
    let tasks = data
        .store
        .tasks(false)
        .await
        .map_err(|error| Refusal::Usage(error.to_string()))?;
    let unfinished = tasks.iter().rev().find(|task| !task.status.is_terminal());
    Ok(unfinished.or(tasks.last()).cloned())
}

async fn history(data: &Data, task: TaskId) -> Result<Vec<Event>, Refusal> {
    let query = EventQuery {
        task,
        after: 0,
        limit: usize::MAX,
    };
    data.store
        .events(query)
        .await
        .map_err(|error| Refusal::Usage(error.to_string()))
}

async fn create(run: &Run, data: Data, config: Config) -> Result<Begin, Refusal> {
    let choice = TaskChoice {
        task: run.task.clone(),
        team: run.team.clone(),
    };
    let mut definition = config
        .definition(&choice)
        .map_err(|error| Refusal::Usage(error.to_string()))?;
    let workspace = workspace(run, &data)?;
    definition.source = json!({ "config": config.to_json(), "workspace": workspace });
    let node = Node::start(&config, data, &workspace)
        .await
        .map_err(unusable)?;
    let task = match node.system.create_task(definition).await {
        Ok(task) => task,
        Err(error) => {
            let _ = node.stop().await;
            return Err(Refusal::Failed(error.to_string()));
        }
    };
    Ok(Begin::Started(Box::new(Started {
        node,
        task,
        history: 0,
    })))
}

/// The folder to work in, in full: the task is bound to it, wherever the program is started the next time.
fn workspace(run: &Run, data: &Data) -> Result<PathBuf, Refusal> {
    let path = run
        .workspace
        .clone()
        .unwrap_or_else(|| data.folder.path().join("workspace"));
    std::path::absolute(&path)
        .map_err(|error| Refusal::Usage(format!("{}: {error}", path.display())))
}

async fn resume(run: &Run, data: Data, row: &TaskRow) -> Result<Begin, Refusal> {
    let events = data
        .store
        .events(EventQuery {
            task: row.id,
            after: 0,
            limit: 1,
        })
        .await;
    let events = events.map_err(|error| Refusal::Usage(error.to_string()))?;
    let Some(EventBody::TaskCreated { definition }) =
        events.into_iter().next().map(|event| event.body)
    else {
        return Err(Refusal::Usage(format!(
            "{} has no beginning in this store",
            row.id
        )));
    };
    let (config, workspace) = pinned(&definition)?;
    let workspace = run.workspace.clone().unwrap_or(workspace);
    let node = Node::start(&config, data, Path::new(&workspace))
        .await
        .map_err(unusable)?;
    let was_waiting = row.status == TaskStatus::NeedsAttention;
    let answer = match (&run.answer, was_waiting) {
        (Some(answer), _) => Some(answer.as_str()),
        // To go on with a task whose tree gave up is an answer in itself; a question about an effect is not answered by it.
        (None, true) if node.system.seats().get(row.id).is_none() => Some("continue"),
        (None, _) => None,
    };
    if let Some(answer) = answer {
        let answered = node.system.answer(row.id, answer).await;
        answered.map_err(|error| Refusal::Failed(error.to_string()))?;
    }
    Ok(Begin::Started(Box::new(Started {
        node,
        task: row.id,
        history: row.head,
    })))
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
