//! One call, from its record in the ledger to its result.

use std::sync::Arc;
use std::time::Duration;

use actors::model::executor::{CallError, CallErrorCode, CallOutcome, FromExecutor};
use actors::model::{CallId, EffectClass};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, LedgerError, interrupted};
use super::outbox::Outbox;
use super::{Executor, Point, ServeError, outcome};
use crate::tool::{Context, Job, failed};

/// A call that is to be done.
pub(super) struct Call<'a> {
    pub(super) executor: &'a Executor,
    pub(super) outbox: Outbox,
    pub(super) id: CallId,
    pub(super) epoch: u64,
    pub(super) tool: String,
    pub(super) effect: EffectClass,
    pub(super) job: Job,
    pub(super) timeout: Duration,
    pub(super) stop: CancellationToken,
}

impl Call<'_> {
    /// Does it: begun is durable before it starts, its result before it is sent.
    pub(super) async fn run(self) -> Result<(), ServeError> {
        if let Err(error) = self.begin().await {
            return self.not_begun(error).await;
        }
        self.executor.at(Point::BegunRecorded, &self.id);
        self.outbox
            .send(FromExecutor::Started {
                call_id: self.id.clone(),
            })
            .await;
        let (executor, outbox, id) = (self.executor, self.outbox.clone(), self.id.clone());
        let (effect, tool) = (self.effect, self.tool.clone());
        let result = outcome(self.perform().await);
        executor.at(Point::EffectDone, &id);
        let result = if_closing(&outbox, result, &tool);
        let result = match effect.records_start() {
            true => finish(&executor.ledger, &id, result).await?,
            false => result,
        };
        executor.at(Point::ResultRecorded, &id);
        outbox.result(id, result).await;
        Ok(())
    }

    async fn begin(&self) -> Result<(), LedgerError> {
        let (id, epoch, tool) = (self.id.clone(), self.epoch, self.tool.clone());
        match self.effect.records_start() {
            true => {
                let ledger = Arc::clone(&self.executor.ledger);
                in_a_thread(move || ledger.begin(&id, epoch, &tool)).await
            }
            false => self.executor.ledger.note(&id, epoch),
        }
    }

    async fn not_begun(self, error: LedgerError) -> Result<(), ServeError> {
        if let LedgerError::Unknown { .. } = error {
            return Err(error.into());
        }
        let refused = failed(format!("{error}; nothing was done"));
        self.outbox
            .result(self.id, CallOutcome::Error(refused))
            .await;
        Ok(())
    }

    async fn perform(self) -> Result<String, CallError> {
        if self.stop.is_cancelled() {
            return Err(cancelled_before());
        }
        let context = Context {
            watch: self.outbox.watch(self.id),
            stop: self.stop,
            timeout: self.timeout,
        };
        (self.job)(context).await
    }
}

fn cancelled_before() -> CallError {
    CallError {
        code: CallErrorCode::Cancelled,
        message: "cancelled before it began; nothing was done".to_owned(),
    }
}

/// A call that ends because the link is closed was not cancelled by anybody: whoever asks again is told what that means.
fn if_closing(outbox: &Outbox, result: CallOutcome, tool: &str) -> CallOutcome {
    match &result {
        CallOutcome::Error(error)
            if error.code == CallErrorCode::Cancelled && outbox.is_closing() =>
        {
            interrupted(tool)
        }
        _ => result,
    }
}

/// Makes a result durable, and returns the one that stands.
pub(super) async fn finish(
    ledger: &Arc<Ledger>,
    id: &CallId,
    result: CallOutcome,
) -> Result<CallOutcome, ServeError> {
    let (ledger, id) = (Arc::clone(ledger), id.clone());
    Ok(in_a_thread(move || ledger.finish(&id, result)).await?)
}

/// Does what waits for the disk where it may.
pub(super) async fn in_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down: this future is about to be dropped.
            Err(_) => std::future::pending().await,
        },
    }
}
