//! What is written, inside one transaction each.

use std::collections::BTreeMap;

use actors::model::{Event, RunId, TaskId};
use actors::store::project::Projection;
use actors::store::{
    Announce, Append, Appended, Blob, Illegal, Rejected, RunRow, Snapshot, TaskRow,
};
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};

use super::error::Failure;
use super::events::{self, Keys, event_columns};
use super::rows::{run_columns, run_values, task_columns, task_values};
use super::{kinds, outbox, query};

/// The most that one thing may be, in bytes.
pub(super) type Limit = usize;

/// Writes a batch, whole or not at all.
pub(super) fn append(
    conn: &mut Connection,
    batch: Vec<Append>,
    limit: Limit,
    announce: &Announce,
) -> Result<Appended, Failure> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answers = batch
        .into_iter()
        .map(|append| one(&tx, append, limit, announce))
        .collect::<Result<_, _>>()?;
    tx.commit()?;
    Ok(answers)
}

/// Writes nothing unless it writes all, so a refusal leaves the transaction as it was.
fn one(
    tx: &Transaction<'_>,
    append: Append,
    limit: Limit,
    announce: &Announce,
) -> Result<Result<Vec<Event>, Rejected>, Failure> {
    let named = Projection::runs_of(&append);
    let mut loaded = Loaded::load(tx, append.task, &named)?;
    let mut rows = loaded.rows.clone();
    let applied = rows.apply(&append);
    let events = match applied.and_then(|events| within(limit, events, &append.blobs)) {
        Ok(events) => events,
        Err(rejected) => return Ok(Err(rejected)),
    };
    loaded.save(tx, &rows, &named)?;
    let mut written = Vec::with_capacity(events.len());
    for Encoded { event, body } in events {
        loaded.insert(tx, &rows, &event, body)?;
        if let Some(task) = loaded.task.filter(|_| announce.has(event.body.kind())) {
            outbox::put(tx, task, event.id)?;
        }
        written.push(event);
    }
    for blob in append.blobs {
        insert_blob(tx, blob)?;
    }
    Ok(Ok(written))
}

struct Encoded {
    event: Event,
    body: String,
}

fn within(limit: Limit, events: Vec<Event>, blobs: &[Blob]) -> Result<Vec<Encoded>, Rejected> {
    let mut encoded = Vec::with_capacity(events.len());
    for event in events {
        encoded.push(encode(limit, event)?);
    }
    if let Some(blob) = blobs.iter().find(|blob| blob.bytes.len() > limit) {
        let state = format!("limited to {limit} bytes and not {}", blob.bytes.len());
        return Err(Illegal::new("a blob", "the store", state).into());
    }
    Ok(encoded)
}

fn encode(limit: Limit, event: Event) -> Result<Encoded, Illegal> {
    let kind = event.body.kind();
    if event.id > events::LAST {
        let state = format!("at its limit of {} events", events::LAST);
        return Err(Illegal::new(kind, event.task_id, state));
    }
    let body = events::body(&event.body).map_err(|error| {
        Illegal::new(
            kind,
            "the store",
            format!("a store of JSON texts ({error:?})"),
        )
    })?;
    let agent = event.agent.as_ref().map_or(0, |agent| agent.as_str().len());
    if body.len() + agent > limit {
        let state = format!(
            "limited to {limit} bytes an event and not {}: put large contents into blobs",
            body.len() + agent
        );
        return Err(Illegal::new(kind, "the store", state));
    }
    Ok(Encoded { event, body })
}

/// The rows that an append touches, with their keys.
struct Loaded {
    rows: Projection,
    task: Option<i64>,
    runs: BTreeMap<RunId, i64>,
}

impl Loaded {
    fn load(tx: &Transaction<'_>, task: TaskId, named: &[RunId]) -> Result<Self, Failure> {
        let found = query::task(tx, task)?;
        let key = found.as_ref().map(|(key, _)| *key);
        let mut loaded = Self {
            rows: Projection::default(),
            task: key,
            runs: BTreeMap::new(),
        };
        loaded.rows.task = found.map(|(_, row)| row);
        for run in named {
            if let Some((key, row)) = query::run(tx, *run, key.map(|key| (key, task)))? {
                loaded.runs.insert(*run, key);
                loaded.rows.runs.insert(*run, row);
            }
        }
        Ok(loaded)
    }

    /// Writes the rows that are not as they were, new runs in the order in which they are named.
    fn save(
        &mut self,
        tx: &Transaction<'_>,
        rows: &Projection,
        named: &[RunId],
    ) -> Result<(), Failure> {
        let Some(task) = &rows.task else {
            return Ok(());
        };
        let key = match self.task {
            Some(key) => key,
            None => query::next_key(tx, "SELECT max(key) FROM tasks")?,
        };
        self.task = Some(key);
        if self.rows.task.as_ref() != Some(task) {
            save_task(tx, key, self.rows.task.as_ref(), task)?;
        }
        for run in named {
            if let Some(row) = rows.runs.get(run) {
                self.save_run(tx, key, row)?;
            }
        }
        Ok(())
    }

    fn save_run(&mut self, tx: &Transaction<'_>, task: i64, row: &RunRow) -> Result<(), Failure> {
        if self.rows.runs.get(&row.id) == Some(row) {
            return Ok(());
        }
        let key = match self.runs.get(&row.id) {
            Some(key) => *key,
            None => query::next_key(tx, "SELECT max(key) FROM runs")?,
        };
        self.runs.insert(row.id, key);
        save(tx, SAVE_RUN, run_values(key, task, row)?)
    }

    fn insert(
        &self,
        tx: &Transaction<'_>,
        rows: &Projection,
        event: &Event,
        body: String,
    ) -> Result<(), Failure> {
        let missing = || Failure::damage("an event was accepted whose task or run has no row");
        let run = event.run_id.map(|run| {
            let agent = &rows.runs.get(&run)?.agent;
            Some((*self.runs.get(&run)?, agent))
        });
        let keys = Keys {
            task: self.task.ok_or_else(missing)?,
            kind: kinds::key(tx, event.body.kind())?,
            run: run.map(|run| run.ok_or_else(missing)).transpose()?,
        };
        save(tx, INSERT_EVENT, events::values(keys, event, body))
    }
}

/// Most events leave the status as it is; then the indexes that have it are left alone.
fn save_task(
    tx: &Transaction<'_>,
    key: i64,
    before: Option<&TaskRow>,
    task: &TaskRow,
) -> Result<(), Failure> {
    let values = task_values(key, task)?;
    match before {
        Some(before) if before.status == task.status => {
            let [key, .., root_run, head, _, updated_at, sum] = &values[..] else {
                return Err(Failure::damage("a row of `tasks` has too few columns"));
            };
            save(
                tx,
                MOVE_TASK,
                [key, root_run, head, updated_at, sum]
                    .map(Value::clone)
                    .to_vec(),
            )
        }
        _ => save(tx, SAVE_TASK, values),
    }
}

const MOVE_TASK: &str =
    "UPDATE tasks SET root_run = ?2, head = ?3, updated_at = ?4, sum = ?5 WHERE key = ?1";

const SAVE_TASK: &str = concat!(
    "INSERT INTO tasks (",
    task_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (key) DO UPDATE SET status = excluded.status,
     root_run = excluded.root_run, head = excluded.head, updated_at = excluded.updated_at, sum = excluded.sum"
);

const SAVE_RUN: &str = concat!(
    "INSERT INTO runs (",
    run_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (key) DO UPDATE SET
     status = excluded.status, epoch = excluded.epoch, started_at = excluded.started_at, ended_at = excluded.ended_at,
     usage = excluded.usage, sum = excluded.sum"
);

const INSERT_EVENT: &str = concat!(
    "INSERT INTO events (",
    event_columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
);

const INSERT_BLOB: &str = "INSERT INTO blobs (key, hash, bytes, sum) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hash) DO NOTHING";

const SAVE_SNAPSHOT: &str = "INSERT INTO snapshots (run, seq, body, sum) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, body = excluded.body, sum = excluded.sum";

fn save(tx: &Transaction<'_>, sql: &str, values: Vec<Value>) -> Result<(), Failure> {
    tx.prepare_cached(sql)?.execute(params_from_iter(values))?;
    Ok(())
}

fn insert_blob(tx: &Transaction<'_>, blob: Blob) -> Result<(), Failure> {
    let key = query::next_key(tx, "SELECT max(key) FROM blobs")?;
    save(
        tx,
        INSERT_BLOB,
        query::blob_values(key, blob.hash, blob.bytes),
    )
}

/// Keeps a snapshot unless a newer one is there.
pub(super) fn put_snapshot(
    conn: &mut Connection,
    snapshot: Snapshot,
    limit: Limit,
) -> Result<(), Failure> {
    if snapshot.body.len() > limit {
        return Err(Failure::Limit(format!(
            "a snapshot of {} bytes is over its limit of {limit}",
            snapshot.body.len()
        )));
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let newest = query::snapshot(&tx, snapshot.run)?;
    if newest.is_none_or(|newest| newest.seq <= snapshot.seq) {
        save(&tx, SAVE_SNAPSHOT, query::snapshot_values(snapshot))?;
    }
    tx.commit()?;
    Ok(())
}
