//! PostgreSQL: one connection that writes, a few that read, on a thread of their own.
//!
//! A batch is one transaction. With [`Durability::Power`] it is on the server's disk when it is acknowledged. Several nodes may share a
//! database: whoever appends locks the task's row, so numbers have neither gaps nor doubles, and a run's epoch is compared under that
//! lock. What is stored can be read with `psql` (view `journal`). Damage on the server's disk is for the server to notice (`initdb
//! --data-checksums`); an event that is missing, and a row that cannot be understood, is an error here as well.
//!
//! Where the server is away, an append fails at once with an error that [may pass](StoreError::may_pass), and nothing was written; reads
//! wait a while. Where the connection breaks before a commit is answered, the store connects again and asks whether it was written: each
//! transaction marks itself in the table `writers`. If nobody can say so in time, the append fails as well, and is asked about before the
//! next one; the same append is then acknowledged and not written twice. So the store must be spoken to by the session: a pooler that
//! hands each transaction to another one is not for it.

mod batch;
mod changes;
mod error;
mod link;
mod lists;
mod query;
mod readers;
mod records;
mod remove;
mod rows;
mod schema;
mod thread;
mod tls;
mod url;
mod writer;

use std::time::Duration;

use actors::model::{Event, RunId, Seq, TaskId};
use actors::store::version::Change;
use actors::store::{
    Announce, Announced, Append, Appended, Conflict, EventQuery, Page, Put, Record, RecordQuery,
    Records, RunRow, Snapshot, Store, StoreError, TaskQuery, TaskRow,
};
use futures_util::future::{BoxFuture, FutureExt};
use tokio_postgres::Row;

use super::Durability;
use super::group::Call;
use error::Failure;
use readers::{Readers, Values};
use rows::{get, kept};
use thread::Thread;
use writer::Command;

pub use url::{Url, UrlError};

/// The largest value that PostgreSQL takes with room to spare.
const ITEM_BYTES: usize = 512 * 1024 * 1024;

/// Events read at a time where all are looked at.
const PAGE: usize = 1024;

/// How to open a [`Postgres`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The database.
    pub url: Url,
    /// What an acknowledged append survives.
    pub durability: Durability,
    /// How long to try each of a host's addresses, unless the URL has a `connect_timeout`; 5 s.
    pub connect_timeout: Duration,
    /// How long the server may work on one statement; 30 s. An answer that takes 5 s more is not waited for.
    pub statement_timeout: Duration,
    /// How long to wait for rows that another node has locked, and how long rows stay locked for one that was cut off; 10 s.
    pub lock_timeout: Duration,
    /// How long a read waits for a server that is away, and how long the answer to a commit is asked for when it was lost; 20 s.
    pub patience: Duration,
    /// How many reads go on at once, each on a connection of its own; further ones wait. 4.
    pub readers: u16,
    /// How many batches wait for the writer; further callers wait to hand theirs over. 64.
    pub queue: usize,
    /// The largest event, blob or snapshot, in bytes; 256 MiB, and no more than 512.
    pub item_bytes: usize,
}

impl Options {
    /// The defaults, for a database.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            durability: Durability::default(),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(20),
            readers: 4,
            queue: 64,
            item_bytes: 256 * 1024 * 1024,
        }
    }
}

/// A store in a PostgreSQL database.
///
/// Dropping it writes what was handed over and waits for that; [`Postgres::close`] does the same without blocking and says whether it
/// went well.
#[derive(Debug)]
pub struct Postgres {
    readers: Readers,
    // Dropped last: the readers' work is done on it.
    thread: Thread,
    url: Url,
}

impl Postgres {
    /// Connects, and brings the schema up to date, making it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`] for a server that is away or does not let this program in, [`StoreError::TooNew`] for a schema of a later
    /// program, [`StoreError::Corrupt`] for one that is no store, [`StoreError::InUse`] while somebody else keeps it locked.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        let options = Options {
            item_bytes: options.item_bytes.min(ITEM_BYTES),
            ..options
        };
        let access = link::Access::new(&options);
        let thread = Thread::start(&access, &options).await?;
        let readers = Readers::new(thread.runtime(), access, options.readers, options.patience);
        let url = options.url;
        Ok(Self {
            readers,
            thread,
            url,
        })
    }

    /// The database.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Looks at every row. Takes as long as reading all of them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first damage found.
    pub async fn check(&self) -> Result<(), StoreError> {
        for task in self.tasks(false).await? {
            self.runs(task.id).await?;
            let (mut after, limit) = (0, PAGE);
            while after < task.head {
                let task = task.id;
                let events = self.events(EventQuery { task, after, limit }).await?;
                after = events.last().map_or(u64::MAX, |event| event.id);
            }
        }
        let (mut kind, mut key) = (String::new(), String::new());
        loop {
            let after = records::name_values(&kind, &key);
            let some = self.read(records::SOME, after, records::some).await?;
            let Some(last) = some.into_iter().next_back() else {
                break;
            };
            (kind, key) = (last.kind, last.key);
        }
        let hashes = self.readers.query(query::HASHES, Vec::new()).await?;
        for row in &hashes {
            let hash: String = self.understood(get(row, 0))?;
            let bytes = self.blob(hash.clone()).await?.unwrap_or_default();
            if blake3::hash(&bytes).to_hex().as_str() != hash {
                let wrong = format!("blob {hash} is not as it was written");
                return self.understood(Err(Failure::Damage(wrong)));
            }
        }
        Ok(())
    }

    /// Waits for what was handed over and closes the connections. Whatever is asked later is [`StoreError::Closed`].
    ///
    /// # Errors
    /// When the server is away (nothing acknowledged is lost), or when it was closed before.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.thread.ask(Command::Close).await
    }

    async fn read<T>(
        &self,
        sql: &'static str,
        values: Values,
        understand: impl FnOnce(&[Row]) -> Result<T, Failure> + Send,
    ) -> Result<T, StoreError> {
        let rows = self.readers.query(sql, values).await?;
        self.understood(understand(&rows))
    }

    fn understood<T>(&self, read: Result<T, Failure>) -> Result<T, StoreError> {
        read.map_err(|failure| self.readers.error(&failure))
    }
}

impl Store for Postgres {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        self.thread
            .ask(|answer| Command::Append(batch, answer))
            .boxed()
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        let understand = move |rows: &[Row]| query::events(query, rows);
        self.read(query::EVENTS, query::events_values(query), understand)
            .boxed()
    }

    fn events_for(&self, query: EventQuery, run: RunId) -> BoxFuture<'_, Result<Page, StoreError>> {
        let mut values = query::events_values(query);
        values.push(Box::new(run.0));
        let understand = move |rows: &[Row]| query::events_for(query, rows);
        self.read(query::EVENTS_FOR, values, understand).boxed()
    }

    fn events_at(
        &self,
        task: TaskId,
        numbers: Vec<Seq>,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        let wanted: Vec<_> = numbers.iter().map(|number| rows::number(*number)).collect();
        let values: Values = vec![Box::new(task.0), Box::new(wanted)];
        let understand = move |rows: &[Row]| query::events_at(task, &numbers, rows);
        self.read(query::EVENTS_AT, values, understand).boxed()
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        let sql = if unfinished {
            query::UNFINISHED
        } else {
            query::TASKS
        };
        self.read(sql, Vec::new(), query::tasks).boxed()
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        let first = |rows: &[Row]| rows.first().map(rows::task).transpose();
        self.read(query::TASK, vec![Box::new(id.0)], first).boxed()
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        let values: Values = vec![Box::new(task.0)];
        self.read(query::RUNS, values, query::runs).boxed()
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let values: Values = vec![Box::new(kept(&hash).into_owned())];
        let first = |rows: &[Row]| rows.first().map(|row| get(row, 0)).transpose();
        self.read(query::BLOB, values, first).boxed()
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.thread
            .ask(|answer| Command::PutSnapshot(snapshot, answer))
            .boxed()
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        let understand = move |rows: &[Row]| query::snapshot(run, rows);
        self.read(query::SNAPSHOT, vec![Box::new(run.0)], understand)
            .boxed()
    }
}

impl Records for Postgres {
    fn record(&self, kind: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        let first = |rows: &[Row]| rows.first().map(records::record).transpose();
        self.read(records::RECORD, records::name_values(kind, key), first)
            .boxed()
    }

    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        let values = records::query_values(&query);
        let understand = move |rows: &[Row]| records::beginning(&query.prefix, rows);
        self.read(records::RECORDS, values, understand).boxed()
    }

    fn put_records(
        &self,
        puts: Vec<Put>,
    ) -> BoxFuture<'_, Result<Result<Vec<u64>, Conflict>, StoreError>> {
        async {
            let changes = Change::all(puts)?;
            self.thread
                .ask(|answer| Command::PutRecords(Call { changes, answer }))
                .await
        }
        .boxed()
    }

    fn page_of_tasks(&self, query: TaskQuery) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        async move {
            match self.understood(lists::page(&query))? {
                Some((sql, values)) => self.read(sql, values, query::tasks).await,
                None => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn find_run(&self, run: RunId) -> BoxFuture<'_, Result<Option<RunRow>, StoreError>> {
        let first = |rows: &[Row]| rows.first().map(rows::run).transpose();
        self.read(query::RUN, vec![Box::new(run.0)], first).boxed()
    }

    fn announce(&self, what: Announce) {
        self.thread.announce(what);
    }

    fn announced(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Announced>, StoreError>> {
        let values = lists::announced_values(after, limit);
        self.read(lists::ANNOUNCED, values, lists::announced)
            .boxed()
    }

    fn forget_announced(&self, up_to: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.thread
            .ask(move |answer| Command::Forget(up_to, answer))
            .boxed()
    }

    fn remove_task(&self, task: TaskId) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.thread
            .ask(move |answer| Command::Remove(task, answer))
            .boxed()
    }
}
