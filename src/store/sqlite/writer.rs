//! The one thread that writes.

use std::thread::JoinHandle;

use actors::store::{Append, Appended, Snapshot, StoreError};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Limit};
use super::error::{Failure, Place};

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Command {
    Append(Vec<Append>, Answer<Appended>),
    PutSnapshot(Snapshot, Answer<()>),
    Close(Answer<()>),
}

/// Hands commands to the thread. Dropping it waits until everything that was handed over is written.
#[derive(Debug)]
pub(super) struct Writer {
    commands: Option<mpsc::Sender<Command>>,
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
        let thread = std::thread::Builder::new()
            .name("impresario-store".to_owned())
            .spawn(move || write(conn, &place, received, limit))
            .map_err(|error| failed.io(format!("its writer thread does not start: {error}")))?;
        Ok(Self {
            commands: Some(commands),
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

/// An error is the answer to one command and changes nothing for the next: SQLite has rolled the transaction back.
fn write(mut conn: Connection, place: &Place, mut commands: mpsc::Receiver<Command>, limit: Limit) {
    // Whoever no longer waits for an answer does not want it.
    while let Some(command) = commands.blocking_recv() {
        match command {
            Command::Append(batch, answer) => {
                let done = batch::append(&mut conn, batch, limit);
                let _ = answer.send(done.map_err(|failure| place.error(failure)));
            }
            Command::PutSnapshot(snapshot, answer) => {
                let done = batch::put_snapshot(&mut conn, snapshot, limit);
                let _ = answer.send(done.map_err(|failure| place.error(failure)));
            }
            Command::Close(answer) => {
                commands.close();
                let _ = answer.send(finish(conn).map_err(|failure| place.error(failure)));
                return;
            }
        }
    }
    if let Err(failure) = finish(conn) {
        let error = place.error(failure);
        tracing::warn!(%error, "the store was not closed in an orderly way; nothing is lost");
    }
}

fn finish(conn: Connection) -> Result<(), Failure> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error.into())
}
