//! What is written, inside one transaction each.

use actors::store::{Announce, Append, Appended, Snapshot};
use futures_util::future::{try_join, try_join_all, try_join4};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::changes::{self, Changes, Limit, Step};
use super::error::Failure;
use super::link::Link;
use super::lists::place;
use super::records;
use super::rows::{number, run_columns, task_columns};

/// Names a transaction, so that its writer can ask whether it was committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Who writes.
    pub(super) writer: Uuid,
    /// Its how many-th transaction this is.
    pub(super) number: i64,
}

/// How a transaction ended.
pub(super) enum Ended<T> {
    /// It is as durable as it will be.
    Written(T),
    /// It was to be committed, and no answer came.
    Unknown(T, Failure),
}

// It never adds a row: one that is not yet committed could not be waited for.
const MARK: &str = "UPDATE writers SET batch = $2, at = now() WHERE id = $1";

/// Whoever asks waits until the transaction that has marked itself is over.
const MARKED: &str = "SELECT batch FROM writers WHERE id = $1 FOR UPDATE";

/// A writer is there before its first transaction, so that those who come after it can wait for that one.
const ENTER: &str = "INSERT INTO writers (id, batch) VALUES ($1, 0)";

/// Waits until every transaction is over that was marked before.
const WAIT: &str = "SELECT id FROM writers ORDER BY id FOR UPDATE";

const UNMARK: &str = "DELETE FROM writers WHERE id = $1 OR at < now() - interval '30 days'";

// Two nodes lock what both write in the same order, so neither waits for the other in a circle.
pub(super) const LOCK_TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks WHERE id = ANY($1) ORDER BY id FOR UPDATE"
);

const LOCK_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE id = ANY($1) ORDER BY id FOR UPDATE"
);

// The numbers have no sign, see `rows::number`: turning the first bit over makes them comparable.
const SAVE_SNAPSHOT: &str = "INSERT INTO snapshots (run, seq, body) VALUES ($1, $2, $3)
     ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, body = excluded.body
     WHERE snapshots.seq # x'8000000000000000'::bigint <= excluded.seq # x'8000000000000000'::bigint";

/// What is larger is not sent in one go with the end of the transaction.
const SMALL: usize = 1 << 20;

/// All statements that appending takes, so that a database without them is noticed when it is opened.
pub(super) async fn prepare(link: &mut Link) -> Result<(), Failure> {
    let here = [
        ENTER,
        MARK,
        MARKED,
        UNMARK,
        LOCK_TASKS,
        LOCK_RUNS,
        SAVE_SNAPSHOT,
    ];
    let others = changes::STATEMENTS.into_iter().chain(records::STATEMENTS);
    link.prepare(here.into_iter().chain(others)).await
}

/// Enters a writer. Whatever is read after that does not change any more through a program that is gone, whose last transaction the
/// server may have been in the middle of.
pub(super) async fn enter(link: &mut Link, writer: Uuid) -> Result<(), Failure> {
    link.query(WAIT, &[]).await?;
    link.query(ENTER, &[&writer]).await.map(|_| ())
}

/// Writes a batch, whole or not at all. On an error nothing of it is written, and the transaction is still to be taken back.
pub(super) async fn append(
    link: &mut Link,
    mark: Mark,
    batch: &[Append],
    (limit, announce): (Limit, &Announce),
) -> Result<Ended<Appended>, Failure> {
    let mut changes = begin(link, mark, batch).await?;
    let answers: Appended = batch
        .iter()
        .map(|append| changes.apply(append, limit, announce))
        .collect();
    let steps = changes.steps()?;
    if steps.is_empty() {
        link.batch("ROLLBACK").await?;
        return Ok(Ended::Written(answers));
    }
    let mut prepared = Vec::with_capacity(steps.len());
    for step in &steps {
        prepared.push(link.statement(step.sql).await?);
    }
    let small = steps.iter().map(|step| step.bytes).sum::<usize>() <= SMALL;
    let sent = match small {
        true => link.within(all_at_once(link, &prepared, &steps)).await,
        false => {
            one_by_one(link, &prepared, &steps).await?;
            link.batch("COMMIT").await
        }
    };
    ended(sent, answers)
}

fn ended<T>(committed: Result<(), Failure>, answers: T) -> Result<Ended<T>, Failure> {
    match committed {
        Ok(()) => Ok(Ended::Written(answers)),
        Err(failure) if failure.is_away() => Ok(Ended::Unknown(answers, failure)),
        Err(failure) => Err(failure),
    }
}

/// Begins a transaction that is marked.
pub(super) async fn begin_marked(link: &mut Link, mark: Mark) -> Result<(), Failure> {
    link.batch("BEGIN").await?;
    let marking = link.statement(MARK).await?;
    let values: [&(dyn ToSql + Sync); 2] = [&mark.writer, &mark.number];
    let asking = async { Ok(link.client.execute(&marking, &values).await?) };
    match link.within(asking).await? {
        1 => Ok(()),
        _ => Err(Failure::Forgotten),
    }
}

/// Ends a transaction whose statements were all answered.
pub(super) async fn commit<T>(link: &Link, answers: T) -> Result<Ended<T>, Failure> {
    ended(link.batch("COMMIT").await, answers)
}

/// Marks the transaction, then locks and reads the rows that the batch touches: one round trip. The mark is answered before anything
/// else is sent, so a transaction that may have been committed is one whose mark can be waited for.
async fn begin<'b>(
    link: &mut Link,
    mark: Mark,
    batch: &'b [Append],
) -> Result<Changes<'b>, Failure> {
    let marking = link.statement(MARK).await?;
    let (lock_tasks, lock_runs) = (
        link.statement(LOCK_TASKS).await?,
        link.statement(LOCK_RUNS).await?,
    );
    let (tasks, runs) = changes::named(batch);
    let client = &link.client;
    let (marked, task_ids, run_ids): ([&(dyn ToSql + Sync); 2], _, _) = (
        [&mark.writer, &mark.number],
        [&tasks as &(dyn ToSql + Sync)],
        [&runs as &(dyn ToSql + Sync)],
    );
    let asking = async {
        let found = try_join4(
            client.batch_execute("BEGIN"),
            client.execute(&marking, &marked),
            client.query(&lock_tasks, &task_ids),
            client.query(&lock_runs, &run_ids),
        );
        let ((), marked, tasks, runs) = found.await?;
        match marked {
            1 => Ok((tasks, runs)),
            _ => Err(Failure::Forgotten),
        }
    };
    let (tasks, runs) = link.within(asking).await?;
    Changes::of(&tasks, &runs)
}

/// The commit goes out behind everything else without waiting for answers: in a transaction that has failed it takes everything back,
/// and a statement that cannot even be sent holds it up, because both joins begin their futures in order and stop at an error.
async fn all_at_once(
    link: &Link,
    prepared: &[Statement],
    steps: &[Step<'_>],
) -> Result<(), Failure> {
    let client = &link.client;
    let steps = prepared.iter().zip(steps).map(|(statement, step)| {
        let values = step.values();
        async move { client.execute(statement, &values).await }
    });
    try_join(try_join_all(steps), client.batch_execute("COMMIT")).await?;
    Ok(())
}

async fn one_by_one(
    link: &Link,
    prepared: &[Statement],
    steps: &[Step<'_>],
) -> Result<(), Failure> {
    for (statement, step) in prepared.iter().zip(steps) {
        let values = step.values();
        let sending = async { Ok(link.client.execute(statement, &values).await?) };
        link.within(sending).await?;
    }
    Ok(())
}

/// Whether a transaction without an answer was committed; waits until it is over.
pub(super) async fn was_written(link: &mut Link, mark: Mark) -> Result<bool, Failure> {
    let found = link.query(MARKED, &[&mark.writer]).await?;
    let newest = found.first().map(|row| super::rows::get::<i64>(row, 0));
    Ok(newest.transpose()? == Some(mark.number))
}

/// Forgets a writer that has nothing left to ask, and those that ended without doing so long ago.
pub(super) async fn unmark(link: &mut Link, writer: Uuid) -> Result<(), Failure> {
    link.query(UNMARK, &[&writer]).await.map(|_| ())
}

/// Empties the outbox up to a position.
pub(super) async fn forget(link: &mut Link, up_to: u64) -> Result<(), Failure> {
    const FORGET: &str = "DELETE FROM outbox WHERE position <= $1";
    link.query(FORGET, &[&place(up_to)]).await.map(|_| ())
}

/// Keeps a snapshot unless a newer one is there.
pub(super) async fn put_snapshot(
    link: &mut Link,
    snapshot: &Snapshot,
    limit: Limit,
) -> Result<(), Failure> {
    if snapshot.body.len() > limit {
        return Err(Failure::Limit(format!(
            "a snapshot of {} bytes is over its limit of {limit}",
            snapshot.body.len()
        )));
    }
    let values: [&(dyn ToSql + Sync); 3] = [&snapshot.run.0, &number(snapshot.seq), &snapshot.body];
    link.query(SAVE_SNAPSHOT, &values).await.map(|_| ())
}
