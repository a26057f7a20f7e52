//! Pages of a task's events.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use actors::model::{AgentName, Event, RunId, TaskId};
use actors::store::EventQuery;
use rusqlite::{Connection, Row};

use super::error::Failure;
use super::events::{self, Names, event_columns};
use super::kinds;
use super::query::{self, first, same};
use super::rows::{self, run_columns};

/// A page of a task's events. A missing event is damage: the task's row knows how many there are.
pub(super) fn events(conn: &Connection, query: EventQuery) -> Result<Vec<Event>, Failure> {
    const SQL: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events WHERE key > ?1 ORDER BY key LIMIT ?2"
    );
    let Some((task, row)) = query::task(conn, query.task)? else {
        return Ok(Vec::new());
    };
    let limit = u64::try_from(query.limit).unwrap_or(u64::MAX);
    let last = row.head.min(query.after.saturating_add(limit));
    let count = last.saturating_sub(query.after).cast_signed();
    let mut statement = conn.prepare_cached(SQL)?;
    let mut found = statement.query([events::key(task, query.after), count])?;
    let mut page = Page::new(conn, task, query.task);
    for seq in query.after.saturating_add(1)..=last {
        let event = found.next().map_err(Failure::from);
        let event = event.and_then(|row| page.event(row, seq));
        let of = || format!("event {seq} of {}", query.task);
        page.events.push(event.map_err(|error| error.at(of))?);
    }
    Ok(page.events)
}

/// Those that concern a run. That none is missing is seen by their count.
pub(super) fn events_for(
    conn: &Connection,
    query: EventQuery,
    run: RunId,
) -> Result<actors::store::Page, Failure> {
    const COUNT: &str = "SELECT count(*) FROM events WHERE key > ?1 AND key <= ?2";
    const SQL: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events WHERE key > ?1 AND key <= ?2 AND (
           run IS NULL OR run IN (SELECT key FROM runs WHERE task = ?3 AND (id = ?4 OR parent = ?4))
           OR kind = (SELECT key FROM kinds WHERE name = 'task_message'))
         ORDER BY key"
    );
    let nothing = actors::store::Page {
        events: Vec::new(),
        last: query.after,
        is_end: true,
    };
    let Some((task, row)) = query::task(conn, query.task)? else {
        return Ok(nothing);
    };
    let limit = u64::try_from(query.limit).unwrap_or(u64::MAX);
    let last = row.head.min(query.after.saturating_add(limit));
    if last <= query.after {
        return Ok(nothing);
    }
    let (from, to) = (events::key(task, query.after), events::key(task, last));
    let count: i64 = conn
        .prepare_cached(COUNT)?
        .query_row([from, to], |row| row.get(0))?;
    if count.cast_unsigned() != last - query.after {
        // Reading all of them finds the one that is missing, and names it.
        events(conn, query)?;
    }
    let mut statement = conn.prepare_cached(SQL)?;
    let mut found = statement.query((from, to, task, run.to_string()))?;
    let mut page = Page::new(conn, task, query.task);
    while let Some(row) = found.next()? {
        let seq = events::seq(task, row.get(0)?)
            .ok_or_else(|| Failure::damage("it is of another task"))?;
        let of = || format!("event {seq} of {}", query.task);
        let event = page.event(Some(row), seq);
        page.events.push(event.map_err(|error| error.at(of))?);
    }
    Ok(actors::store::Page {
        events: page.events,
        last,
        is_end: last - query.after < limit,
    })
}

struct Page<'c> {
    conn: &'c Connection,
    task: i64,
    id: TaskId,
    events: Vec<Event>,
    runs: BTreeMap<i64, (RunId, AgentName)>,
    kinds: BTreeMap<i64, String>,
}

impl<'c> Page<'c> {
    fn new(conn: &'c Connection, task: i64, id: TaskId) -> Self {
        Self {
            conn,
            task,
            id,
            events: Vec::new(),
            runs: BTreeMap::new(),
            kinds: BTreeMap::new(),
        }
    }

    fn event(&mut self, row: Option<&Row<'_>>, seq: u64) -> Result<Event, Failure> {
        let missing = || Failure::damage("it is missing");
        let row = row.ok_or_else(missing)?;
        if events::seq(self.task, row.get(0)?) != Some(seq) {
            return Err(missing());
        }
        events::event(row, self.id, seq, self)
    }
}

impl Names for Page<'_> {
    fn kind(&mut self, key: i64) -> Result<String, Failure> {
        match self.kinds.entry(key) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(new) => Ok(new.insert(kinds::name(self.conn, key)?).clone()),
        }
    }

    fn run(&mut self, key: i64) -> Result<(RunId, AgentName), Failure> {
        match self.runs.entry(key) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(new) => {
                let run = run(self.conn, key, (self.task, self.id))?;
                Ok(new.insert(run).clone())
            }
        }
    }
}

/// A run of the task, by its key.
fn run(conn: &Connection, key: i64, of: (i64, TaskId)) -> Result<(RunId, AgentName), Failure> {
    const SQL: &str = concat!("SELECT ", run_columns!(), " FROM runs WHERE key = ?1");
    let read = |row: &Row<'_>| rows::run(row, |task| same(task, of));
    let found = first(conn, SQL, [key], read)?;
    let (_, run) = found.ok_or_else(|| Failure::damage(format!("its run {key} is missing")))?;
    Ok((run.id, run.agent))
}
