//! Pages of all tasks.

use std::collections::BTreeSet;

use actors::model::TaskStatus;
use actors::store::{TaskQuery, TaskRow};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::Failure;
use super::query::{all, limit};
use super::rows::{self, named, task_columns, text};

/// One status of one project, or of all: each is a stretch of an index that is in the order of ids.
macro_rules! stretch {
    ($project:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT ",
            task_columns!(),
            " FROM tasks WHERE ",
            $project,
            "status = ?2 AND id ",
            $after,
            " ?3 ORDER BY id ",
            $order,
            " LIMIT ?4"
        )
    };
}

const OF_PROJECT: [&str; 2] = [
    stretch!("project = ?1 AND ", ">", "ASC"),
    stretch!("project = ?1 AND ", "<", "DESC"),
];

const OF_ALL: [&str; 2] = [
    stretch!("?1 IS NULL AND ", ">", "ASC"),
    stretch!("?1 IS NULL AND ", "<", "DESC"),
];

/// What stands before every id, and what stands after every id.
const ENDS: [&str; 2] = ["", "task_~"];

/// A page: the first of each status, put in order.
pub(super) fn tasks(conn: &Connection, query: &TaskQuery) -> Result<Vec<TaskRow>, Failure> {
    let project = query.project.as_ref().map_or(Value::Null, text);
    let direction = usize::from(query.newest_first);
    let after = query.after.map_or_else(|| text(ENDS[direction]), text);
    let sql = match query.project {
        Some(_) => OF_PROJECT[direction],
        None => OF_ALL[direction],
    };
    let mut found = Vec::new();
    for status in statuses(query)? {
        let values = (&project, status, &after, limit(query.limit));
        found.extend(all(conn, sql, values, |row| Ok(rows::task(row)?.1))?);
    }
    found.sort_unstable_by_key(|row| row.id);
    if query.newest_first {
        found.reverse();
    }
    found.truncate(query.limit);
    Ok(found)
}

/// The names of those that are asked for, each once.
fn statuses(query: &TaskQuery) -> Result<BTreeSet<String>, Failure> {
    let wanted = match query.statuses.as_slice() {
        [] => &TaskStatus::ALL[..],
        some => some,
    };
    let name = |status: &TaskStatus| match named(status)? {
        Value::Text(name) => Ok(name),
        other => Err(Failure::damage(format!("{other:?} is no name"))),
    };
    wanted.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema::MIGRATIONS;

    #[test]
    fn a_page_is_read_from_an_index_in_its_order() {
        let conn = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS {
            conn.execute_batch(migration.sql).unwrap();
        }
        for (sql, index) in [
            (
                OF_PROJECT[0],
                "tasks_of_project (project=? AND status=? AND id>?)",
            ),
            (
                OF_PROJECT[1],
                "tasks_of_project (project=? AND status=? AND id<?)",
            ),
            (OF_ALL[0], "tasks_by_status (status=? AND id>?)"),
            (OF_ALL[1], "tasks_by_status (status=? AND id<?)"),
        ] {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan = plan.query_map(("", "", "", 1), |row| row.get::<_, String>(3));
            let plan: Vec<_> = plan.unwrap().map(Result::unwrap).collect();
            assert_eq!(plan, [format!("SEARCH tasks USING INDEX {index}")], "{sql}");
        }
    }
}
