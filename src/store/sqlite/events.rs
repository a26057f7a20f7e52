//! Events as rows: what is common to all of them in columns, the rest as JSON text.

use actors::model::event::{EventBody, Seq};
use actors::model::{AgentName, Event, RunId, TaskId};
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};
use serde::Deserialize;

use super::error::Failure;
use super::rows::{count, maybe, number, text, time};
use super::seal::{check, seal};

macro_rules! event_columns {
    () => {
        "key, kind, run, agent, at, epoch, cause, body, sum"
    };
}
pub(super) use event_columns;

/// The largest number of an event: it shares its key with the task's.
pub(super) const LAST: Seq = u32::MAX as Seq;

/// The key of a task's event.
pub(super) fn key(task: i64, seq: Seq) -> i64 {
    (task << 32) | seq.min(LAST).cast_signed()
}

/// The number in an event's key, if it is one of that task's.
pub(super) fn seq(task: i64, key: i64) -> Option<Seq> {
    (key >> 32 == task).then_some(key.cast_unsigned() & LAST)
}

/// The keys of what an event belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) task: i64,
    pub(super) kind: i64,
    /// The run's, with the run's agent.
    pub(super) run: Option<(i64, &'a AgentName)>,
}

/// Tells what the keys in an event's row stand for.
pub(super) trait Names {
    fn kind(&mut self, key: i64) -> Result<String, Failure>;
    fn run(&mut self, key: i64) -> Result<(RunId, AgentName), Failure>;
}

/// An event's row in the order of `event_columns!`.
pub(super) fn values(keys: Keys<'_>, event: &Event, body: String) -> Vec<Value> {
    let run = keys.run;
    let values = vec![
        Value::Integer(key(keys.task, event.id)),
        Value::Integer(keys.kind),
        run.map_or(Value::Null, |(key, _)| Value::Integer(key)),
        agent_value(event.agent.as_ref(), run.map(|(_, agent)| agent)),
        number(event.at.0),
        number(event.epoch),
        event.cause.map_or(Value::Null, number),
        Value::Text(body),
    ];
    seal("events", values)
}

fn agent_value(agent: Option<&AgentName>, of_run: Option<&AgentName>) -> Value {
    match (agent, of_run) {
        (agent, of_run) if agent == of_run => Value::Null,
        (None, _) => Value::Integer(0),
        (Some(agent), _) => text(agent),
    }
}

/// What an event says beyond its columns.
pub(super) fn body(body: &EventBody) -> Result<String, Failure> {
    let json = serde_json::to_string(body).map_err(Failure::damage)?;
    untag(&json, body.kind())
        .ok_or_else(|| Failure::damage("an event does not begin with its type"))
}

/// `{"type":"kind","a":1}` → `{"a":1}`
fn untag(json: &str, kind: &str) -> Option<String> {
    let rest = json.strip_prefix("{\"type\":\"")?.strip_prefix(kind)?;
    match rest.strip_prefix("\",") {
        Some(fields) => Some(format!("{{{fields}")),
        None => (rest == "\"}").then(|| "{}".to_owned()),
    }
}

/// The reverse of [`untag`].
fn tag(body: &str, kind: &str) -> Option<String> {
    match body.strip_prefix('{')? {
        "}" => Some(format!("{{\"type\":\"{kind}\"}}")),
        fields => Some(format!("{{\"type\":\"{kind}\",{fields}")),
    }
}

/// Event `id` of `task_id`.
pub(super) fn event(
    row: &Row<'_>,
    task_id: TaskId,
    id: Seq,
    names: &mut impl Names,
) -> Result<Event, Failure> {
    check("events", row, 9)?;
    let kind = names.kind(row.get(1)?)?;
    let stored = row.get_ref(7)?.as_str().map_err(Failure::damage)?;
    let run: Option<i64> = row.get(2)?;
    let run = run.map(|key| names.run(key)).transpose()?;
    let (run_id, of_run) = run.unzip();
    Ok(Event {
        id,
        task_id,
        run_id,
        agent: agent(row, of_run)?,
        at: time(row, 4)?,
        epoch: count(row, 5)?,
        cause: maybe(row, 6, count)?,
        body: parse(&kind, stored)?,
    })
}

fn agent(row: &Row<'_>, of_run: Option<AgentName>) -> Result<Option<AgentName>, Failure> {
    match row.get_ref(3)? {
        ValueRef::Null => Ok(of_run),
        ValueRef::Integer(0) => Ok(None),
        name => Ok(Some(name.as_str().map_err(Failure::damage)?.into())),
    }
}

fn parse(kind: &str, stored: &str) -> Result<EventBody, Failure> {
    let json = tag(stored, kind).ok_or_else(|| Failure::damage("its body is no object"))?;
    let mut json = serde_json::Deserializer::from_str(&json);
    // What is read here was written from a value in memory, however deep, and its checksum was right.
    json.disable_recursion_limit();
    EventBody::deserialize(&mut json).map_err(|error| Failure::damage(format!("{kind}: {error}")))
}
