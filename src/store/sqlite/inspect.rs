//! Looking for damage.

use std::ops::ControlFlow;

use actors::model::TaskId;
use actors::store::EventQuery;
use rusqlite::Connection;

use super::error::Failure;
use super::{outbox, pages, query, records};

/// Events read at a time.
const PAGE: usize = 256;

/// The tables whose rows are found through indexes: a row that such an index misses would be missing without a trace. Events need
/// no such check, their numbers have no gaps. The outbox has none either, and is looked at row by row: it is short.
pub(super) fn indexes(conn: &Connection) -> Result<(), Failure> {
    ["tasks", "runs", "records"]
        .into_iter()
        .try_for_each(|table| integrity(conn, &format!("PRAGMA integrity_check('{table}')")))?;
    outbox::inspect(conn)
}

/// Everything: the file's structure and every row.
pub(super) fn everything(conn: &Connection) -> Result<(), Failure> {
    integrity(conn, "PRAGMA integrity_check")?;
    for task in query::tasks(conn, false)? {
        query::runs(conn, task.id)?;
        let mut after = 0;
        while let ControlFlow::Continue(next) = page(conn, task.id, after)? {
            after = next;
        }
    }
    records::inspect(conn)?;
    outbox::inspect(conn)?;
    names(conn, "SELECT hash FROM blobs", |hash| {
        query::blob(conn, &hash).map(|_| ())
    })?;
    names(conn, "SELECT run FROM snapshots", |run| {
        let run = run.parse().map_err(Failure::damage)?;
        query::snapshot(conn, run).map(|_| ())
    })
}

fn page(conn: &Connection, task: TaskId, after: u64) -> Result<ControlFlow<(), u64>, Failure> {
    let limit = PAGE;
    let events = pages::events(conn, EventQuery { task, after, limit })?;
    Ok(match events.last() {
        Some(last) => ControlFlow::Continue(last.id),
        None => ControlFlow::Break(()),
    })
}

fn names(
    conn: &Connection,
    sql: &str,
    mut read: impl FnMut(String) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read(row.get(0)?)?;
    }
    Ok(())
}

fn integrity(conn: &Connection, pragma: &str) -> Result<(), Failure> {
    let mut statement = conn.prepare(pragma)?;
    let first: String = statement.query_row([], |row| row.get(0))?;
    match first.as_str() {
        "ok" => Ok(()),
        found => Err(Failure::damage(found)),
    }
}
