//! The contract of everything that remembers: append atomically, read in order.
//!
//! One writer, the journal, stands in front of a store; readers may come from anywhere. An implementation stores events,
//! and in the same transaction the rows that [`project`](project::Projection) makes of them. It decides nothing: which appends are
//! fenced or illegal is computed by the shared projection, so all stores agree. The public suite
//! `testing::conformance::store` says what an implementation must do.

pub mod memory;
pub mod project;
pub mod records;
pub mod version;
mod walk;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::model::event::{EventBody, Seq};
use crate::model::{AgentName, Event, RunId, TaskId, Timestamp};

pub use memory::Memory;
pub use project::{Illegal, RunRow, TaskRow};
pub use records::{Announce, Announced, Conflict, Put, Record, RecordQuery, Records, TaskQuery};
pub use walk::each_event;

/// What led to an event that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// An event of the same task.
    Event(Seq),
    /// The draft at this place of the same append, from 0; it stands before the one that it leads to.
    Draft(usize),
}

impl Cause {
    pub(crate) fn is_draft(self) -> bool {
        matches!(self, Self::Draft(_))
    }
}

impl From<Seq> for Cause {
    fn from(event: Seq) -> Self {
        Self::Event(event)
    }
}

/// One event to be written; the store gives it its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The run it belongs to, if any.
    pub run: Option<RunId>,
    /// That run's agent.
    pub agent: Option<AgentName>,
    /// When.
    pub at: Timestamp,
    /// The run's epoch; 0 for events of the task.
    pub epoch: u64,
    /// What led to it; none if that is outside of the task's journal: a person, a crash, the clock.
    pub cause: Option<Cause>,
    /// What happened.
    pub body: EventBody,
}

/// A large text, stored once under the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// BLAKE3 in hex.
    pub hash: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Events that are written together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The task they belong to.
    pub task: TaskId,
    /// The append is refused unless the run's stored epoch is exactly this one.
    pub fence: Option<(RunId, u64)>,
    /// The events, in order.
    pub drafts: Vec<Draft>,
    /// The blobs they refer to.
    pub blobs: Vec<Blob>,
}

/// Why one append of a batch was not written. The others of the batch were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A later incarnation has claimed the run: the writer must stop without any further effect.
    #[error(
        "{run} is at epoch {current}, the writer at {given}: a later incarnation has taken over"
    )]
    Fenced {
        /// The run.
        run: RunId,
        /// Its epoch.
        current: u64,
        /// The writer's.
        given: u64,
    },
    /// The events do not fit the state they would be applied to.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

/// A state of a run's fold at one event, so that the fold need not begin at the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The run.
    pub run: RunId,
    /// The last event that is folded in.
    pub seq: Seq,
    /// The state; its format is the run's own business.
    pub body: Vec<u8>,
}

/// Which events to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventQuery {
    /// The task.
    pub task: TaskId,
    /// Only events with a higher number.
    pub after: Seq,
    /// At most so many.
    pub limit: usize,
}

/// A part of a task's journal, as far as it concerns somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What concerns them, in order.
    pub events: Vec<Event>,
    /// The last event that was looked at.
    pub last: Seq,
    /// Whether there is no more at the moment.
    pub is_end: bool,
}

/// A store that cannot do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space left. Nothing of the batch was written.
    #[error(
        "the disk is full at {place}: free some space, then try again; nothing was lost ({detail})"
    )]
    Full {
        /// Where.
        place: String,
        /// What the system said.
        detail: String,
    },
    /// Somebody else holds it.
    #[error("{place} is in use by {by}: stop that process or choose another data folder")]
    InUse {
        /// Where.
        place: String,
        /// By whom.
        by: String,
    },
    /// What is on disk is not what was written.
    #[error("{place} is damaged: {detail}; restore it from a copy, nothing is started over it")]
    Corrupt {
        /// Where.
        place: String,
        /// How.
        detail: String,
    },
    /// It was written by a later version of the program.
    #[error(
        "{place} has schema version {found}, this program knows up to {known}: use the newer program"
    )]
    TooNew {
        /// Where.
        place: String,
        /// The version found.
        found: u32,
        /// The latest version known.
        known: u32,
    },
    /// Anything else the system refuses.
    #[error("{place}: {detail}")]
    Io {
        /// Where.
        place: String,
        /// What the system said.
        detail: String,
    },
    /// What is asked for is never done, however often it is asked for. Nothing was changed.
    #[error("{subject}: {why}")]
    Refused {
        /// What it was to be done to.
        subject: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same batch may succeed a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::InUse { .. } | Self::Io { .. }
        )
    }
}

/// The events of each append of a batch, numbered, or why that append was refused.
pub type Appended = Vec<Result<Vec<Event>, Rejected>>;

/// Something that remembers.
pub trait Store: Send + Sync + 'static {
    /// Writes a batch in one transaction. When it returns `Ok`, every accepted append is as durable as the store promises. Dropping
    /// the future takes nothing back: the batch may still be written.
    ///
    /// # Errors
    /// On an error nothing of the batch was written.
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>>;

    /// Events of a task in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] at an event that cannot be read, naming it.
    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;

    /// Like [`Store::events`], but of those only what concerns one run has to be in the answer: its own events, those of the runs it
    /// delegated, those of the task as a whole, and what was said in the room. So that a task of many runs is not read whole by each of them.
    ///
    /// # Errors
    /// As [`Store::events`].
    fn events_for(&self, query: EventQuery, run: RunId) -> BoxFuture<'_, Result<Page, StoreError>> {
        let _ = run;
        Box::pin(async move {
            let events = self.events(query).await?;
            Ok(Page {
                last: events.last().map_or(query.after, |event| event.id),
                is_end: events.len() < query.limit,
                events,
            })
        })
    }

    /// The events of a task with these numbers, in order; those that are not there are left out.
    ///
    /// # Errors
    /// As [`Store::events`].
    fn events_at(
        &self,
        task: TaskId,
        numbers: Vec<Seq>,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        Box::pin(async move {
            let mut events = Vec::with_capacity(numbers.len());
            for number in numbers {
                let query = EventQuery {
                    task,
                    after: number.saturating_sub(1),
                    limit: 1,
                };
                events.extend(
                    self.events(query)
                        .await?
                        .into_iter()
                        .filter(|event| event.id == number),
                );
            }
            Ok(events)
        })
    }

    /// All tasks in order of creation; with `unfinished`, only those that have not ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>>;

    /// One task.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>>;

    /// The runs of a task in order of creation.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>>;

    /// The bytes stored under a hash; `None` if none were ever stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Keeps a run's newest snapshot: an older one is forgotten, and one that comes after a newer one is not kept. Losing a snapshot
    /// costs time and nothing else.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A run's newest snapshot.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>>;
}
