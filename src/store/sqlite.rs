//! SQLite: one file, one writer thread, a few readers.
//!
//! A batch is one transaction. With [`Durability::Power`] it is on the disk when it is acknowledged. Every row ends with a checksum,
//! so what is damaged on the disk is an error and never data; what is stored can be read with the `sqlite3` shell (view `journal`).
//! Reading is done on tokio's blocking threads, so the store's futures must be awaited in a tokio runtime.

mod batch;
mod connect;
mod error;
mod events;
mod inspect;
mod kinds;
mod lists;
mod log;
mod outbox;
mod pages;
mod query;
mod readers;
mod records;
mod remove;
mod rows;
mod schema;
mod seal;
mod writer;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::model::{Event, RunId, TaskId};
use actors::store::version::Change;
use actors::store::{
    Announce, Announced, Append, Appended, Conflict, EventQuery, Page, Put, Record, RecordQuery,
    Records, RunRow, Snapshot, Store, StoreError, TaskQuery, TaskRow,
};
use futures_util::future::{BoxFuture, FutureExt};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::reason;
use connect::{Access, connect, prepare};
use error::{Failure, Place};
use readers::Readers;
use writer::Writer;

/// What an acknowledged append survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// A power cut: every batch waits for the disk.
    #[default]
    Power,
    /// The death of the process. Faster; a power cut may take the last batches, never a part of one.
    Process,
}

/// How to open a [`Sqlite`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The database file. Its folder must exist.
    pub path: PathBuf,
    /// What an acknowledged append survives.
    pub durability: Durability,
    /// How long to wait for a lock that another process holds; 5 s.
    pub busy_timeout: Duration,
    /// How many reads go on at once; further ones wait. 4.
    pub readers: u16,
    /// How many batches wait for the writer; further callers wait to hand theirs over. 64.
    pub queue: usize,
    /// The largest event, blob or snapshot, in bytes; 256 MiB.
    pub item_bytes: usize,
    /// The largest database, in pages of 1 KiB, where there is to be a limit: at it the store is [full](StoreError::Full).
    pub max_pages: Option<u32>,
}

impl Options {
    /// The defaults, for a database at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            readers: 4,
            queue: 64,
            item_bytes: 256 * 1024 * 1024,
            max_pages: None,
        }
    }
}

/// A store in an SQLite database.
///
/// Dropping it writes what was handed over, folds the log into the database and waits for both; [`Sqlite::close`] does the same
/// without blocking and says whether it went well.
#[derive(Debug)]
pub struct Sqlite {
    // Dropped first: the connection that is closed last cleans up.
    readers: Readers,
    writer: Writer,
    place: Place,
}

impl Sqlite {
    /// Opens the database, makes it if there is none, and brings its schema up to date. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a file that is not a store, [`StoreError::TooNew`] for one of a later program,
    /// [`StoreError::InUse`] for one that another process keeps locked, otherwise [`StoreError::Full`] or [`StoreError::Io`].
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let path = std::path::absolute(&options.path);
        let place = Place::new(path.unwrap_or_else(|_| options.path.clone()));
        let conn = open(&place, &options)?;
        let access = Access {
            busy_timeout: options.busy_timeout,
            write: false,
        };
        Ok(Self {
            readers: Readers::new(place.clone(), access, options.readers),
            writer: Writer::start(conn, place.clone(), options.queue, options.item_bytes)?,
            place,
        })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Looks at every page and every row. Takes as long as reading the whole file.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage found.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.readers.read(|tx| inspect::everything(tx)).await
    }

    /// Waits for what was handed over, folds the log into the database and closes it. Whatever is asked later is
    /// [`StoreError::Closed`].
    ///
    /// # Errors
    /// When the log could not be folded in (the next opening does it; nothing is lost), or when it was closed before.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }
}

fn open(place: &Place, options: &Options) -> Result<Connection, StoreError> {
    touch(place.path()).map_err(|error| untouchable(place, &error))?;
    let access = Access {
        busy_timeout: options.busy_timeout,
        write: true,
    };
    let failed = |failure: Failure| place.error(failure);
    let mut conn = connect(place.path(), access).map_err(failed)?;
    // After a power cut a store that does not wait for the disk may end anywhere.
    if options.durability == Durability::Power {
        log::check(&mut conn, place.path()).map_err(failed)?;
    }
    schema::recognise(&mut conn, place, schema::MIGRATIONS)?;
    prepare(&conn, options.durability, options.max_pages).map_err(failed)?;
    schema::migrate(&mut conn, place, schema::MIGRATIONS)?;
    log::fold(&conn).map_err(failed)?;
    inspect::indexes(&conn).map_err(failed)?;
    Ok(conn)
}

/// Makes the file if it is not there, for its owner alone.
fn touch(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(|_| ())
}

fn untouchable(place: &Place, error: &io::Error) -> StoreError {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "make its folder first, or choose another place",
        io::ErrorKind::StorageFull => {
            let (place, detail) = (place.path().display().to_string(), reason(error));
            return StoreError::Full { place, detail };
        }
        _ => "choose a place that this user may write to",
    };
    place.io(format!(
        "it cannot be opened for writing ({}): {advice}",
        reason(error)
    ))
}

impl Store for Sqlite {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        self.writer.append(batch).boxed()
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.readers
            .read(move |tx| pages::events(tx, query))
            .boxed()
    }

    fn events_for(&self, query: EventQuery, run: RunId) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.readers
            .read(move |tx| pages::events_for(tx, query, run))
            .boxed()
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.readers
            .read(move |tx| query::tasks(tx, unfinished))
            .boxed()
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        self.readers
            .read(move |tx| Ok(query::task(tx, id)?.map(|(_, row)| row)))
            .boxed()
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        self.readers.read(move |tx| query::runs(tx, task)).boxed()
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.readers.read(move |tx| query::blob(tx, &hash)).boxed()
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.put_snapshot(snapshot).boxed()
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.readers
            .read(move |tx| query::snapshot(tx, run))
            .boxed()
    }
}

impl Records for Sqlite {
    fn record(&self, kind: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.readers
            .read(move |tx| records::record(tx, &kind, &key))
            .boxed()
    }

    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        self.readers
            .read(move |tx| records::records(tx, &query))
            .boxed()
    }

    fn put_records(
        &self,
        puts: Vec<Put>,
    ) -> BoxFuture<'_, Result<Result<Vec<u64>, Conflict>, StoreError>> {
        async { self.writer.put_records(Change::all(puts)?).await }.boxed()
    }

    fn page_of_tasks(&self, query: TaskQuery) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.readers
            .read(move |tx| lists::tasks(tx, &query))
            .boxed()
    }

    fn find_run(&self, run: RunId) -> BoxFuture<'_, Result<Option<RunRow>, StoreError>> {
        self.readers
            .read(move |tx| Ok(query::run(tx, run, None)?.map(|(_, row)| row)))
            .boxed()
    }

    fn announce(&self, what: Announce) {
        self.writer.announce(what);
    }

    fn announced(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Announced>, StoreError>> {
        self.readers
            .read(move |tx| outbox::announced(tx, after, limit))
            .boxed()
    }

    fn forget_announced(&self, up_to: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.forget(up_to).boxed()
    }

    fn remove_task(&self, task: TaskId) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.writer.remove(task).boxed()
    }
}
