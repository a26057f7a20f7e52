//! Taking a task out, with everything that is its own.

use actors::model::TaskId;
use rusqlite::{Connection, Params, Transaction, TransactionBehavior};

use super::error::Failure;
use super::events::{LAST, key};
use super::outbox;
use super::query::{self, all, first};

/// The hash in an event that refers to a blob, as the index `events_with_blobs` has it.
macro_rules! blob_in_body {
    () => {
        r#"substr(body, instr(body, '{"blob":"') + 9, 64)"#
    };
}
macro_rules! has_blob {
    () => {
        r#"instr(body, '{"blob":"') > 0"#
    };
}

const BLOBS: &str = concat!(
    "SELECT DISTINCT ",
    blob_in_body!(),
    " FROM events NOT INDEXED WHERE key BETWEEN ?1 AND ?2 AND ",
    has_blob!()
);

const USED: &str = concat!(
    "SELECT 1 FROM events INDEXED BY events_with_blobs WHERE ",
    blob_in_body!(),
    " = ?1 AND ",
    has_blob!(),
    " LIMIT 1"
);

/// Removes a task that has ended; whether it was there.
pub(super) fn task(conn: &mut Connection, id: TaskId) -> Result<bool, Failure> {
    // To check that no event refers to a run that goes, SQLite would read all events there are: none has an index by its run. What
    // refers to a run or a task is removed before it.
    conn.pragma_update(None, "foreign_keys", false)?;
    let done = within(conn, id);
    conn.pragma_update(None, "foreign_keys", true)?;
    done
}

fn within(conn: &mut Connection, id: TaskId) -> Result<bool, Failure> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some((task, row)) = query::task(&tx, id)? else {
        return Ok(false);
    };
    row.removable().map_err(Failure::Refused)?;
    let events = [key(task, 0), key(task, LAST)];
    let blobs: Vec<String> = all(&tx, BLOBS, events, |row| Ok(row.get(0)?))?;
    outbox::leave_out(&tx, task)?;
    let snapshots = "DELETE FROM snapshots WHERE run IN (SELECT id FROM runs WHERE task = ?1)";
    delete(&tx, snapshots, [task])?;
    delete(
        &tx,
        "DELETE FROM events WHERE key BETWEEN ?1 AND ?2",
        events,
    )?;
    delete(&tx, "DELETE FROM runs WHERE task = ?1", [task])?;
    delete(&tx, "DELETE FROM tasks WHERE key = ?1", [task])?;
    for hash in blobs {
        if first(&tx, USED, [&hash], |_| Ok(()))?.is_none() {
            delete(&tx, "DELETE FROM blobs WHERE hash = ?1", [&hash])?;
        }
    }
    tx.commit()?;
    Ok(true)
}

fn delete(tx: &Transaction<'_>, sql: &str, values: impl Params) -> Result<(), Failure> {
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
