//! What a node keeps beside the journals of its tasks: projects, keys, agents, webhooks, settings, answers to repeated requests. Each
//! is a record: a small JSON document with a version, so that two who change it at once do not overwrite each other.
//!
//! A store that implements this also keeps the outbox: which events of which tasks are to be announced to others, written in the same
//! transaction as the events, so that nothing is announced that did not happen and nothing that happened is forgotten.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::event::Seq;
use crate::model::{RunId, TaskId, TaskStatus, Timestamp};

use super::{RunRow, StoreError, TaskRow};

/// The most bytes of a record's JSON: 1 MiB.
pub const RECORD_BYTES: usize = 1024 * 1024;

/// The most bytes of a kind or a key; neither may be empty or hold a NUL.
pub const KEY_BYTES: usize = 512;

/// The most records that are changed at once.
pub const PUTS: usize = 1_000;

/// The most bytes of what they say together: 16 MiB.
pub const PUTS_BYTES: usize = 16 * 1024 * 1024;

/// A document that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What it is: `project`, `key`, `webhook` …
    pub kind: String,
    /// Which it is among those of its kind.
    pub key: String,
    /// 1 when it is new, and one more with each change. A record that was removed and is made again goes on counting from 1.
    pub version: u64,
    /// When it was changed last.
    pub at: Timestamp,
    /// What it says.
    pub body: Value,
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The record's kind.
    pub kind: String,
    /// The record's key.
    pub key: String,
    /// Its version must be this one, after the changes before it of the same call; 0 if there must be no such record; none if it does
    /// not matter.
    pub expected: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// What it says from now on; none removes it, and removing what is not there is no mistake.
    pub body: Option<Value>,
}

/// A record was not as expected, and nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{key}` is at version {current}: somebody else changed it")]
pub struct Conflict {
    /// The record's kind.
    pub kind: String,
    /// The record's key.
    pub key: String,
    /// Its version; 0 if there is none.
    pub current: u64,
}

/// Which records to read, in the order of their keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordQuery {
    /// Their kind.
    pub kind: String,
    /// How their keys begin.
    pub prefix: String,
    /// Only keys after this one; empty for all.
    pub after: String,
    /// At most so many.
    pub limit: usize,
}

/// Which tasks to list, by their ids: newest first, or oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only those of this project.
    pub project: Option<String>,
    /// Only those that stand so; empty for all.
    pub statuses: Vec<TaskStatus>,
    /// Only those that come after this one in the order asked for.
    pub after: Option<TaskId>,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// At most so many.
    pub limit: usize,
}

/// An event that is to be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Its place in the outbox: higher for each later one, with gaps.
    pub position: u64,
    /// Its task.
    pub task: TaskId,
    /// Its number there.
    pub seq: Seq,
}

/// Which events go to the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Announce {
    /// None.
    #[default]
    Nothing,
    /// Those of these types.
    Types(BTreeSet<String>),
    /// All.
    Everything,
}

impl Announce {
    /// Whether events of this type go to the outbox.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Types(types) => types.contains(kind),
            Self::Everything => true,
        }
    }
}

/// A store of records, and of what a node asks of all tasks together.
pub trait Records: Send + Sync + 'static {
    /// One record.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn record(&self, kind: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>>;

    /// Records of a kind in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Record>, StoreError>>;

    /// Makes all changes in order, or none; the new versions, 0 for what was removed. As durable as an append when it returns.
    ///
    /// # Errors
    /// When the store cannot be written; [`StoreError::Refused`] for a record over [`RECORD_BYTES`], for a kind or a key that is empty,
    /// holds a NUL or is over [`KEY_BYTES`], and for more than [`PUTS`] changes or [`PUTS_BYTES`] in one call. Nothing is
    /// changed then.
    fn put_records(
        &self,
        puts: Vec<Put>,
    ) -> BoxFuture<'_, Result<Result<Vec<u64>, Conflict>, StoreError>>;

    /// A page of all tasks. Whoever asks for page after page sees each task that there was at the beginning once, whatever is created
    /// meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn page_of_tasks(&self, query: TaskQuery) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>>;

    /// A run, whichever task it belongs to.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn find_run(&self, run: RunId) -> BoxFuture<'_, Result<Option<RunRow>, StoreError>>;

    /// From now on these events go to the outbox, in the transaction that writes them, and no others. It is forgotten when the store is
    /// closed; the outbox is not. Where several nodes share a store, each announces what it writes itself.
    fn announce(&self, what: Announce);

    /// What is in the outbox after a position, in order. Whatever comes into it later has a higher position than all that was ever seen.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn announced(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Announced>, StoreError>>;

    /// Empties the outbox up to a position, which is none too high. Positions are not given a second time.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn forget_announced(&self, up_to: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes a task that has ended, with its runs, events and snapshots, with what of it is still in the outbox, and with the blobs
    /// that its events refer to and no other event does. Whether it was there.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is removed then. [`StoreError::Refused`] for a task that has not ended.
    fn remove_task(&self, task: TaskId) -> BoxFuture<'_, Result<bool, StoreError>>;
}
