//! Where an executor's frames go: the connection that there is, if there is one.

use std::sync::{Arc, Mutex, PoisonError};

use actors::model::CallId;
use actors::model::executor::{CallOutcome, FromExecutor};
use tokio::sync::mpsc::{Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::tool::Watch;

/// Where frames go. Once the link is closing nobody is waited for.
#[derive(Clone)]
pub(super) struct Outbox {
    line: Arc<Mutex<Sender<FromExecutor>>>,
    pub(super) closing: CancellationToken,
}

impl Default for Outbox {
    /// Without a connection.
    fn default() -> Self {
        Self {
            line: Arc::new(Mutex::new(channel(1).0)),
            closing: CancellationToken::new(),
        }
    }
}

impl Outbox {
    /// From now on this is the connection.
    pub(super) fn plug(&self, line: Sender<FromExecutor>) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn line(&self) -> Sender<FromExecutor> {
        let line = self.line.lock();
        line.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection of this moment alone: what is sent there when it has ended is not sent at all.
    pub(super) fn here(&self) -> Self {
        Self {
            line: Arc::new(Mutex::new(self.line())),
            closing: self.closing.clone(),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Sends a frame as soon as it is taken; on the connection that has taken this one's place, if that ended meanwhile. Where there is
    /// none the frame is let go of: the ledger has what counts, and what it has not is asked for again.
    pub(super) async fn send(&self, frame: FromExecutor) {
        loop {
            let line = self.line();
            let permit = tokio::select! {
                biased;
                permit = line.reserve() => permit.ok(),
                () = self.closing.cancelled() => line.try_reserve().ok(),
            };
            match permit {
                Some(permit) => return permit.send(frame),
                None if line.same_channel(&self.line()) => return,
                None => {}
            }
        }
    }

    pub(super) async fn result(&self, call_id: CallId, outcome: CallOutcome) {
        self.send(FromExecutor::Result { call_id, outcome }).await;
    }

    /// Shows output to whoever is there and can take it now.
    pub(super) fn watch(&self, call_id: CallId) -> Watch {
        let outbox = self.clone();
        Box::new(move |chunk| match outbox.line().try_reserve() {
            Ok(permit) => {
                permit.send(FromExecutor::Output {
                    call_id: call_id.clone(),
                    chunk,
                });
                Ok(())
            }
            Err(_) => Err(chunk),
        })
    }
}
