//! Taking a task out, with everything that is its own.

use actors::model::TaskId;
use tokio_postgres::types::ToSql;

use super::batch::{Ended, LOCK_TASKS, Mark, begin_marked, commit};
use super::error::Failure;
use super::link::Link;
use super::rows::{self, get};

/// The hash in an event that refers to a blob, as the index `events_with_blobs` has it.
macro_rules! blob_in_body {
    () => {
        r#"substr(body, strpos(body, '{"blob":"') + 9, 64)"#
    };
}
macro_rules! has_blob {
    () => {
        r#"strpos(body, '{"blob":"') > 0"#
    };
}

const BLOBS: &str = concat!(
    "SELECT DISTINCT ",
    blob_in_body!(),
    " FROM events WHERE task = $1 AND ",
    has_blob!()
);

/// What refers to something else goes before it.
const OWN: [&str; 5] = [
    "DELETE FROM outbox WHERE task = $1",
    "DELETE FROM snapshots WHERE run IN (SELECT id FROM runs WHERE task = $1)",
    "DELETE FROM events WHERE task = $1",
    "DELETE FROM runs WHERE task = $1",
    "DELETE FROM tasks WHERE id = $1",
];

/// Waits until everybody has committed who writes or refers to a blob, see `changes::HOLD_BLOBS`, and keeps others from it.
const LOCK_BLOBS: &str =
    "SELECT pg_advisory_xact_lock(hashtext('impresario: blobs'), hashtext(current_schema()))";

// With its own limit the inner query is asked once for each hash, and answered from the index.
const UNUSED: &str = concat!(
    "DELETE FROM blobs WHERE hash = ANY($1) AND (SELECT true FROM events WHERE ",
    blob_in_body!(),
    " = blobs.hash AND ",
    has_blob!(),
    " LIMIT 1) IS NULL"
);

/// Removes a task that has ended; whether it was there.
pub(super) async fn task(link: &mut Link, mark: Mark, id: TaskId) -> Result<Ended<bool>, Failure> {
    begin_marked(link, mark).await?;
    let found = link.query(LOCK_TASKS, &[&vec![id.0]]).await?;
    let Some(row) = found.first() else {
        link.batch("ROLLBACK").await?;
        return Ok(Ended::Written(false));
    };
    rows::task(row)?.removable().map_err(Failure::Refused)?;
    let task: [&(dyn ToSql + Sync); 1] = [&id.0];
    let hashes = link.query(BLOBS, &task).await?;
    let hashes: Vec<String> = hashes
        .iter()
        .map(|row| get(row, 0))
        .collect::<Result<_, _>>()?;
    for sql in OWN {
        link.query(sql, &task).await?;
    }
    if !hashes.is_empty() {
        link.query(LOCK_BLOBS, &[]).await?;
        link.query(UNUSED, &[&hashes]).await?;
    }
    commit(link, true).await
}
