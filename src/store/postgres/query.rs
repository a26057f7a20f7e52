//! What is read, in one statement each, so that all of an answer is of one state.

use actors::model::{Event, EventBody, RunId, Seq, TaskId};
use actors::store::{EventQuery, Page, RunRow, Snapshot, TaskRow};
use serde::Deserialize;
use tokio_postgres::Row;

use super::error::Failure;
use super::readers::Values;
use super::rows::{
    self, count, get, maybe_count, maybe_run, maybe_text, number, run_columns, task_columns, time,
};

pub(super) const TASK: &str = concat!("SELECT ", task_columns!(), " FROM tasks WHERE id = $1");

pub(super) const TASKS: &str = concat!("SELECT ", task_columns!(), " FROM tasks ORDER BY nr");

pub(super) const UNFINISHED: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks WHERE status IN ('running', 'needs_attention') ORDER BY nr"
);

pub(super) const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE task = $1 ORDER BY nr"
);

pub(super) const RUN: &str = concat!("SELECT ", run_columns!(), " FROM runs WHERE id = $1");

pub(super) const BLOB: &str = "SELECT bytes FROM blobs WHERE hash = $1";

pub(super) const HASHES: &str = "SELECT hash FROM blobs ORDER BY hash";

pub(super) const SNAPSHOT: &str = "SELECT seq, body FROM snapshots WHERE run = $1";

macro_rules! event_columns {
    () => {
        "event.seq, event.run, event.agent, event.at, event.epoch, event.cause, event.body"
    };
}

/// A task's head comes with every row, and alone where there is none.
pub(super) const EVENTS: &str = concat!(
    "SELECT task.head, ",
    event_columns!(),
    " FROM tasks task LEFT JOIN events event ON event.task = task.id AND event.seq > $2 AND event.seq <= $3
     WHERE task.id = $1 ORDER BY event.seq"
);

/// As [`EVENTS`], but only what concerns a run; with it, how many there are in all.
pub(super) const EVENTS_FOR: &str = concat!(
    "SELECT task.head, ",
    event_columns!(),
    ", (SELECT count(*) FROM events event WHERE event.task = $1 AND event.seq > $2 AND event.seq <= $3)
     FROM tasks task LEFT JOIN events event ON event.task = task.id AND event.seq > $2 AND event.seq <= $3 AND (
       event.run IS NULL OR event.run = $4 OR event.kind = 'task_message'
       OR event.run IN (SELECT id FROM runs WHERE task = $1 AND parent = $4))
     WHERE task.id = $1 ORDER BY event.seq"
);

pub(super) const EVENTS_AT: &str = concat!(
    "SELECT 0::bigint, ",
    event_columns!(),
    " FROM events event WHERE event.task = $1 AND event.seq = ANY($2)"
);

/// The last number that a query asks for.
fn last(query: EventQuery) -> Seq {
    const LAST: Seq = i64::MAX as Seq;
    let limit = Seq::try_from(query.limit).unwrap_or(Seq::MAX);
    query.after.saturating_add(limit).min(LAST)
}

/// What [`EVENTS`] is given; no task has events after a number that a store does not give.
pub(super) fn events_values(query: EventQuery) -> Values {
    let after = number(query.after.min(i64::MAX as Seq));
    vec![
        Box::new(query.task.0),
        Box::new(after),
        Box::new(number(last(query))),
    ]
}

/// A page of a task's events. A missing event is damage: the task's row knows how many there are.
pub(super) fn events(query: EventQuery, rows: &[Row]) -> Result<Vec<Event>, Failure> {
    let events = some(query.task, rows)?;
    let until = head(rows)?.min(last(query));
    let mut wanted = query.after.saturating_add(1)..=until;
    let numbers = events.iter().map(|event| event.id);
    match wanted.clone().eq(numbers) {
        true => Ok(events),
        false => {
            let is_there = |seq: &Seq| events.iter().any(|event| event.id == *seq);
            let lost = wanted.find(|seq| !is_there(seq)).unwrap_or(until + 1);
            Err(missing(query.task, lost))
        }
    }
}

/// Those of a page that concern a run. That none is missing is seen by their count.
pub(super) fn events_for(query: EventQuery, rows: &[Row]) -> Result<Page, Failure> {
    let events = some(query.task, rows)?;
    let until = head(rows)?.min(last(query)).max(query.after);
    let there = match rows.first() {
        Some(row) => count(row, 8)?,
        None => 0,
    };
    if there != until - query.after {
        return Err(missing(query.task, query.after + 1));
    }
    let limit = Seq::try_from(query.limit).unwrap_or(Seq::MAX);
    Ok(Page {
        events,
        last: until,
        is_end: there < limit,
    })
}

fn missing(task: TaskId, seq: Seq) -> Failure {
    Failure::Damage(format!(
        "event {seq} of {task}, or one after it, is missing"
    ))
}

fn head(rows: &[Row]) -> Result<Seq, Failure> {
    rows.first().map_or(Ok(0), |row| count(row, 0))
}

/// The events with these numbers, in the order in which they are asked for.
pub(super) fn events_at(
    task: TaskId,
    numbers: &[Seq],
    rows: &[Row],
) -> Result<Vec<Event>, Failure> {
    let found = some(task, rows)?;
    let find = |number: &Seq| found.iter().find(|event| event.id == *number).cloned();
    Ok(numbers.iter().filter_map(find).collect())
}

/// The events in rows that may have none.
fn some(task: TaskId, rows: &[Row]) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(seq) = maybe_count(row, 1)? {
            let event = event(task, seq, row);
            events.push(event.map_err(|failure| failure.at(|| format!("event {seq} of {task}")))?);
        }
    }
    Ok(events)
}

fn event(task_id: TaskId, id: Seq, row: &Row) -> Result<Event, Failure> {
    Ok(Event {
        id,
        task_id,
        run_id: maybe_run(row, 2)?,
        agent: maybe_text(row, 3)?.map(|agent| agent.as_str().into()),
        at: time(row, 4)?,
        epoch: count(row, 5)?,
        cause: maybe_count(row, 6)?,
        body: body(get(row, 7)?)?,
    })
}

fn body(stored: &str) -> Result<EventBody, Failure> {
    let mut json = serde_json::Deserializer::from_str(stored);
    // What is read here was written from a value in memory, however deep.
    json.disable_recursion_limit();
    EventBody::deserialize(&mut json).map_err(Failure::damage)
}

pub(super) fn tasks(rows: &[Row]) -> Result<Vec<TaskRow>, Failure> {
    rows.iter().map(rows::task).collect()
}

pub(super) fn runs(rows: &[Row]) -> Result<Vec<RunRow>, Failure> {
    rows.iter().map(rows::run).collect()
}

pub(super) fn snapshot(run: RunId, rows: &[Row]) -> Result<Option<Snapshot>, Failure> {
    let read = |row: &Row| {
        let (seq, body) = (count(row, 0)?, get(row, 1)?);
        Ok(Snapshot { run, seq, body })
    };
    rows.first().map(read).transpose()
}
