//! The child that begins tasks when they are due: each due time once, also over restarts.

use std::sync::Arc;
use std::time::Duration;

use actors::model::{TaskId, Timestamp};
use actors::registry::schedules::{Brief, Outcome, Schedule, Verdict};
use actors::registry::{Registry, RegistryError};
use actors::system::{System, SystemError};
use arc_swap::ArcSwap;
use supervision::{Failure, Start};

use crate::config::{Addressee, Config, TaskOrder};

/// How often is looked for schedules that are new.
const LOOK: Duration = Duration::from_secs(5);

/// The child that begins the tasks of the registry's schedules, as the file that is loaded has their agents.
#[must_use]
pub fn start(system: &System, registry: &Registry, config: &Arc<ArcSwap<Config>>) -> Start {
    let (system, registry, config) = (system.clone(), registry.clone(), config.clone());
    Start::worker(move || run(system.clone(), registry.clone(), config.clone()))
}

async fn run(
    system: System,
    registry: Registry,
    config: Arc<ArcSwap<Config>>,
) -> Result<(), Failure> {
    loop {
        let mut wait = LOOK;
        for schedule in registry.schedules(None, "", usize::MAX).await? {
            let now = registry.now();
            match schedule.next {
                Some(due) if due <= now => {
                    fire(&system, &registry, &config.load(), &schedule.id).await?;
                    wait = Duration::ZERO;
                }
                Some(due) => wait = wait.min(due.since(now)),
                None => {}
            }
        }
        // Due times are at least a second apart, but for those that were missed.
        tokio::time::sleep(wait.max(Duration::from_millis(10))).await;
    }
}

async fn fire(
    system: &System,
    registry: &Registry,
    config: &Config,
    id: &str,
) -> Result<(), Failure> {
    let now = registry.now();
    let Some((schedule, version)) = registry.versioned_schedule(id).await? else {
        return Ok(());
    };
    let Some(due) = schedule.next.filter(|due| *due <= now) else {
        return Ok(());
    };
    let is_running = is_running(system, &schedule).await?;
    let outcome = match schedule.judge(due, now, is_running) {
        Verdict::Begin(task) => begin(system, config, &schedule, task).await?,
        Verdict::Missed => Outcome::Missed,
        Verdict::Overlapped => Outcome::Overlapped,
    };
    tell(&schedule, due, &outcome);
    let changed = schedule.after(due, now, outcome);
    match registry.change_schedule(&changed, version).await {
        // Somebody removed it, or another node was first.
        Ok(()) | Err(RegistryError::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn tell(schedule: &Schedule, due: Timestamp, outcome: &Outcome) {
    let (id, name) = (&schedule.id, &schedule.name);
    match outcome {
        Outcome::Begun { task } => tracing::info!(%id, %name, %due, %task, "a schedule is due"),
        Outcome::Missed => tracing::warn!(%id, %name, %due, "a schedule was missed"),
        Outcome::Overlapped => {
            tracing::warn!(%id, %name, %due, "a schedule is due and its task before has not ended");
        }
        Outcome::Failed { error } => {
            tracing::error!(%id, %name, %due, "the task of a schedule cannot be begun: {error}");
        }
    }
}

async fn is_running(system: &System, schedule: &Schedule) -> Result<bool, SystemError> {
    let Some(task) = schedule.last_task else {
        return Ok(false);
    };
    match system.task(task).await {
        Ok(row) => Ok(!row.status.is_terminal()),
        Err(SystemError::NoSuchTask(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn begin(
    system: &System,
    config: &Config,
    schedule: &Schedule,
    task: TaskId,
) -> Result<Outcome, SystemError> {
    let failed = |error: String| Ok(Outcome::Failed { error });
    let definition = match config.definition_for(&order(&schedule.task, &schedule.project)) {
        Ok(definition) => definition,
        Err(error) => return failed(error.to_string()),
    };
    match system.create_task_as(task, definition).await {
        // It was begun before, and has ended since.
        Ok(_) | Err(SystemError::Over(_)) => Ok(Outcome::Begun { task }),
        Err(SystemError::Definition(error)) => failed(error),
        Err(error) => Err(error),
    }
}

/// A brief as an order for a task.
pub(crate) fn order(brief: &Brief, project: &str) -> TaskOrder {
    let agent = |root: &String| Addressee::Agent(root.clone(), brief.available_agents.clone());
    let team = brief.team.clone().map(Addressee::Team);
    TaskOrder {
        name: brief.name.clone(),
        description: brief.description.clone(),
        project: project.to_owned(),
        to: team.or_else(|| brief.root_agent.as_ref().map(agent)),
        priority: brief.priority,
    }
}
