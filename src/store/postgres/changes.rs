//! What a batch changes, and the statements that write it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use actors::model::{Event, RunId, TaskId};
use actors::store::project::Projection;
use actors::store::{Announce, Append, Blob, Illegal, Rejected, RunRow, TaskRow};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error::Failure;
use super::rows::{self, kept, name_of, number, run_columns, task_columns};

/// The most that one thing may be, in bytes.
pub(super) type Limit = usize;

/// So much goes into one statement, and then what was begun.
const STEP_BYTES: usize = 4 << 20;
const STEP_ROWS: usize = 1000;

const NEW_TASKS: &str = concat!(
    "INSERT INTO tasks (",
    task_columns!(),
    ") SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[], $8::bigint[])"
);

const CHANGED_TASKS: &str = "UPDATE tasks SET status = new.status, root_run = new.root_run, head = new.head, updated_at = new.updated_at
     FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[]) AS new (id, status, root_run, head, updated_at)
     WHERE tasks.id = new.id";

const NEW_RUNS: &str = concat!(
    "INSERT INTO runs (",
    run_columns!(),
    ") SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
     $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[])"
);

const CHANGED_RUNS: &str =
    "UPDATE runs SET status = new.status, epoch = new.epoch, started_at = new.started_at,
     ended_at = new.ended_at, usage = new.usage
     FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
       AS new (id, status, epoch, started_at, ended_at, usage)
     WHERE runs.id = new.id";

const EVENTS: &str = "INSERT INTO events (task, seq, kind, run, agent, at, epoch, cause, body)
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])";

const BLOBS: &str = "INSERT INTO blobs (hash, bytes) SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT (hash) DO NOTHING";

/// Whoever writes or refers to a blob does so before or after one who removes blobs, see `remove::LOCK_BLOBS`: it is not removed
/// between its being found there and its being referred to.
const HOLD_BLOBS: &str = "SELECT pg_advisory_xact_lock_shared(hashtext('impresario: blobs'), hashtext(current_schema()))";

// The row of the newest position stays locked until the end of the transaction, so others get theirs after that.
const OUTBOX: &str = "WITH newest AS (
       INSERT INTO outbox_newest (nr, position) VALUES (1, cardinality($1::uuid[]))
       ON CONFLICT (nr) DO UPDATE SET position = outbox_newest.position + excluded.position RETURNING position)
     INSERT INTO outbox (position, task, seq)
     SELECT newest.position - cardinality($1::uuid[]) + new.place, new.task, new.seq
     FROM newest, unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS new (task, seq, place)";

/// All of them.
pub(super) const STATEMENTS: [&str; 8] = [
    NEW_TASKS,
    CHANGED_TASKS,
    NEW_RUNS,
    CHANGED_RUNS,
    EVENTS,
    BLOBS,
    HOLD_BLOBS,
    OUTBOX,
];

/// A statement with what it is given: a column of values for each parameter.
pub(super) struct Step<'a> {
    pub(super) sql: &'static str,
    columns: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
    pub(super) bytes: usize,
}

impl Step<'_> {
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.columns
            .iter()
            .map(|column| &**column as &(dyn ToSql + Sync))
            .collect()
    }
}

/// The tasks and runs that a batch names, each once.
pub(super) fn named(batch: &[Append]) -> (Vec<Uuid>, Vec<Uuid>) {
    let tasks: BTreeSet<_> = batch.iter().map(|append| append.task.0).collect();
    let runs = batch.iter().flat_map(Projection::runs_of);
    let runs: BTreeSet<_> = runs.map(|run| run.0).collect();
    (tasks.into_iter().collect(), runs.into_iter().collect())
}

/// The rows that a batch touches as they are and will be, and what comes to them.
#[derive(Default)]
pub(super) struct Changes<'b> {
    tasks: Rows<TaskId, TaskRow>,
    runs: Rows<RunId, RunRow>,
    events: Vec<Encoded>,
    /// Whether one of them refers to a blob.
    refers: bool,
    announced: Vec<(Uuid, i64)>,
    blobs: BTreeMap<&'b str, &'b [u8]>,
}

/// Rows by their ids.
struct Rows<K, R> {
    all: BTreeMap<K, R>,
    /// Those the database had.
    stored: BTreeSet<K>,
    /// Those that are other or new, in the order in which they became so.
    touched: Vec<K>,
}

impl<K, R> Default for Rows<K, R> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            stored: BTreeSet::new(),
            touched: Vec::new(),
        }
    }
}

impl<K: Copy + Ord, R: PartialEq> Rows<K, R> {
    fn load(&mut self, key: K, row: R) {
        self.stored.insert(key);
        self.all.insert(key, row);
    }

    fn put(&mut self, key: K, row: R) {
        if self.all.get(&key) == Some(&row) {
            return;
        }
        self.all.insert(key, row);
        if !self.touched.contains(&key) {
            self.touched.push(key);
        }
    }

    /// The new ones, or those that have changed.
    fn touched(&self, new: bool) -> Vec<&R> {
        let wanted = self
            .touched
            .iter()
            .filter(|key| self.stored.contains(key) != new);
        wanted.filter_map(|key| self.all.get(key)).collect()
    }
}

struct Encoded {
    task: Uuid,
    seq: i64,
    kind: &'static str,
    run: Option<Uuid>,
    agent: Option<String>,
    at: i64,
    epoch: i64,
    cause: Option<i64>,
    body: String,
}

impl<'b> Changes<'b> {
    /// Of the rows that the database has.
    pub(super) fn of(tasks: &[Row], runs: &[Row]) -> Result<Self, Failure> {
        let mut changes = Self::default();
        for row in tasks {
            let row = rows::task(row)?;
            changes.tasks.load(row.id, row);
        }
        for row in runs {
            let row = rows::run(row)?;
            changes.runs.load(row.id, row);
        }
        Ok(changes)
    }

    /// Adds what an append changes; nothing if it is refused.
    pub(super) fn apply(
        &mut self,
        append: &'b Append,
        limit: Limit,
        announce: &Announce,
    ) -> Result<Vec<Event>, Rejected> {
        let named = Projection::runs_of(append);
        let rows = named.iter().filter_map(|run| self.runs.all.get(run));
        let mut rows = Projection {
            task: self.tasks.all.get(&append.task).cloned(),
            runs: rows.map(|row| (row.id, row.clone())).collect(),
        };
        let events = rows.apply(append)?;
        let encoded = events.iter().map(|event| encode(limit, event));
        let encoded: Vec<_> = encoded.collect::<Result<_, _>>()?;
        fits(limit, &append.blobs)?;
        if let Some(row) = rows.task.take() {
            self.tasks.put(row.id, row);
        }
        for run in named {
            if let Some(row) = rows.runs.remove(&run) {
                self.runs.put(run, row);
            }
        }
        let announced = encoded.iter().filter(|event| announce.has(event.kind));
        self.announced
            .extend(announced.map(|event| (event.task, event.seq)));
        self.refers |= events.iter().any(|event| event.body.blob().is_some());
        self.events.extend(encoded);
        let blobs = append.blobs.iter();
        self.blobs
            .extend(blobs.map(|blob| (&*blob.hash, &*blob.bytes)));
        Ok(events)
    }

    /// What is to be sent, in order; what two nodes may write at once is sorted, so that neither waits for the other in a circle.
    pub(super) fn steps(&self) -> Result<Vec<Step<'_>>, Failure> {
        let mut steps = vec![
            (self.refers || !self.blobs.is_empty()).then(hold_blobs),
            new_tasks(&self.tasks.touched(true))?,
            changed_tasks(&self.tasks.touched(false))?,
            new_runs(&self.runs.touched(true))?,
            changed_runs(&self.runs.touched(false))?,
        ];
        let size = |event: &Encoded| event.body.len();
        steps.extend(split(&self.events, size).map(|some| Some(events(some))));
        let blobs: Vec<_> = self.blobs.iter().collect();
        let size = |(_, bytes): &(&&str, &&[u8])| bytes.len();
        for some in split(&blobs, size) {
            steps.push(Some(self::blobs(some)));
        }
        // Last, because nobody else can announce anything from here to the end.
        steps.extend(split(&self.announced, |_| 0).map(|some| Some(outbox(some))));
        Ok(steps.into_iter().flatten().collect())
    }
}

fn encode(limit: Limit, event: &Event) -> Result<Encoded, Illegal> {
    let kind = event.body.kind();
    let body = serde_json::to_string(&event.body).map_err(|error| {
        Illegal::new(
            kind,
            "the store",
            format!("a store of JSON texts ({error})"),
        )
    })?;
    let agent = event.agent.as_ref().map(|agent| kept(agent.as_str()));
    let size = body.len() + agent.as_ref().map_or(0, |agent| agent.len());
    if size > limit {
        let state = format!(
            "limited to {limit} bytes an event and not {size}: put large contents into blobs"
        );
        return Err(Illegal::new(kind, "the store", state));
    }
    Ok(Encoded {
        task: event.task_id.0,
        seq: number(event.id),
        kind,
        run: event.run_id.map(|run| run.0),
        agent: agent.map(Into::into),
        at: number(event.at.0),
        epoch: number(event.epoch),
        cause: event.cause.map(number),
        body,
    })
}

fn fits(limit: Limit, blobs: &[Blob]) -> Result<(), Illegal> {
    let Some(blob) = blobs.iter().find(|blob| blob.bytes.len() > limit) else {
        return Ok(());
    };
    let state = format!("limited to {limit} bytes and not {}", blob.bytes.len());
    Err(Illegal::new("a blob", "the store", state))
}

/// Parts that each go into one statement.
fn split<T>(mut rest: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let full = rest.iter().take(STEP_ROWS).position(|item| {
            bytes += size(item);
            bytes > STEP_BYTES
        });
        let count = full.map_or(rest.len().min(STEP_ROWS), |at| at + 1);
        let (part, others) = rest.split_at(count);
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

/// A column of values, one from each item.
fn column<'a, T, V>(items: &[T], value: impl Fn(&T) -> V) -> Box<dyn ToSql + Sync + Send + 'a>
where
    Vec<V>: ToSql + Sync + Send + 'a,
{
    Box::new(items.iter().map(value).collect::<Vec<V>>())
}

fn step<'a>(
    sql: &'static str,
    rows: usize,
    columns: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
) -> Option<Step<'a>> {
    let bytes = rows * 256;
    (rows > 0).then_some(Step {
        sql,
        columns,
        bytes,
    })
}

fn names<T, V: serde::Serialize>(
    items: &[T],
    value: impl Fn(&T) -> V,
) -> Result<Vec<String>, Failure> {
    items.iter().map(|item| name_of(value(item))).collect()
}

fn new_tasks<'a>(rows: &[&'a TaskRow]) -> Result<Option<Step<'a>>, Failure> {
    let columns = vec![
        column(rows, |row| row.id.0),
        column(rows, |row| kept(&row.project)),
        column(rows, |row| kept(&row.name)),
        Box::new(names(rows, |row| row.status)?),
        column(rows, |row| row.root_run.map(|run| run.0)),
        column(rows, |row| number(row.head)),
        column(rows, |row| number(row.created_at.0)),
        column(rows, |row| number(row.updated_at.0)),
    ];
    Ok(step(NEW_TASKS, rows.len(), columns))
}

fn changed_tasks<'a>(rows: &[&'a TaskRow]) -> Result<Option<Step<'a>>, Failure> {
    let columns = vec![
        column(rows, |row| row.id.0),
        Box::new(names(rows, |row| row.status)?),
        column(rows, |row| row.root_run.map(|run| run.0)),
        column(rows, |row| number(row.head)),
        column(rows, |row| number(row.updated_at.0)),
    ];
    Ok(step(CHANGED_TASKS, rows.len(), columns))
}

fn new_runs<'a>(rows: &[&'a RunRow]) -> Result<Option<Step<'a>>, Failure> {
    let delegation = |row: &&RunRow| row.delegation.map(name_of).transpose();
    let delegations: Vec<_> = rows.iter().map(delegation).collect::<Result<_, _>>()?;
    let columns = vec![
        column(rows, |row| row.id.0),
        column(rows, |row| row.task.0),
        column(rows, |row| row.parent.map(|run| run.0)),
        Box::new(delegations),
        column(rows, |row| kept(row.agent.as_str())),
        column(rows, |row| kept(&row.title)),
        column(rows, |row| i64::from(row.depth)),
        Box::new(names(rows, |row| row.status)?),
        column(rows, |row| number(row.epoch)),
        column(rows, |row| number(row.queued_at.0)),
        column(rows, |row| row.started_at.map(|at| number(at.0))),
        column(rows, |row| row.ended_at.map(|at| number(at.0))),
        Box::new(usages(rows)?),
    ];
    Ok(step(NEW_RUNS, rows.len(), columns))
}

fn changed_runs<'a>(rows: &[&'a RunRow]) -> Result<Option<Step<'a>>, Failure> {
    let columns = vec![
        column(rows, |row| row.id.0),
        Box::new(names(rows, |row| row.status)?),
        column(rows, |row| number(row.epoch)),
        column(rows, |row| row.started_at.map(|at| number(at.0))),
        column(rows, |row| row.ended_at.map(|at| number(at.0))),
        Box::new(usages(rows)?),
    ];
    Ok(step(CHANGED_RUNS, rows.len(), columns))
}

fn usages(rows: &[&RunRow]) -> Result<Vec<String>, Failure> {
    let usage = |row: &&RunRow| serde_json::to_string(&row.usage).map_err(Failure::damage);
    rows.iter().map(usage).collect()
}

fn events(events: &[Encoded]) -> Step<'_> {
    let columns = vec![
        column(events, |event| event.task),
        column(events, |event| event.seq),
        column(events, |event| event.kind),
        column(events, |event| event.run),
        Box::new(Vec::from_iter(
            events.iter().map(|event| event.agent.as_deref()),
        )),
        column(events, |event| event.at),
        column(events, |event| event.epoch),
        column(events, |event| event.cause),
        Box::new(Vec::from_iter(events.iter().map(|event| &*event.body))),
    ];
    Step {
        sql: EVENTS,
        columns,
        bytes: events.iter().map(|event| event.body.len()).sum(),
    }
}

fn blobs<'a>(blobs: &[(&&'a str, &&'a [u8])]) -> Step<'a> {
    Step {
        sql: BLOBS,
        columns: vec![
            column(blobs, |(hash, _)| kept(hash)),
            column(blobs, |(_, bytes)| **bytes),
        ],
        bytes: blobs.iter().map(|(_, bytes)| bytes.len()).sum(),
    }
}

fn hold_blobs<'a>() -> Step<'a> {
    Step {
        sql: HOLD_BLOBS,
        columns: Vec::new(),
        bytes: 0,
    }
}

fn outbox<'a>(announced: &[(Uuid, i64)]) -> Step<'a> {
    Step {
        sql: OUTBOX,
        columns: vec![
            column(announced, |(task, _)| *task),
            column(announced, |(_, seq)| *seq),
        ],
        bytes: 32 * announced.len(),
    }
}
