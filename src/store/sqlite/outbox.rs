//! Which events are to be announced.

use std::collections::BTreeMap;

use actors::model::{Seq, TaskId};
use actors::store::Announced;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params_from_iter};

use super::error::Failure;
use super::query::{all, limit, next_number, task_by_key};
use super::rows::{count, maybe, number};
use super::seal::{check, seal};

const NEWEST: &str = "SELECT max(position) FROM outbox";

/// A row; the newest one of those that are done with has no event.
struct Place {
    position: u64,
    event: Option<(i64, Seq)>,
}

/// Puts an event of a task, by the task's key, behind all others.
pub(super) fn put(tx: &Transaction<'_>, task: i64, seq: Seq) -> Result<(), Failure> {
    let position = next_number(tx, NEWEST)?;
    save(tx, position, Value::Integer(task), number(seq))
}

fn save(tx: &Transaction<'_>, position: i64, task: Value, seq: Value) -> Result<(), Failure> {
    const SQL: &str =
        "INSERT OR REPLACE INTO outbox (position, task, seq, sum) VALUES (?1, ?2, ?3, ?4)";
    let values = seal("outbox", vec![Value::Integer(position), task, seq]);
    tx.prepare_cached(SQL)?.execute(params_from_iter(values))?;
    Ok(())
}

/// What is to be announced after a position.
pub(super) fn announced(
    conn: &Connection,
    after: u64,
    count: usize,
) -> Result<Vec<Announced>, Failure> {
    const SQL: &str = "SELECT position, task, seq, sum FROM outbox WHERE position > ?1 ORDER BY position LIMIT ?2";
    // One of them may be done with.
    let values = (place(after), limit(count.saturating_add(1)));
    let found = all(conn, SQL, values, read);
    let found = found.map_err(|error| error.at(|| "the outbox".to_owned()))?;
    let mut tasks = Tasks::default();
    let mut announced = Vec::with_capacity(found.len());
    for found in found {
        if let Some((task, seq)) = found.event {
            let (position, task) = (found.position, tasks.id(conn, task, found.position)?);
            announced.push(Announced {
                position,
                task,
                seq,
            });
        }
    }
    announced.truncate(count);
    Ok(announced)
}

/// The ids of tasks by their keys.
#[derive(Default)]
struct Tasks(BTreeMap<i64, TaskId>);

impl Tasks {
    fn id(&mut self, conn: &Connection, key: i64, position: u64) -> Result<TaskId, Failure> {
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let of = || format!("announcement {position}");
        let id = task_by_key(conn, key).map_err(|error| error.at(of))?.id;
        self.0.insert(key, id);
        Ok(id)
    }
}

fn read(row: &Row<'_>) -> Result<Place, Failure> {
    check("outbox", row, 4)?;
    let task: Option<i64> = row.get(1)?;
    Ok(Place {
        position: count(row, 0)?,
        event: task.zip(maybe(row, 2, count)?),
    })
}

/// Looks at all of it.
pub(super) fn inspect(conn: &Connection) -> Result<(), Failure> {
    announced(conn, 0, usize::MAX).map(|_| ())
}

/// Empties it up to a position.
pub(super) fn forget(conn: &mut Connection, up_to: u64) -> Result<(), Failure> {
    const SQL: &str = "DELETE FROM outbox WHERE position <= ?1 AND position < ?2";
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(newest) = newest(&tx)? {
        let up_to = place(up_to);
        tx.prepare_cached(SQL)?.execute([up_to, newest])?;
        if newest <= up_to {
            save(&tx, newest, Value::Null, Value::Null)?;
        }
    }
    tx.commit()?;
    Ok(())
}

/// Takes everything of a task out.
pub(super) fn leave_out(tx: &Transaction<'_>, task: i64) -> Result<(), Failure> {
    const SQL: &str = "DELETE FROM outbox WHERE task = ?1";
    let newest = newest(tx)?;
    tx.prepare_cached(SQL)?.execute([task])?;
    match newest {
        Some(was) if self::newest(tx)? != newest => save(tx, was, Value::Null, Value::Null),
        _ => Ok(()),
    }
}

fn newest(conn: &Connection) -> Result<Option<i64>, Failure> {
    Ok(conn
        .prepare_cached(NEWEST)?
        .query_row([], |row| row.get(0))?)
}

/// Positions are no larger than this store's numbers.
fn place(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
