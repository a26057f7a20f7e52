//! The one thread that writes.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use actors::model::TaskId;
use actors::store::version::Change;
use actors::store::{Announce, Append, Appended, Snapshot, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Limit};
use super::error::{Failure, Place};
use super::{outbox, records, remove};
use crate::store::group::{self, Call, Group};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Which events are announced from now on.
type Announcing = Arc<RwLock<Arc<Announce>>>;

enum Command {
    Append(Vec<Append>, Answer<Appended>),
    PutSnapshot(Snapshot, Answer<()>),
    PutRecords(Call),
    Forget(u64, Answer<()>),
    Remove(TaskId, Answer<bool>),
    Close(Answer<()>),
}

/// Hands commands to the thread. Dropping it waits until everything that was handed over is written.
#[derive(Debug)]
pub(super) struct Writer {
    commands: Option<mpsc::Sender<Command>>,
    announcing: Announcing,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// A thread that writes through `conn`; at most `queue` commands wait for it, further callers wait to hand theirs over.
    pub(super) fn start(
        conn: Connection,
        place: Place,
        queue: usize,
        limit: Limit,
    ) -> Result<Self, StoreError> {
        let (commands, received) = mpsc::channel(queue.max(1));
        let failed = place.clone();
        let announcing = Announcing::default();
        let work = Work {
            conn,
            place,
            limit,
            announcing: announcing.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("impresario-store".to_owned())
            .spawn(move || work.until_closed(received))
            .map_err(|error| failed.io(format!("its writer thread does not start: {error}")))?;
        Ok(Self {
            commands: Some(commands),
            announcing,
            thread: Some(thread),
        })
    }

    pub(super) async fn append(&self, batch: Vec<Append>) -> Result<Appended, StoreError> {
        self.ask(|answer| Command::Append(batch, answer)).await
    }

    pub(super) async fn put_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.ask(|answer| Command::PutSnapshot(snapshot, answer))
            .await
    }

    pub(super) async fn put_records(
        &self,
        changes: Vec<Change>,
    ) -> Result<group::Answer, StoreError> {
        self.ask(|answer| Command::PutRecords(Call { changes, answer }))
            .await
    }

    pub(super) fn announce(&self, what: Announce) {
        let announcing = self.announcing.write();
        *announcing.unwrap_or_else(PoisonError::into_inner) = Arc::new(what);
    }

    pub(super) async fn forget(&self, up_to: u64) -> Result<(), StoreError> {
        self.ask(|answer| Command::Forget(up_to, answer)).await
    }

    pub(super) async fn remove(&self, task: TaskId) -> Result<bool, StoreError> {
        self.ask(|answer| Command::Remove(task, answer)).await
    }

    /// Writes what waits, folds the log into the database and ends the thread.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.ask(Command::Close).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        let sent = commands.send(command(answer)).await;
        sent.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Work {
    conn: Connection,
    place: Place,
    limit: Limit,
    announcing: Announcing,
}

impl Work {
    /// An error is the answer to one command and changes nothing for the next: SQLite has rolled the transaction back.
    fn until_closed(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut next = None;
        // Whoever no longer waits for an answer does not want it.
        while let Some(command) = next.take().or_else(|| commands.blocking_recv()) {
            match command {
                Command::PutRecords(first) => next = self.put_records(first, &mut commands),
                Command::Close(answer) => {
                    commands.close();
                    let done = finish(self.conn);
                    let _ = answer.send(done.map_err(|failure| self.place.error(failure)));
                    return;
                }
                other => self.one(other),
            }
        }
        if let Err(failure) = finish(self.conn) {
            let error = self.place.error(failure);
            tracing::warn!(%error, "the store was not closed in an orderly way; nothing is lost");
        }
    }

    fn one(&mut self, command: Command) {
        let (conn, limit) = (&mut self.conn, self.limit);
        match command {
            Command::Append(batch, answer) => {
                let announce = self.announcing.read();
                let announce = announce.unwrap_or_else(PoisonError::into_inner).clone();
                let done = batch::append(conn, batch, limit, &announce);
                let _ = answer.send(done.map_err(|failure| self.place.error(failure)));
            }
            Command::PutSnapshot(snapshot, answer) => {
                let done = batch::put_snapshot(conn, snapshot, limit);
                let _ = answer.send(done.map_err(|failure| self.place.error(failure)));
            }
            Command::Forget(up_to, answer) => {
                let done = outbox::forget(conn, up_to);
                let _ = answer.send(done.map_err(|failure| self.place.error(failure)));
            }
            Command::Remove(task, answer) => {
                let done = remove::task(conn, task);
                let _ = answer.send(done.map_err(|failure| self.place.error(failure)));
            }
            Command::PutRecords(_) | Command::Close(_) => {}
        }
    }

    /// The command that came after the changes.
    fn put_records(
        &mut self,
        first: Call,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let waiting = || {
            Some(match commands.try_recv().ok()? {
                Command::PutRecords(call) => Ok(call),
                other => Err(other),
            })
        };
        let (group, next) = Group::gather(first, waiting);
        let done = records::put(&mut self.conn, group.calls());
        group.tell(done.map_err(|failure| self.place.error(failure)));
        next
    }
}

fn finish(conn: Connection) -> Result<(), Failure> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error.into())
}
