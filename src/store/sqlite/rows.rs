//! Tasks and runs as rows.

use std::fmt::Display;
use std::str::FromStr;

use actors::model::{TaskId, Timestamp};
use actors::store::{RunRow, TaskRow};
use rusqlite::Row;
use rusqlite::types::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use super::error::Failure;
use super::seal::{check, seal};

macro_rules! task_columns {
    () => {
        "key, id, project, name, status, root_run, head, created_at, updated_at, sum"
    };
}
macro_rules! run_columns {
    () => {
        "key, task, id, parent, delegation, agent, title, depth, status, epoch, queued_at, started_at, ended_at, usage, sum"
    };
}
pub(super) use {run_columns, task_columns};

/// A task's row in the order of `task_columns!`.
pub(super) fn task_values(key: i64, row: &TaskRow) -> Result<Vec<Value>, Failure> {
    let values = vec![
        Value::Integer(key),
        text(row.id),
        text(&row.project),
        text(&row.name),
        named(row.status)?,
        row.root_run.map_or(Value::Null, text),
        number(row.head),
        number(row.created_at.0),
        number(row.updated_at.0),
    ];
    Ok(seal("tasks", values))
}

/// The key and the row of a task.
pub(super) fn task(row: &Row<'_>) -> Result<(i64, TaskRow), Failure> {
    check("tasks", row, 10)?;
    let task = TaskRow {
        id: parsed(row, 1)?,
        project: row.get(2)?,
        name: row.get(3)?,
        status: from_name(row, 4)?,
        root_run: maybe(row, 5, parsed)?,
        head: count(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
    };
    Ok((row.get(0)?, task))
}

/// A run's row in the order of `run_columns!`.
pub(super) fn run_values(key: i64, task: i64, row: &RunRow) -> Result<Vec<Value>, Failure> {
    let values = vec![
        Value::Integer(key),
        Value::Integer(task),
        text(row.id),
        row.parent.map_or(Value::Null, text),
        row.delegation.map_or(Ok(Value::Null), named)?,
        text(&row.agent),
        text(&row.title),
        Value::Integer(row.depth.into()),
        named(row.status)?,
        number(row.epoch),
        number(row.queued_at.0),
        row.started_at.map_or(Value::Null, |at| number(at.0)),
        row.ended_at.map_or(Value::Null, |at| number(at.0)),
        Value::Text(serde_json::to_string(&row.usage).map_err(Failure::damage)?),
    ];
    Ok(seal("runs", values))
}

/// The key and the row of a run; `task` tells the id of its task by the task's key.
pub(super) fn run(
    row: &Row<'_>,
    task: impl FnOnce(i64) -> Result<TaskId, Failure>,
) -> Result<(i64, RunRow), Failure> {
    check("runs", row, 15)?;
    let usage = row.get_ref(13)?.as_str().map_err(Failure::damage)?;
    let run = RunRow {
        task: task(row.get(1)?)?,
        id: parsed(row, 2)?,
        parent: maybe(row, 3, parsed)?,
        delegation: maybe(row, 4, from_name)?,
        agent: row.get::<_, String>(5)?.as_str().into(),
        title: row.get(6)?,
        depth: row.get(7)?,
        status: from_name(row, 8)?,
        epoch: count(row, 9)?,
        queued_at: time(row, 10)?,
        started_at: maybe(row, 11, time)?,
        ended_at: maybe(row, 12, time)?,
        usage: serde_json::from_str(usage).map_err(Failure::damage)?,
    };
    Ok((row.get(0)?, run))
}

pub(super) fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

/// SQLite's numbers are signed: the upper half is stored as negative ones, so that each comes back as it was.
pub(super) fn number(value: u64) -> Value {
    Value::Integer(value.cast_signed())
}

pub(super) fn count(row: &Row<'_>, at: usize) -> Result<u64, Failure> {
    Ok(row.get::<_, i64>(at)?.cast_unsigned())
}

pub(super) fn time(row: &Row<'_>, at: usize) -> Result<Timestamp, Failure> {
    count(row, at).map(Timestamp)
}

fn parsed<T: FromStr<Err: Display>>(row: &Row<'_>, at: usize) -> Result<T, Failure> {
    let text = row.get_ref(at)?.as_str().map_err(Failure::damage)?;
    text.parse().map_err(Failure::damage)
}

/// A unit variant by the name serde gives it.
pub(super) fn named(value: impl Serialize) -> Result<Value, Failure> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(Value::Text(name)),
        other => Err(Failure::damage(format!("{other:?} is no name"))),
    }
}

fn from_name<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<T, Failure> {
    let name = row.get_ref(at)?.as_str().map_err(Failure::damage)?;
    let name: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
    T::deserialize(name).map_err(Failure::damage)
}

pub(super) fn maybe<T>(
    row: &Row<'_>,
    at: usize,
    read: impl FnOnce(&Row<'_>, usize) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    match row.get_ref(at)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => read(row, at).map(Some),
    }
}
