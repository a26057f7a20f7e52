//! Records as rows.

use actors::store::version::{Change, Versions};
use actors::store::{Record, RecordQuery};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params_from_iter};
use serde::Deserialize;

use super::error::Failure;
use super::query::{all, first, limit, next_number};
use super::rows::{count, number, text, time};
use super::seal::{check, seal};
use crate::store::group::Answer;

macro_rules! record_columns {
    () => {
        "key, kind, name, version, at, body, sum"
    };
}

/// One record.
pub(super) fn record(conn: &Connection, kind: &str, key: &str) -> Result<Option<Record>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        record_columns!(),
        " FROM records WHERE kind = ?1 AND name = ?2"
    );
    first(conn, SQL, [kind, key], read).map_err(|error| error.at(|| format!("{kind} `{key}`")))
}

/// Records of a kind in the order of their keys' bytes.
pub(super) fn records(conn: &Connection, query: &RecordQuery) -> Result<Vec<Record>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        record_columns!(),
        " FROM records WHERE kind = ?1 AND name >= ?2 AND name > ?3 ORDER BY name LIMIT ?4"
    );
    let values = (&query.kind, &query.prefix, &query.after, limit(query.limit));
    let found = all(conn, SQL, values, read);
    let mut found = found.map_err(|error| error.at(|| format!("a {}", query.kind)))?;
    // Those that begin so stand side by side, and first.
    let fits = |record: &Record| record.key.starts_with(&query.prefix);
    found.truncate(found.iter().take_while(|record| fits(record)).count());
    Ok(found)
}

/// Looks at all of them.
pub(super) fn inspect(conn: &Connection) -> Result<(), Failure> {
    const SQL: &str = concat!("SELECT ", record_columns!(), " FROM records");
    let found = all(conn, SQL, [], |row| read(row).map(|_| ()));
    found
        .map(|_| ())
        .map_err(|error| error.at(|| "a record".to_owned()))
}

fn read(row: &Row<'_>) -> Result<Record, Failure> {
    check("records", row, 7)?;
    let body = row.get_ref(5)?.as_str().map_err(Failure::damage)?;
    let mut body = serde_json::Deserializer::from_str(body);
    // What is read here was written from a value in memory, however deep.
    body.disable_recursion_limit();
    Ok(Record {
        kind: row.get(1)?,
        key: row.get(2)?,
        version: count(row, 3)?,
        at: time(row, 4)?,
        body: serde_json::Value::deserialize(&mut body).map_err(Failure::damage)?,
    })
}

/// Makes the changes of several calls, each whole or not at all, in one transaction.
pub(super) fn put(conn: &mut Connection, calls: &[Vec<Change>]) -> Result<Vec<Answer>, Failure> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut versions = Versions::default();
    let mut answers = Vec::with_capacity(calls.len());
    for changes in calls {
        for (kind, key) in versions.unknown(changes) {
            let found = record(&tx, kind, key)?;
            versions.know(kind, key, found.map_or(0, |record| record.version));
        }
        let answer = versions.apply(changes);
        for (change, version) in changes.iter().zip(answer.iter().flatten()) {
            save(&tx, change, *version)?;
        }
        answers.push(answer);
    }
    tx.commit()?;
    Ok(answers)
}

fn save(tx: &Transaction<'_>, change: &Change, version: u64) -> Result<(), Failure> {
    const FIND: &str = "SELECT key FROM records WHERE kind = ?1 AND name = ?2";
    const REMOVE: &str = "DELETE FROM records WHERE key = ?1";
    const SAVE: &str = concat!(
        "INSERT INTO records (",
        record_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE SET
         version = excluded.version, at = excluded.at, body = excluded.body, sum = excluded.sum"
    );
    let names = [&change.kind, &change.key];
    let found: Option<i64> = first(tx, FIND, names, |row| Ok(row.get(0)?))?;
    let (sql, values) = match (&change.body, found) {
        (None, None) => return Ok(()),
        (None, Some(key)) => (REMOVE, vec![Value::Integer(key)]),
        (Some(body), found) => {
            let new = || next_number(tx, "SELECT max(key) FROM records");
            (
                SAVE,
                values(found.map_or_else(new, Ok)?, change, body, version),
            )
        }
    };
    tx.prepare_cached(sql)?.execute(params_from_iter(values))?;
    Ok(())
}

fn values(key: i64, change: &Change, body: &str, version: u64) -> Vec<Value> {
    let values = vec![
        Value::Integer(key),
        text(&change.kind),
        text(&change.key),
        number(version),
        number(change.at.0),
        text(body),
    ];
    seal("records", values)
}
