//! A store that forgets at the end of the process: for embedding without a disk, and for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::model::{Event, RunId, TaskId};

use super::project::Projection;
use super::{Append, Appended, EventQuery, Rejected, RunRow, Snapshot, Store, StoreError, TaskRow};

/// Keeps everything in maps.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    tasks: BTreeMap<TaskId, TaskRow>,
    runs: BTreeMap<RunId, RunRow>,
    events: BTreeMap<TaskId, Vec<Event>>,
    blobs: BTreeMap<String, Vec<u8>>,
    snapshots: BTreeMap<RunId, Snapshot>,
}

impl Memory {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn write(&mut self, append: Append) -> Result<Vec<Event>, Rejected> {
        let mut rows = Projection {
            task: self.tasks.get(&append.task).cloned(),
            ..Projection::default()
        };
        for run in Projection::runs_of(&append) {
            rows.runs
                .extend(self.runs.get(&run).map(|row| (run, row.clone())));
        }
        let events = rows.apply(&append)?;
        self.tasks.extend(rows.task.map(|task| (append.task, task)));
        self.runs.extend(rows.runs);
        self.events
            .entry(append.task)
            .or_default()
            .extend(events.iter().cloned());
        self.blobs
            .extend(append.blobs.into_iter().map(|blob| (blob.hash, blob.bytes)));
        Ok(events)
    }
}

fn done<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, StoreError>> {
    ready(Ok(value)).boxed()
}

impl Store for Memory {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let mut tables = self.tables();
        done(
            batch
                .into_iter()
                .map(|append| tables.write(append))
                .collect(),
        )
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        let tables = self.tables();
        let events = tables
            .events
            .get(&query.task)
            .map_or(&[][..], Vec::as_slice);
        let from = events.partition_point(|event| event.id <= query.after);
        done(events[from..].iter().take(query.limit).cloned().collect())
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        done(
            self.tables()
                .tasks
                .values()
                .filter(|task| !(unfinished && task.status.is_terminal()))
                .cloned()
                .collect(),
        )
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        done(self.tables().tasks.get(&id).cloned())
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        done(
            self.tables()
                .runs
                .values()
                .filter(|run| run.task == task)
                .cloned()
                .collect(),
        )
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        done(self.tables().blobs.get(&hash).cloned())
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.tables().snapshots.insert(snapshot.run, snapshot);
        done(())
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        done(self.tables().snapshots.get(&run).cloned())
    }
}
