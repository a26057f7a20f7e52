//! The end of a task: first that of its runs.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::journal::JournalError;
use crate::model::{CallId, Event, EventBody, RunId};
use crate::run::RunMessage;
use crate::run::actor::RunContext;
use crate::run::next::cancelled_in_doubt;
use crate::run::read::state_of;
use crate::run::state::{CallPhase, RunState};
use crate::store::{Append, Draft, RunRow, StoreError};
use crate::task::registry::Registry;

use super::{PATIENCE, RoomArguments};

/// How long is waited between two looks at what is still live.
const PAUSE: Duration = Duration::from_millis(50);

/// Brings runs to their end: none is live any more when the end of the task is written.
pub(super) struct Closing {
    context: std::sync::Arc<RunContext>,
    registry: Registry,
}

impl Closing {
    pub(super) fn new(arguments: &RoomArguments) -> Self {
        Self {
            context: arguments.context.clone(),
            registry: arguments.registry.clone(),
        }
    }

    /// Ends everything, and then the task. The root run goes first: once its end is written a crash in the middle of this does not
    /// bring the others back. Whether it has ended: a person may have gone on with a run at the same moment. A task that is cancelled
    /// ends all the same.
    pub(super) async fn close(&self, reason: &str, end: EventBody) -> Result<bool, JournalError> {
        loop {
            self.end_runs(reason).await?;
            self.write(None, vec![end.clone()]).await?;
            if self.live().await?.is_empty() {
                return Ok(true);
            }
            self.write(None, vec![EventBody::TaskReopened]).await?;
            if !matches!(end, EventBody::TaskCancelled { .. }) {
                return Ok(false);
            }
        }
    }

    async fn end_runs(&self, reason: &str) -> Result<(), JournalError> {
        loop {
            let live = self.live().await?;
            let (root, others): (Vec<_>, Vec<_>) =
                live.into_iter().partition(|row| row.parent.is_none());
            if root.is_empty() && others.is_empty() {
                return Ok(());
            }
            for row in &root {
                self.end_one(row, reason).await?;
            }
            let ends = others.iter().map(|row| self.end_one(row, reason));
            join_all(ends)
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?;
            if !self.live().await?.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn live(&self) -> Result<Vec<RunRow>, StoreError> {
        let rows = self.context.journal.store().runs(self.context.task).await?;
        let live = rows.into_iter().filter(|row| !row.status.is_terminal());
        Ok(live.collect())
    }

    /// Ends one run. The event of its end, if it was not up and could not write it itself.
    pub(super) async fn end_run(
        &self,
        run: RunId,
        reason: &str,
    ) -> Result<Option<Event>, JournalError> {
        let live = self.live().await?;
        match live.iter().find(|row| row.id == run) {
            Some(row) => self.end_one(row, reason).await,
            None => Ok(None),
        }
    }

    async fn end_one(&self, row: &RunRow, reason: &str) -> Result<Option<Event>, JournalError> {
        let Some(run) = self.registry.get(row.id) else {
            return self.end_unattended(row, reason).await;
        };
        let cancel = |reply| RunMessage::Cancel(reason.to_owned(), reply);
        let _ = run.call(cancel, PATIENCE).await;
        Ok(None)
    }

    /// Ends a run that is not up: quarantined, or not yet started. What it had begun elsewhere is stopped first.
    async fn end_unattended(
        &self,
        row: &RunRow,
        reason: &str,
    ) -> Result<Option<Event>, JournalError> {
        // What its last incarnation had sent to the journal is there before it is read.
        self.append(None, Vec::new()).await?;
        let (mut bodies, usage) = match state_of(&self.context, row.id, &row.agent).await {
            Ok(state) => {
                self.stop_calls(&state).await;
                (
                    cancelled_in_doubt(&state, &BTreeSet::new()),
                    state.usage_at_end(),
                )
            }
            // It is ended all the same; what it cost is what its row says.
            Err(StoreError::Corrupt { .. }) => (Vec::new(), row.usage),
            Err(error) => return Err(error.into()),
        };
        let reason = reason.to_owned();
        bodies.push(EventBody::RunCancelled { reason, usage });
        self.write(Some(row), bodies).await
    }

    async fn stop_calls(&self, state: &RunState) {
        let begun = state.open_calls().filter_map(|(step, call)| {
            let is_begun = matches!(call.phase, CallPhase::Started { .. });
            let tool = self.context.tools.get(&call.call.name)?;
            is_begun.then(|| (tool, CallId::again(state.id, step, call.retries)))
        });
        let stops = begun.map(|(tool, call_id)| async move {
            let project = self.context.definition.project.clone();
            tool.stop(call_id, project).await;
        });
        join_all(stops).await;
    }

    async fn write(
        &self,
        row: Option<&RunRow>,
        bodies: Vec<EventBody>,
    ) -> Result<Option<Event>, JournalError> {
        let draft = |body| Draft {
            run: row.map(|row| row.id),
            agent: row.map(|row| row.agent.clone()),
            at: self.context.journal.clock().now(),
            epoch: row.map_or(0, |row| row.epoch),
            cause: None,
            body,
        };
        let fence = row.map(|row| (row.id, row.epoch));
        match self
            .append(fence, bodies.into_iter().map(draft).collect())
            .await
        {
            Ok(mut events) => Ok(events.pop()),
            // Somebody else has ended it, or claimed it and will be asked in the next round.
            Err(JournalError::Rejected(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn append(
        &self,
        fence: Option<(RunId, u64)>,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Event>, JournalError> {
        let append = Append {
            task: self.context.task,
            fence,
            drafts,
            blobs: Vec::new(),
        };
        self.context.journal.append(append).await
    }
}
