//! The checksum that ends every row, so that damage on disk is found when the row is read and never handed on as data.

use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

use super::error::Failure;

/// Puts the checksum of a row of `table` at its end.
pub(super) fn seal(table: &str, mut values: Vec<Value>) -> Vec<Value> {
    let sum = sum(table, values.iter().map(ValueRef::from));
    values.push(Value::Integer(sum));
    values
}

/// Checks a row of `table` whose last of `columns` columns is the checksum of those before it.
pub(super) fn check(table: &str, row: &Row<'_>, columns: usize) -> Result<(), Failure> {
    let last = columns - 1;
    let values: Vec<_> = (0..last)
        .map(|at| row.get_ref(at))
        .collect::<Result<_, _>>()?;
    if row.get::<_, i64>(last)? == sum(table, values.into_iter()) {
        return Ok(());
    }
    let key: Value = row.get(0)?;
    let key = match key {
        Value::Integer(key) => key.to_string(),
        Value::Text(key) => key,
        _ => "?".to_owned(),
    };
    Err(Failure::damage(format!(
        "row {key} of `{table}` is not as it was written"
    )))
}

/// 32 bits of a hash over the values with their types and lengths.
fn sum<'v>(table: &str, values: impl Iterator<Item = ValueRef<'v>>) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.as_bytes());
    for value in values {
        let (kind, bytes) = match value {
            ValueRef::Null => (0, &[][..]),
            ValueRef::Integer(number) => (1, &number.to_le_bytes()[..]),
            ValueRef::Real(number) => (2, &number.to_le_bytes()[..]),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        hasher.update(&[kind]);
        hasher.update(&bytes.len().to_le_bytes());
        hasher.update(bytes);
    }
    let mut head = [0; 4];
    hasher.finalize_xof().fill(&mut head);
    i32::from_le_bytes(head).into()
}
