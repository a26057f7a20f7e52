//! The child that forgets: tasks that ended long ago, deliveries of webhooks that are done with, answers that are not given again.

use std::time::Duration;

use actors::model::{TaskId, TaskStatus, Timestamp};
use actors::registry::Registry;
use actors::store::{StoreError, TaskQuery};
use supervision::{Failure, Start};

/// How long is kept what has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Tasks, from their last event on; for ever if none.
    pub tasks: Option<Duration>,
    /// Deliveries of webhooks, from when they were delivered or parked; 30 days.
    pub deliveries: Duration,
    /// How often is looked for what is old; an hour.
    pub look: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let day = 24 * 60 * 60;
        Self {
            tasks: None,
            deliveries: Duration::from_secs(30 * day),
            look: Duration::from_secs(60 * 60),
        }
    }
}

/// How many tasks are looked at, and deliveries removed, at a time.
const STEP: usize = 100;

/// How long the store has for others between two steps.
const PAUSE: Duration = Duration::from_millis(50);

/// The child that forgets what is in the registry's store.
#[must_use]
pub fn start(registry: &Registry, retention: Retention) -> Start {
    let registry = registry.clone();
    Start::worker(move || run(registry.clone(), retention))
}

async fn run(registry: Registry, retention: Retention) -> Result<(), Failure> {
    loop {
        let tasks = match retention.tasks {
            Some(keep) => forget_tasks(&registry, keep).await?,
            None => 0,
        };
        let before = earlier(registry.now(), retention.deliveries);
        let mut deliveries = 0;
        loop {
            match registry.prune_deliveries(before, STEP).await? {
                0 => break,
                pruned => deliveries += pruned,
            }
            tokio::time::sleep(PAUSE).await;
        }
        let requests = registry.forget_old_requests().await?;
        if tasks + deliveries + requests > 0 {
            tracing::info!(tasks, deliveries, requests, "what was old was removed");
        }
        tokio::time::sleep(retention.look).await;
    }
}

fn earlier(now: Timestamp, keep: Duration) -> Timestamp {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    Timestamp(now.0.saturating_sub(keep))
}

async fn forget_tasks(registry: &Registry, keep: Duration) -> Result<usize, StoreError> {
    let (mut after, mut removed) = (None, 0);
    loop {
        let page = registry.records().page_of_tasks(ended(after)).await?;
        let Some(last) = page.last() else {
            return Ok(removed);
        };
        after = Some(last.id);
        let before = earlier(registry.now(), keep);
        for row in page.iter().filter(|row| row.updated_at < before) {
            match registry.records().remove_task(row.id).await {
                Ok(was_there) => removed += usize::from(was_there),
                // Somebody goes on with it.
                Err(StoreError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn ended(after: Option<TaskId>) -> TaskQuery {
    let ended = TaskStatus::ALL.into_iter().filter(|it| it.is_terminal());
    TaskQuery {
        project: None,
        statuses: ended.collect(),
        after,
        newest_first: false,
        limit: STEP,
    }
}
