//! Records, the outbox, and what is asked of all tasks together.

use std::collections::BTreeMap;
use std::ops::Bound;

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::model::event::Seq;
use crate::model::{Event, RunId, TaskId};
use crate::store::version::{Change, Versions};
use crate::store::{
    Announce, Announced, Conflict, Put, Record, RecordQuery, Records, RunRow, StoreError,
    TaskQuery, TaskRow,
};

use super::{Memory, Tables, done};

/// What is kept beside the tasks.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By kind and key.
    records: BTreeMap<(String, String), Record>,
    announce: Announce,
    outbox: BTreeMap<u64, (TaskId, Seq)>,
    /// The newest position that was given.
    newest: u64,
}

impl Kept {
    /// Puts those events into the outbox that are to be announced.
    pub(super) fn announce(&mut self, events: &[Event]) {
        for event in events {
            if self.announce.has(event.body.kind()) {
                self.newest += 1;
                self.outbox.insert(self.newest, (event.task_id, event.id));
            }
        }
    }

    fn put(&mut self, puts: Vec<Put>) -> Result<Result<Vec<u64>, Conflict>, StoreError> {
        let bodies: Vec<_> = puts.iter().map(|put| put.body.clone()).collect();
        let changes = Change::all(puts)?;
        let mut versions = Versions::default();
        for change in &changes {
            let name = (change.kind.clone(), change.key.clone());
            let found = self.records.get(&name).map_or(0, |record| record.version);
            versions.know(&change.kind, &change.key, found);
        }
        Ok(versions.apply(&changes).inspect(|versions| {
            for ((change, body), version) in changes.into_iter().zip(bodies).zip(versions) {
                self.set(change, body, *version);
            }
        }))
    }

    fn set(&mut self, change: Change, body: Option<serde_json::Value>, version: u64) {
        let name = (change.kind.clone(), change.key.clone());
        let Some(body) = body else {
            self.records.remove(&name);
            return;
        };
        let record = Record {
            kind: change.kind,
            key: change.key,
            version,
            at: change.at,
            body,
        };
        self.records.insert(name, record);
    }

    fn list(&self, query: &RecordQuery) -> Vec<Record> {
        let from = match query.after < query.prefix {
            true => Bound::Included((query.kind.clone(), query.prefix.clone())),
            false => Bound::Excluded((query.kind.clone(), query.after.clone())),
        };
        let found = self.records.range((from, Bound::Unbounded));
        let fits =
            |record: &&Record| record.kind == query.kind && record.key.starts_with(&query.prefix);
        let found = found.map(|(_, record)| record).take_while(fits);
        found.take(query.limit).cloned().collect()
    }
}

impl Tables {
    fn page(&self, query: &TaskQuery) -> Vec<TaskRow> {
        let wanted = |row: &TaskRow| {
            let of_project = query.project.as_ref().is_none_or(|it| *it == row.project);
            of_project && (query.statuses.is_empty() || query.statuses.contains(&row.status))
        };
        let row = |at: &u64| self.rooms.get(at).map(|room| &room.row);
        let all = self.index.iter();
        let page: Box<dyn Iterator<Item = _>> = match (query.newest_first, query.after) {
            (true, None) => Box::new(all.rev()),
            (true, Some(after)) => Box::new(self.index.range(..after).rev()),
            (false, None) => Box::new(all),
            (false, Some(after)) => {
                let later = (Bound::Excluded(after), Bound::Unbounded);
                Box::new(self.index.range(later))
            }
        };
        let page = page.filter_map(|(_, at)| row(at)).filter(|row| wanted(row));
        page.take(query.limit).cloned().collect()
    }

    fn remove(&mut self, task: TaskId) -> Result<bool, StoreError> {
        let Some(room) = self.room(task) else {
            return Ok(false);
        };
        room.row.removable()?;
        let room = self
            .index
            .remove(&task)
            .and_then(|at| self.rooms.remove(&at));
        let Some(room) = room else {
            return Ok(false);
        };
        for run in &room.runs {
            self.runs.remove(run);
            self.snapshots.remove(run);
        }
        for hash in room.events.iter().filter_map(|event| event.body.blob()) {
            self.release(hash);
        }
        self.kept.outbox.retain(|_, (of, _)| *of != task);
        Ok(true)
    }

    /// One event less refers to a blob.
    fn release(&mut self, hash: &str) {
        let left = self.uses.get(hash).map_or(0, |uses| uses.saturating_sub(1));
        match left {
            0 => {
                self.uses.remove(hash);
                self.blobs.remove(hash);
            }
            left => {
                self.uses.insert(hash.to_owned(), left);
            }
        }
    }
}

impl Records for Memory {
    fn record(&self, kind: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        let name = (kind.to_owned(), key.to_owned());
        done(self.tables().kept.records.get(&name).cloned())
    }

    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        done(self.tables().kept.list(&query))
    }

    fn put_records(
        &self,
        puts: Vec<Put>,
    ) -> BoxFuture<'_, Result<Result<Vec<u64>, Conflict>, StoreError>> {
        ready(self.tables().kept.put(puts)).boxed()
    }

    fn page_of_tasks(&self, query: TaskQuery) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        done(self.tables().page(&query))
    }

    fn find_run(&self, run: RunId) -> BoxFuture<'_, Result<Option<RunRow>, StoreError>> {
        done(self.tables().runs.get(&run).cloned())
    }

    fn announce(&self, what: Announce) {
        self.tables().kept.announce = what;
    }

    fn announced(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Announced>, StoreError>> {
        let tables = self.tables();
        let later = (Bound::Excluded(after), Bound::Unbounded);
        let found = tables.kept.outbox.range(later).take(limit);
        let announced = |(position, (task, seq)): (&u64, &(TaskId, Seq))| Announced {
            position: *position,
            task: *task,
            seq: *seq,
        };
        done(found.map(announced).collect())
    }

    fn forget_announced(&self, up_to: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.tables()
            .kept
            .outbox
            .retain(|position, _| *position > up_to);
        done(())
    }

    fn remove_task(&self, task: TaskId) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(self.tables().remove(task)).boxed()
    }
}
