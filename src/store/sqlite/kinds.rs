//! The names of events, each written once.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::error::Failure;
use super::query::{self, first};
use super::rows::text;
use super::seal::{check, seal};

/// The name of a kind of events, by its key.
pub(super) fn name(conn: &Connection, key: i64) -> Result<String, Failure> {
    const SQL: &str = "SELECT key, name, sum FROM kinds WHERE key = ?1";
    let found = first(conn, SQL, [key], |row| row_of(row).map(|(_, name)| name))?;
    found.ok_or_else(|| Failure::damage(format!("its kind {key} is missing")))
}

/// The key of a kind of events, which gets one if it has none.
pub(super) fn key(conn: &Connection, name: &str) -> Result<i64, Failure> {
    const SQL: &str = "SELECT key, name, sum FROM kinds WHERE name = ?1";
    if let Some((key, _)) = first(conn, SQL, [name], row_of)? {
        return Ok(key);
    }
    let key = query::next_key(conn, "SELECT max(key) FROM kinds")?;
    let values = vec![Value::Integer(key), text(name)];
    conn.prepare_cached("INSERT INTO kinds (key, name, sum) VALUES (?1, ?2, ?3)")?
        .execute(params_from_iter(seal("kinds", values)))?;
    Ok(key)
}

fn row_of(row: &Row<'_>) -> Result<(i64, String), Failure> {
    check("kinds", row, 3)?;
    Ok((row.get(0)?, row.get(1)?))
}
