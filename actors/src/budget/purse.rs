//! The ledger of an open task, shared by its runs: read from the journal, never told.
//!
//! One run at a time may set something aside. It looks, writes its reservation, and only when that is durable the next may look: so
//! no two have what is left for one, and whatever is set aside was granted. Who waits for calls under way keeps the turn, so each
//! comes to its turn.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

use crate::journal::{Journal, JournalError};
use crate::model::{Amount, Exceeded, RunId, TaskDefinition, TaskId};
use crate::store::{Append, EventQuery, Store, StoreError};

use super::ledger::Ledger;
use super::standing::{Standing, Verdict};

/// The ledger of one open task.
#[derive(Debug, Clone, Default)]
pub struct Purse(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    ledger: Mutex<Ledger>,
    turn: Arc<Mutex<Turn>>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Turn {
    /// Whether the reservation of whoever had the turn may still be on its way to the journal.
    is_unsettled: bool,
}

/// The turn to set something aside, for one model call.
#[derive(Debug)]
pub struct Admission(OwnedMutexGuard<Turn>);

impl Admission {
    /// What was set aside is durable: the next may look.
    pub fn written(mut self) {
        self.0.is_unsettled = false;
    }
}

/// Whose call it is.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The task.
    pub task: TaskId,
    /// Its definition.
    pub definition: &'a TaskDefinition,
    /// The run.
    pub run: RunId,
}

/// How many events are read at a time.
const PAGE: usize = 1024;

/// How long is waited at most before it is looked again, should nobody say that something was settled.
const LOOK: Duration = Duration::from_secs(1);

impl Purse {
    /// The ledger as the journal has it now.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn read<R>(
        &self,
        store: &dyn Store,
        task: TaskId,
        look: impl FnOnce(&Ledger) -> R,
    ) -> Result<R, StoreError> {
        let mut ledger = self.0.ledger.lock().await;
        loop {
            let query = EventQuery {
                task,
                after: ledger.head,
                limit: PAGE,
            };
            let page = store.events(query).await?;
            page.iter().for_each(|event| ledger.fold(event));
            if page.len() < PAGE {
                return Ok(look(&ledger));
            }
        }
    }

    /// How the budgets stand for a run.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn standing(
        &self,
        store: &dyn Store,
        caller: Caller<'_>,
    ) -> Result<Standing, StoreError> {
        let look = |ledger: &Ledger| ledger.standing(caller.definition, caller.run);
        self.read(store, caller.task, look).await
    }

    /// Says that a call was settled: who waits looks again.
    pub fn settled(&self) {
        self.0.settled.notify_waiters();
    }

    /// Waits until so much may be set aside.
    ///
    /// # Errors
    /// The budget that can not pay it.
    pub async fn admit(
        &self,
        journal: &Journal,
        caller: Caller<'_>,
        needed: Amount,
        waits: impl Fn(),
    ) -> Result<Admission, Refused> {
        let mut turn = self.turn(&waits).await;
        if turn.is_unsettled {
            flush(journal, caller.task).await?;
        }
        loop {
            let settled = self.0.settled.notified();
            let standing = self.standing(journal.store().as_ref(), caller).await?;
            match standing.verdict(needed) {
                Verdict::Granted => break,
                Verdict::Refused(exceeded) => return Err(Refused::Exceeded(exceeded)),
                Verdict::Waits => waits(),
            }
            let _ = tokio::time::timeout(LOOK, settled).await;
        }
        turn.is_unsettled = true;
        Ok(Admission(turn))
    }

    async fn turn(&self, waits: impl Fn()) -> OwnedMutexGuard<Turn> {
        let mut turn = pin!(self.0.turn.clone().lock_owned());
        match tokio::time::timeout(LOOK, &mut turn).await {
            Ok(turn) => turn,
            Err(_) => {
                waits();
                turn.await
            }
        }
    }
}

/// What somebody who is gone had sent to the journal is there when this returns.
async fn flush(journal: &Journal, task: TaskId) -> Result<(), JournalError> {
    let nothing = Append {
        task,
        fence: None,
        drafts: Vec::new(),
        blobs: Vec::new(),
    };
    journal.append(nothing).await.map(drop)
}

/// Why a call was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A budget can not pay it.
    #[error("{0}")]
    Exceeded(Exceeded),
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
