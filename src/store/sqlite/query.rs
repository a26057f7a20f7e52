//! What is read, inside one transaction each.

use actors::model::{RunId, TaskId};
use actors::store::{RunRow, Snapshot, TaskRow};
use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row};

use super::error::Failure;
use super::rows::{self, count, number, run_columns, task_columns, text};
use super::seal::{check, seal};

/// Keys are small enough to stand in the upper half of an event's.
const LAST_KEY: i64 = i32::MAX as i64;

/// A task with its key.
pub(super) fn task(conn: &Connection, id: TaskId) -> Result<Option<(i64, TaskRow)>, Failure> {
    const SQL: &str = concat!("SELECT ", task_columns!(), " FROM tasks WHERE id = ?1");
    first(conn, SQL, [id.to_string()], rows::task).map_err(|error| error.at(|| id.to_string()))
}

pub(super) fn task_by_key(conn: &Connection, key: i64) -> Result<TaskRow, Failure> {
    const SQL: &str = concat!("SELECT ", task_columns!(), " FROM tasks WHERE key = ?1");
    let found = first(conn, SQL, [key], rows::task)?;
    found
        .map(|(_, row)| row)
        .ok_or_else(|| Failure::damage(format!("task {key} is missing")))
}

/// All tasks, or the unfinished ones, in order of creation.
pub(super) fn tasks(conn: &Connection, unfinished: bool) -> Result<Vec<TaskRow>, Failure> {
    const ALL: &str = concat!("SELECT ", task_columns!(), " FROM tasks ORDER BY key");
    const UNFINISHED: &str = concat!(
        "SELECT ",
        task_columns!(),
        " FROM tasks WHERE status IN ('running', 'needs_attention') ORDER BY key"
    );
    let sql = if unfinished { UNFINISHED } else { ALL };
    all(conn, sql, [], |row| Ok(rows::task(row)?.1))
}

/// The runs of a task in order of creation.
pub(super) fn runs(conn: &Connection, id: TaskId) -> Result<Vec<RunRow>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs WHERE task = ?1 ORDER BY key"
    );
    let Some((key, _)) = task(conn, id)? else {
        return Ok(Vec::new());
    };
    let read = |row: &Row<'_>| Ok(rows::run(row, |task| same(task, (key, id)))?.1);
    all(conn, SQL, [key], read).map_err(|error| error.at(|| format!("a run of {id}")))
}

/// A run with its key. `near` is the task it is likely to belong to.
pub(super) fn run(
    conn: &Connection,
    id: RunId,
    near: Option<(i64, TaskId)>,
) -> Result<Option<(i64, RunRow)>, Failure> {
    const SQL: &str = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = ?1");
    let read = |row: &Row<'_>| {
        rows::run(row, |task| match near {
            Some((key, near)) if key == task => Ok(near),
            _ => Ok(task_by_key(conn, task)?.id),
        })
    };
    first(conn, SQL, [id.to_string()], read).map_err(|error| error.at(|| id.to_string()))
}

/// The bytes under a hash.
pub(super) fn blob(conn: &Connection, hash: &str) -> Result<Option<Vec<u8>>, Failure> {
    const SQL: &str = "SELECT key, hash, bytes, sum FROM blobs WHERE hash = ?1";
    // A blob that is asked for and not there is rare enough to look for it without trusting the index.
    const SCAN: &str = "SELECT 1 FROM blobs NOT INDEXED WHERE hash = ?1";
    let read = |row: &Row<'_>| {
        check("blobs", row, 4)?;
        Ok(row.get(2)?)
    };
    let found =
        first(conn, SQL, [hash], read).map_err(|error| error.at(|| format!("blob {hash}")))?;
    if found.is_none() && first(conn, SCAN, [hash], |_| Ok(()))?.is_some() {
        return Err(Failure::damage(format!(
            "blob {hash} is missing from its index"
        )));
    }
    Ok(found)
}

pub(super) fn blob_values(key: i64, hash: String, bytes: Vec<u8>) -> Vec<Value> {
    let values = vec![Value::Integer(key), Value::Text(hash), Value::Blob(bytes)];
    seal("blobs", values)
}

/// A run's newest snapshot.
pub(super) fn snapshot(conn: &Connection, run: RunId) -> Result<Option<Snapshot>, Failure> {
    const SQL: &str = "SELECT run, seq, body, sum FROM snapshots WHERE run = ?1";
    let read = |row: &Row<'_>| {
        check("snapshots", row, 4)?;
        let (seq, body) = (count(row, 1)?, row.get(2)?);
        Ok(Snapshot { run, seq, body })
    };
    first(conn, SQL, [run.to_string()], read)
        .map_err(|error| error.at(|| format!("the snapshot of {run}")))
}

pub(super) fn snapshot_values(snapshot: Snapshot) -> Vec<Value> {
    let values = vec![
        text(snapshot.run),
        number(snapshot.seq),
        Value::Blob(snapshot.body),
    ];
    seal("snapshots", values)
}

/// The key of a table's next row.
pub(super) fn next_key(conn: &Connection, newest: &str) -> Result<i64, Failure> {
    let newest: Option<i64> = conn
        .prepare_cached(newest)?
        .query_row([], |row| row.get(0))?;
    let next = newest.map_or(1, |newest| newest.saturating_add(1));
    if (1..=LAST_KEY).contains(&next) {
        return Ok(next);
    }
    Err(Failure::damage(format!("{next} is no key of a row")))
}

/// The number after the newest.
pub(super) fn next_number(conn: &Connection, newest: &str) -> Result<i64, Failure> {
    let newest: Option<i64> = conn
        .prepare_cached(newest)?
        .query_row([], |row| row.get(0))?;
    let next = newest.unwrap_or(0).checked_add(1).filter(|next| *next > 0);
    next.ok_or_else(|| Failure::damage(format!("{newest:?} is no number of a row")))
}

/// At most so many rows.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The id of the task that a run must belong to, if its row says so.
pub(super) fn same(found: i64, wanted: (i64, TaskId)) -> Result<TaskId, Failure> {
    if found == wanted.0 {
        return Ok(wanted.1);
    }
    Err(Failure::damage(format!("it belongs to task {found}")))
}

pub(super) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}
