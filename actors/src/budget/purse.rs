//! The ledger of an open task, shared by its runs: it follows the journal, and reads what it missed.
//!
//! Whoever wants to set something aside is granted it at once where that fits beside everything granted before it, whether that is
//! durable yet or not: so no two have what is left for one. Where it does not fit, one at a time waits for calls under way, in turn,
//! so each comes to its turn.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, Notify, OwnedMutexGuard};

use crate::journal::{Follower, Journal, JournalError};
use crate::model::{Amount, Event, Exceeded, RunId, TaskDefinition, TaskId};
use crate::store::{Append, EventQuery, StoreError};

use super::ledger::Ledger;
use super::standing::{Standing, Verdict};

/// The ledger of one open task.
#[derive(Debug, Clone, Default)]
pub struct Purse(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    book: Mutex<Book>,
    reading: Turn<()>,
    turn: Arc<Turn<()>>,
    /// How many wait for their turn or have it.
    in_line: AtomicUsize,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Book {
    ledger: Ledger,
    /// What was granted and is not durable yet.
    granted: Amount,
    /// What was granted to somebody who is gone: it may still be on its way to the journal.
    doubtful: Amount,
}

impl Follower for Inside {
    fn note(&self, event: &Event) {
        let mut book = self.book();
        if book.ledger.head + 1 == event.id {
            book.ledger.fold(event);
        }
    }
}

impl Inside {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was set aside for one model call. Until it is durable nobody else has it.
#[derive(Debug)]
pub struct Admission {
    purse: Arc<Inside>,
    amount: Amount,
    is_written: bool,
}

impl Admission {
    fn new(purse: &Arc<Inside>, book: &mut Book, amount: Amount) -> Self {
        book.granted += amount;
        Self {
            purse: purse.clone(),
            amount,
            is_written: false,
        }
    }

    /// What was set aside is durable, and in the ledger.
    pub fn written(mut self) {
        self.is_written = true;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut book = self.purse.book();
        book.granted = book.granted.less(self.amount);
        if !self.is_written {
            book.doubtful += self.amount;
        }
    }
}

/// One who waits for its turn.
struct InLine<'a>(&'a AtomicUsize);

impl<'a> InLine<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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
    /// Has it follow what is written about its task.
    pub fn follow(&self, journal: &Journal, task: TaskId) {
        let inside: Arc<dyn Follower> = self.0.clone();
        let follower: Weak<dyn Follower> = Arc::downgrade(&inside);
        journal.recent().follow(task, follower);
    }

    /// The ledger as the journal has it now.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn read<R>(
        &self,
        journal: &Journal,
        task: TaskId,
        look: impl FnOnce(&Ledger) -> R,
    ) -> Result<R, StoreError> {
        self.catch_up(journal, task).await?;
        Ok(look(&self.0.book().ledger))
    }

    /// The book, if it has all that is known to be in the journal.
    fn up_to_date(&self, journal: &Journal, task: TaskId) -> Option<MutexGuard<'_, Book>> {
        let last = journal.recent().last(task)?;
        let book = self.0.book();
        (book.ledger.head == last).then_some(book)
    }

    async fn catch_up(&self, journal: &Journal, task: TaskId) -> Result<(), StoreError> {
        if self.up_to_date(journal, task).is_some() {
            return Ok(());
        }
        let _alone = self.0.reading.lock().await;
        loop {
            let after = self.0.book().ledger.head;
            let query = EventQuery {
                task,
                after,
                limit: PAGE,
            };
            let page = journal.store().events(query).await?;
            let mut book = self.0.book();
            for event in &page {
                // Others may have been noted meanwhile.
                if event.id > book.ledger.head {
                    book.ledger.fold(event);
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// How the budgets stand for a run.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn standing(
        &self,
        journal: &Journal,
        caller: Caller<'_>,
    ) -> Result<Standing, StoreError> {
        let look = |ledger: &Ledger| ledger.standing(caller.definition, caller.run);
        self.read(journal, caller.task, look).await
    }

    /// The same, where nothing has to be read for it.
    #[must_use]
    pub fn standing_now(&self, journal: &Journal, caller: Caller<'_>) -> Option<Standing> {
        let book = self.up_to_date(journal, caller.task)?;
        Some(book.ledger.standing(caller.definition, caller.run))
    }

    /// Says that a call was settled: who waits looks again.
    pub fn settled(&self) {
        self.0.settled.notify_waiters();
    }

    /// Sets so much aside, where that is possible without waiting for anything.
    #[must_use]
    pub fn admit_now(
        &self,
        journal: &Journal,
        caller: Caller<'_>,
        needed: Amount,
    ) -> Option<Admission> {
        let mut book = self.up_to_date(journal, caller.task)?;
        if self.0.in_line.load(Ordering::Acquire) > 0 || book.doubtful != Amount::default() {
            return None;
        }
        let standing = book.ledger.standing(caller.definition, caller.run);
        let all = needed.more(book.granted);
        let is_granted = standing.verdict(all) == Verdict::Granted;
        is_granted.then(|| Admission::new(&self.0, &mut book, needed))
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
        let _in_line = InLine::new(&self.0.in_line);
        let _turn = self.turn(&waits).await;
        loop {
            let settled = self.0.settled.notified();
            self.forget_doubtful(journal, caller.task).await?;
            self.catch_up(journal, caller.task).await?;
            if let Some(admitted) = self.decide(caller, needed) {
                return admitted.map_err(Refused::Exceeded);
            }
            waits();
            let _ = tokio::time::timeout(LOOK, settled).await;
        }
    }

    fn decide(&self, caller: Caller<'_>, needed: Amount) -> Option<Result<Admission, Exceeded>> {
        let mut book = self.0.book();
        let standing = book.ledger.standing(caller.definition, caller.run);
        if let Some(exceeded) = standing.refusal(needed) {
            return Some(Err(exceeded));
        }
        let all = needed.more(book.granted).more(book.doubtful);
        let is_granted = standing.verdict(all) == Verdict::Granted;
        is_granted.then(|| Ok(Admission::new(&self.0, &mut book, needed)))
    }

    /// What was granted to those who are gone is in the journal when this returns, or never will be.
    async fn forget_doubtful(&self, journal: &Journal, task: TaskId) -> Result<(), JournalError> {
        let doubtful = self.0.book().doubtful;
        if doubtful != Amount::default() {
            flush(journal, task).await?;
            let mut book = self.0.book();
            book.doubtful = book.doubtful.less(doubtful);
        }
        Ok(())
    }

    async fn turn(&self, waits: impl Fn()) -> OwnedMutexGuard<()> {
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
