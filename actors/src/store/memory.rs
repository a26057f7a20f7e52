//! A store that forgets at the end of the process: for embedding without a disk, and for tests.

mod records;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::model::{Event, EventBody, RunId, TaskId};

use super::project::Projection;
use super::{
    Append, Appended, EventQuery, Page, Rejected, RunRow, Snapshot, Store, StoreError, TaskRow,
};

/// Keeps everything in maps.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    /// In order of creation.
    rooms: BTreeMap<u64, Room>,
    index: BTreeMap<TaskId, u64>,
    runs: BTreeMap<RunId, RunRow>,
    blobs: BTreeMap<String, Vec<u8>>,
    snapshots: BTreeMap<RunId, Snapshot>,
    /// How many events refer to a blob.
    uses: BTreeMap<String, u64>,
    kept: records::Kept,
}

#[derive(Debug)]
struct Room {
    row: TaskRow,
    /// In order of creation.
    runs: Vec<RunId>,
    events: Vec<Event>,
}

impl Memory {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn room(&self, task: TaskId) -> Option<&Room> {
        self.rooms.get(self.index.get(&task)?)
    }

    fn write(&mut self, append: Append) -> Result<Vec<Event>, Rejected> {
        let named = Projection::runs_of(&append);
        let known = named.iter().filter_map(|run| self.runs.get(run));
        let mut rows = Projection {
            task: self.room(append.task).map(|room| room.row.clone()),
            runs: known.map(|row| (row.id, row.clone())).collect(),
        };
        let events = rows.apply(&append)?;
        if let Some(row) = rows.task {
            self.enter(row, &events);
        }
        self.runs.extend(rows.runs);
        for blob in append.blobs {
            self.blobs.entry(blob.hash).or_insert(blob.bytes);
        }
        Ok(events)
    }

    fn enter(&mut self, row: TaskRow, events: &[Event]) {
        let newest = self.rooms.last_key_value().map_or(0, |(at, _)| *at);
        let at = *self.index.entry(row.id).or_insert(newest + 1);
        let room = self.rooms.entry(at).or_insert_with(|| Room {
            row: row.clone(),
            runs: Vec::new(),
            events: Vec::new(),
        });
        room.row = row;
        room.events.extend_from_slice(events);
        self.kept.announce(events);
        for hash in events.iter().filter_map(|event| event.body.blob()) {
            *self.uses.entry(hash.to_owned()).or_default() += 1;
        }
        let queued = |event: &&Event| matches!(event.body, EventBody::RunQueued { .. });
        let runs = events.iter().filter(queued).filter_map(|it| it.run_id);
        room.runs.extend(runs);
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
            .room(query.task)
            .map_or(&[][..], |room| room.events.as_slice());
        let from = events.partition_point(|event| event.id <= query.after);
        done(events[from..].iter().take(query.limit).cloned().collect())
    }

    fn events_for(&self, query: EventQuery, run: RunId) -> BoxFuture<'_, Result<Page, StoreError>> {
        let tables = self.tables();
        let events = tables
            .room(query.task)
            .map_or(&[][..], |room| room.events.as_slice());
        let from = events.partition_point(|event| event.id <= query.after);
        let page = &events[from..events.len().min(from.saturating_add(query.limit))];
        let delegated = |by: RunId| {
            tables
                .runs
                .get(&by)
                .is_some_and(|row| row.parent == Some(run))
        };
        let concerns = |event: &&Event| match event.run_id {
            _ if matches!(event.body, EventBody::TaskMessage { .. }) => true,
            Some(by) => by == run || delegated(by),
            None => true,
        };
        done(Page {
            events: page.iter().filter(concerns).cloned().collect(),
            last: page.last().map_or(query.after, |event| event.id),
            is_end: page.len() < query.limit,
        })
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        let tables = self.tables();
        let rows = tables.rooms.values().map(|room| &room.row);
        done(
            rows.filter(|task| !(unfinished && task.status.is_terminal()))
                .cloned()
                .collect(),
        )
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        done(self.tables().room(id).map(|room| room.row.clone()))
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        let tables = self.tables();
        let ids = tables.room(task).map_or(&[][..], |room| &room.runs);
        done(ids.iter().map(|run| tables.runs[run].clone()).collect())
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        done(self.tables().blobs.get(&hash).cloned())
    }

    fn put_snapshot(&self, mut snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        snapshot.body.shrink_to_fit();
        let mut tables = self.tables();
        let newest = tables.snapshots.get(&snapshot.run).map(|old| old.seq);
        if newest.is_none_or(|newest| newest <= snapshot.seq) {
            tables.snapshots.insert(snapshot.run, snapshot);
        }
        done(())
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        done(self.tables().snapshots.get(&run).cloned())
    }
}
