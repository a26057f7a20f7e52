//! The end of a task: first that of its runs.

use std::sync::Arc;

use crate::journal::{Journal, JournalError};
use crate::model::{EventBody, RunId, TaskDefinition, TaskId, Usage};
use crate::run::RunMessage;
use crate::store::{Append, Draft, RunRow, StoreError};
use crate::task::registry::Registry;

use super::{PATIENCE, RoomArguments};

/// Brings a task to its end: no run is live any more when the end is written.
pub(super) struct Closing {
    task: TaskId,
    journal: Journal,
    registry: Registry,
    definition: Arc<TaskDefinition>,
}

impl Closing {
    pub(super) fn new(arguments: &RoomArguments) -> Self {
        Self {
            task: arguments.context.task,
            journal: arguments.context.journal.clone(),
            registry: arguments.registry.clone(),
            definition: arguments.context.definition.clone(),
        }
    }

    pub(super) async fn close(&self, reason: &str, end: EventBody) -> Result<(), JournalError> {
        // Runs that are cancelled may have delegated more meanwhile; each round leaves fewer that could.
        for _ in 0..=self.definition.limits.total_runs {
            let mut live = self.live().await?;
            if live.is_empty() {
                break;
            }
            live.sort_by_key(|row| std::cmp::Reverse(row.depth));
            for row in live {
                self.cancel_one(&row, reason).await?;
            }
        }
        self.write(None, None, end).await
    }

    async fn live(&self) -> Result<Vec<RunRow>, StoreError> {
        let rows = self.journal.store().runs(self.task).await?;
        Ok(rows
            .into_iter()
            .filter(|row| !row.status.is_terminal())
            .collect())
    }

    async fn cancel_one(&self, row: &RunRow, reason: &str) -> Result<(), JournalError> {
        if let Some(run) = self.registry.get(row.id) {
            let _ = run
                .call(
                    |reply| RunMessage::Cancel(reason.to_owned(), reply),
                    PATIENCE,
                )
                .await;
            return Ok(());
        }
        let usage = Usage::default();
        let end = EventBody::RunCancelled {
            reason: reason.to_owned(),
            usage,
        };
        self.write(Some(row), Some((row.id, row.epoch)), end).await
    }

    async fn write(
        &self,
        row: Option<&RunRow>,
        fence: Option<(RunId, u64)>,
        body: EventBody,
    ) -> Result<(), JournalError> {
        let draft = Draft {
            run: row.map(|row| row.id),
            agent: row.map(|row| row.agent.clone()),
            at: self.journal.clock().now(),
            epoch: row.map_or(0, |row| row.epoch),
            cause: None,
            body,
        };
        match self
            .journal
            .append(Append {
                task: self.task,
                fence,
                drafts: vec![draft],
                blobs: Vec::new(),
            })
            .await
        {
            // Somebody else has ended it, or claimed it and will be asked in the next round.
            Ok(_) | Err(JournalError::Rejected(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
