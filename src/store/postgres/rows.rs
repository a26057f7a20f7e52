//! Values, tasks and runs as PostgreSQL keeps them.

use std::borrow::Cow;

use actors::model::{RunId, TaskId, Timestamp};
use actors::store::{RunRow, TaskRow};
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::error::Failure;

macro_rules! task_columns {
    () => {
        "id, project, name, status, root_run, head, created_at, updated_at"
    };
}
macro_rules! run_columns {
    () => {
        "id, task, parent, delegation, agent, title, depth, status, epoch, queued_at, started_at, ended_at, usage"
    };
}
pub(super) use {run_columns, task_columns};

/// Stands for NUL, which PostgreSQL's texts cannot hold, and for itself, before `0` and `1`.
const SIGN: char = '\u{1}';

/// A text as it is kept.
pub(super) fn kept(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', SIGN]) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => kept.extend([SIGN, '0']),
            SIGN => kept.extend([SIGN, '1']),
            c => kept.push(c),
        }
    }
    Cow::Owned(kept)
}

/// The reverse of [`kept`].
fn given(kept: &str) -> Result<String, Failure> {
    let mut text = String::with_capacity(kept.len());
    let mut rest = kept.chars();
    while let Some(c) = rest.next() {
        match c {
            SIGN => text.push(match rest.next() {
                Some('0') => '\0',
                Some('1') => SIGN,
                _ => return Err(Failure::damage("a text is not as it was written")),
            }),
            c => text.push(c),
        }
    }
    Ok(text)
}

/// A column's value.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<T, Failure> {
    row.try_get(at)
        .map_err(|_| Failure::Damage(format!("column {at} is not of its type")))
}

pub(super) fn text(row: &Row, at: usize) -> Result<String, Failure> {
    given(get(row, at)?)
}

pub(super) fn maybe_text(row: &Row, at: usize) -> Result<Option<String>, Failure> {
    get::<Option<&str>>(row, at)?.map(given).transpose()
}

/// PostgreSQL's numbers are signed: the upper half is stored as negative ones, so that each comes back as it was.
pub(super) fn number(value: u64) -> i64 {
    value.cast_signed()
}

pub(super) fn count(row: &Row, at: usize) -> Result<u64, Failure> {
    Ok(get::<i64>(row, at)?.cast_unsigned())
}

pub(super) fn maybe_count(row: &Row, at: usize) -> Result<Option<u64>, Failure> {
    Ok(get::<Option<i64>>(row, at)?.map(i64::cast_unsigned))
}

pub(super) fn time(row: &Row, at: usize) -> Result<Timestamp, Failure> {
    count(row, at).map(Timestamp)
}

fn maybe_time(row: &Row, at: usize) -> Result<Option<Timestamp>, Failure> {
    Ok(maybe_count(row, at)?.map(Timestamp))
}

pub(super) fn maybe_run(row: &Row, at: usize) -> Result<Option<RunId>, Failure> {
    Ok(get::<Option<Uuid>>(row, at)?.map(RunId))
}

/// A unit variant by the name serde gives it.
pub(super) fn name_of(value: impl Serialize) -> Result<String, Failure> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        other => Err(Failure::damage(format!("{other:?} is no name"))),
    }
}

fn from_name<T: DeserializeOwned>(name: &str) -> Result<T, Failure> {
    let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
    T::deserialize(name).map_err(Failure::damage)
}

/// A task's row in the order of `task_columns!`.
pub(super) fn task(row: &Row) -> Result<TaskRow, Failure> {
    let id = TaskId(get(row, 0)?);
    let read = || {
        Ok(TaskRow {
            id,
            project: text(row, 1)?,
            name: text(row, 2)?,
            status: from_name(get(row, 3)?)?,
            root_run: maybe_run(row, 4)?,
            head: count(row, 5)?,
            created_at: time(row, 6)?,
            updated_at: time(row, 7)?,
        })
    };
    read().map_err(|failure: Failure| failure.at(|| id.to_string()))
}

/// A run's row in the order of `run_columns!`.
pub(super) fn run(row: &Row) -> Result<RunRow, Failure> {
    let id = RunId(get(row, 0)?);
    let read = || {
        Ok(RunRow {
            id,
            task: TaskId(get(row, 1)?),
            parent: maybe_run(row, 2)?,
            delegation: get::<Option<&str>>(row, 3)?.map(from_name).transpose()?,
            agent: text(row, 4)?.as_str().into(),
            title: text(row, 5)?,
            depth: u32::try_from(get::<i64>(row, 6)?).map_err(Failure::damage)?,
            status: from_name(get(row, 7)?)?,
            epoch: count(row, 8)?,
            queued_at: time(row, 9)?,
            started_at: maybe_time(row, 10)?,
            ended_at: maybe_time(row, 11)?,
            usage: serde_json::from_str(get(row, 12)?).map_err(Failure::damage)?,
        })
    };
    read().map_err(|failure: Failure| failure.at(|| id.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_kept_without_nul(text in "[\0\u{1}01a\u{10ffff}]{0,12}") {
            let kept = kept(&text);
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(given(&kept).unwrap(), text);
        }
    }

    #[test]
    fn a_text_that_was_not_kept_so_is_damage() {
        for text in ["\u{1}", "\u{1}2", "a\u{1}"] {
            assert!(matches!(given(text), Err(Failure::Damage(_))));
        }
    }
}
