//! Pages of all tasks, and what is in the outbox.

use actors::model::{TaskId, TaskStatus};
use actors::store::{Announced, TaskQuery};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Failure;
use super::readers::Values;
use super::rows::{count, get, kept, name_of, task_columns};

/// One status of one project, or of all, after another: each is a stretch of an index that is in the order of ids.
macro_rules! pages {
    ($project:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT found.* FROM unnest($1::text[]) AS wanted (status) CROSS JOIN LATERAL (SELECT ",
            task_columns!(),
            " FROM tasks WHERE ",
            $project,
            "tasks.status = wanted.status AND tasks.id ",
            $after,
            " $2 ORDER BY tasks.id ",
            $order,
            " LIMIT $3) AS found ORDER BY found.id ",
            $order,
            " LIMIT $3"
        )
    };
}

/// By whether there is a project, and whether the newest come first.
const PAGES: [[&str; 2]; 2] = [
    [pages!("", ">=", "ASC"), pages!("", "<=", "DESC")],
    [
        pages!(
            "left(project, 100) = left($4, 100) AND project = $4 AND ",
            ">=",
            "ASC"
        ),
        pages!(
            "left(project, 100) = left($4, 100) AND project = $4 AND ",
            "<=",
            "DESC"
        ),
    ],
];

pub(super) const ANNOUNCED: &str =
    "SELECT position, task, seq FROM outbox WHERE position > $1 ORDER BY position LIMIT $2";

/// The statement for a page of tasks, and what it is given; none where there is nothing after the last.
pub(super) fn page(query: &TaskQuery) -> Result<Option<(&'static str, Values)>, Failure> {
    let wanted = match query.statuses.as_slice() {
        [] => &TaskStatus::ALL[..],
        some => some,
    };
    let mut statuses: Vec<_> = wanted.iter().map(name_of).collect::<Result<_, _>>()?;
    statuses.sort_unstable();
    statuses.dedup();
    let Some(from) = from(query) else {
        return Ok(None);
    };
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let mut values: Values = vec![Box::new(statuses), Box::new(from), Box::new(limit)];
    if let Some(project) = &query.project {
        values.push(Box::new(kept(project).into_owned()));
    }
    let of = usize::from(query.project.is_some());
    let sql = PAGES[of][usize::from(query.newest_first)];
    Ok(Some((sql, values)))
}

/// The first id that a page may begin with.
fn from(query: &TaskQuery) -> Option<Uuid> {
    let after = query.after.map(|after| after.0.as_u128());
    let from = match (query.newest_first, after) {
        (true, None) => u128::MAX,
        (true, Some(after)) => after.checked_sub(1)?,
        (false, None) => 0,
        (false, Some(after)) => after.checked_add(1)?,
    };
    Some(Uuid::from_u128(from))
}

/// What [`ANNOUNCED`] is given.
pub(super) fn announced_values(after: u64, limit: usize) -> Values {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    vec![Box::new(place(after)), Box::new(limit)]
}

/// Positions are no larger than the server's numbers.
pub(super) fn place(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

pub(super) fn announced(rows: &[Row]) -> Result<Vec<Announced>, Failure> {
    let read = |row: &Row| {
        Ok(Announced {
            position: count(row, 0)?,
            task: TaskId(get(row, 1)?),
            seq: count(row, 2)?,
        })
    };
    rows.iter().map(read).collect()
}
