//! The end of a task, or of a run and what works for it.
//!
//! First every gate is closed, at once, so that nothing begins any more; then all are told to stop what they do; then the ends are
//! written, the topmost first. No step looks at the store once for each run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::journal::JournalError;
use crate::model::team::TeamMode;
use crate::model::{CallId, Event, EventBody, RunId, RunStatus};
use crate::run::RunMessage;
use crate::run::actor::RunContext;
use crate::run::cause::{Reason, causes_of};
use crate::run::next::cancelled_in_doubt;
use crate::run::read::{end_of, states_of};
use crate::run::state::{CallPhase, RunState};
use crate::store::{Append, Cause, Draft, RunRow, StoreError};
use crate::task::registry::Registry;
use crate::tool::RemoteCall;

use super::{PATIENCE, RoomArguments};

/// How long is waited between two looks at what is still live.
const PAUSE: Duration = Duration::from_millis(50);

/// Brings runs to their end: none is live any more when the end of the task is written.
pub(super) struct Closing {
    context: Arc<RunContext>,
    registry: Registry,
}

/// The states of runs that are not up, as far as they can be read.
type States = BTreeMap<RunId, RunState>;

impl Closing {
    pub(super) fn new(arguments: &RoomArguments) -> Self {
        Self {
            context: arguments.context.clone(),
            registry: arguments.registry.clone(),
        }
    }

    /// Ends everything, and then the task. Whether it has ended: a person may have gone on with a run at the same moment. A task
    /// that is cancelled ends all the same.
    pub(super) async fn close(
        &self,
        reason: &Reason,
        end: EventBody,
    ) -> Result<bool, JournalError> {
        loop {
            self.end_runs(None, reason).await?;
            let ended = self.as_ended(&end, reason).await?;
            self.write(None, vec![ended]).await?;
            if self.live(None).await?.is_empty() {
                return Ok(true);
            }
            self.write(None, vec![(EventBody::TaskReopened, None)])
                .await?;
            if !matches!(end, EventBody::TaskCancelled { .. }) {
                return Ok(false);
            }
        }
    }

    /// How the task ends, and what led to it: a root run that was through before a cancel reached it has decided that, but where
    /// peers go on talking after it.
    async fn as_ended(
        &self,
        wanted: &EventBody,
        reason: &Reason,
    ) -> Result<(EventBody, Option<Cause>), StoreError> {
        let wanted = (wanted.clone(), reason.cause.map(Cause::Event));
        let (context, team) = (&self.context, self.context.definition.team.as_ref());
        let is_of_peers = team.is_some_and(|team| team.mode == TeamMode::Peers);
        if is_of_peers || !matches!(wanted.0, EventBody::TaskCancelled { .. }) {
            return Ok(wanted);
        }
        let store = context.journal.store().as_ref();
        let rows = store.runs(context.task).await?;
        let is_through = |row: &&RunRow| row.parent.is_none() && row.status != RunStatus::Cancelled;
        let Some(root) = rows.iter().find(is_through) else {
            return Ok(wanted);
        };
        let end = end_of(store, context.task, root.id).await?;
        let ended = end.and_then(|end| Some((end_after(&end.body)?, Some(Cause::Event(end.id)))));
        Ok(ended.unwrap_or(wanted))
    }

    /// Ends all runs, or one and what works for it. The events of the ends of those that were not up and could not write them
    /// themselves.
    pub(super) async fn end_runs(
        &self,
        top: Option<RunId>,
        reason: &Reason,
    ) -> Result<Vec<Event>, JournalError> {
        let mut ended = Vec::new();
        loop {
            let live = self.live(top).await?;
            if live.is_empty() {
                return Ok(ended);
            }
            self.halt(&live, reason).await;
            // Once the end of the topmost is written a crash in the middle of this does not bring the others back.
            let is_top = |row: &RunRow| row.parent.is_none() || Some(row.id) == top;
            let (first, others): (Vec<_>, Vec<_>) = live.into_iter().partition(is_top);
            for rows in [first, others] {
                ended.extend(self.end_these(&rows, reason).await?);
            }
            if !self.live(top).await?.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// The runs that have not ended: all, or one and those that work for it.
    async fn live(&self, top: Option<RunId>) -> Result<Vec<RunRow>, StoreError> {
        let rows = self.context.journal.store().runs(self.context.task).await?;
        let mut inside: BTreeSet<_> = top.into_iter().collect();
        // Whoever delegated a run stands before it.
        let is_inside = |row: &RunRow| {
            let is_below = row.parent.is_some_and(|parent| inside.contains(&parent));
            top.is_none() || top == Some(row.id) || is_below && inside.insert(row.id)
        };
        let of_it = rows.into_iter().filter(is_inside);
        Ok(of_it.filter(|row| !row.status.is_terminal()).collect())
    }

    /// When this returns, all have heard of it that can; none of them has begun anything since it was called.
    async fn halt(&self, live: &[RunRow], reason: &Reason) {
        self.registry.close(live.iter().map(|row| &row.id));
        let up = live.iter().filter_map(|row| self.registry.get(row.id));
        let halts = up.map(|run| async move {
            let halt = run.send(RunMessage::Halt(reason.clone()));
            let _ = tokio::time::timeout(PATIENCE, halt).await;
        });
        join_all(halts).await;
    }

    async fn end_these(
        &self,
        rows: &[RunRow],
        reason: &Reason,
    ) -> Result<Vec<Event>, JournalError> {
        let is_up = |row: &&RunRow| self.registry.get(row.id).is_some();
        let (up, down): (Vec<_>, Vec<_>) = rows.iter().partition(is_up);
        let cancels = up.iter().filter_map(|row| self.registry.get(row.id));
        let cancels = cancels.map(|run| async move {
            let cancel = |reply| RunMessage::Cancel(reason.clone(), reply);
            run.call(cancel, PATIENCE).await
        });
        let (_, ended) = tokio::join!(join_all(cancels), self.end_unattended(&down, reason));
        ended
    }

    /// Ends runs that are not up: quarantined, paused, or not yet started. What they had begun elsewhere is stopped first.
    async fn end_unattended(
        &self,
        rows: &[&RunRow],
        reason: &Reason,
    ) -> Result<Vec<Event>, JournalError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // What their last incarnations had sent to the journal is there before it is read.
        self.append(None, Vec::new()).await?;
        let states = self.states(rows).await?;
        join_all(states.values().map(|state| self.stop_calls(state))).await;
        let ends = rows.iter().map(|row| {
            let bodies = bodies(row, states.get(&row.id), reason);
            self.write(Some(row), bodies)
        });
        let ends = join_all(ends).await.into_iter();
        let ended = ends.collect::<Result<Vec<_>, _>>()?;
        Ok(ended.into_iter().flatten().collect())
    }

    async fn states(&self, rows: &[&RunRow]) -> Result<States, JournalError> {
        let runs = rows.iter().map(|row| row.id).collect();
        let store = self.context.journal.store().as_ref();
        match states_of(store, self.context.task, &runs).await {
            // They are ended all the same; what they cost is what their rows say.
            Err(StoreError::Corrupt { .. }) => Ok(States::new()),
            states => Ok(states?),
        }
    }

    async fn stop_calls(&self, state: &RunState) {
        let begun = state.open_calls().filter_map(|(step, call)| {
            let is_begun = matches!(call.phase, CallPhase::Started { .. });
            let tool = self.context.tools.get(&call.call.name)?;
            let executor = call.executor.as_ref();
            is_begun.then(|| {
                let call = RemoteCall {
                    call_id: CallId::again(state.id, step, call.retries),
                    project: self.context.definition.project.clone(),
                    executor: executor.map(|(executor, _)| executor.clone()),
                };
                (tool, call)
            })
        });
        let stops = begun.map(|(tool, call)| async move { tool.stop(call).await });
        join_all(stops).await;
    }

    async fn write(
        &self,
        row: Option<&RunRow>,
        bodies: Vec<(EventBody, Option<Cause>)>,
    ) -> Result<Option<Event>, JournalError> {
        let draft = |(body, cause)| Draft {
            run: row.map(|row| row.id),
            agent: row.map(|row| row.agent.clone()),
            at: self.context.journal.clock().now(),
            epoch: row.map_or(0, |row| row.epoch),
            cause,
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

/// How a task ends whose root run ended so.
pub(super) fn end_after(root: &EventBody) -> Option<EventBody> {
    match root.clone() {
        EventBody::RunCompleted { result, .. } => Some(EventBody::TaskCompleted { result }),
        EventBody::RunFailed { error, .. } => Some(EventBody::TaskFailed { error }),
        EventBody::RunCancelled { reason, .. } => Some(EventBody::TaskCancelled { reason }),
        _ => None,
    }
}

/// What is written about a run that can not write it itself.
fn bodies(row: &RunRow, state: Option<&RunState>, why: &Reason) -> Vec<(EventBody, Option<Cause>)> {
    let doubts = state.map(|state| cancelled_in_doubt(state, &BTreeSet::new()));
    let doubts = doubts.unwrap_or_default();
    let causes = state.map(|state| causes_of(state, &doubts));
    let (usage, reason) = (
        state.map_or(row.usage, RunState::usage_at_end),
        why.text.clone(),
    );
    let end = EventBody::RunCancelled { reason, usage };
    let doubts = doubts.into_iter().zip(causes.unwrap_or_default());
    doubts.chain([(end, why.cause.map(Cause::Event))]).collect()
}
