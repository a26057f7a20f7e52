//! Records: what is read, and changes in one transaction.

use std::collections::BTreeMap;

use actors::store::version::{Change, Versions};
use actors::store::{Record, RecordQuery};
use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::batch::{Ended, Mark, begin_marked, commit};
use super::error::Failure;
use super::link::Link;
use super::readers::Values;
use super::rows::{count, get, kept, number, text, time};
use crate::store::group::Answer;

macro_rules! record_columns {
    () => {
        "kind, name, version, at, body"
    };
}

pub(super) const RECORD: &str = concat!(
    "SELECT ",
    record_columns!(),
    " FROM records WHERE kind = $1 AND name = $2"
);

pub(super) const RECORDS: &str = concat!(
    "SELECT ",
    record_columns!(),
    " FROM records WHERE kind = $1 AND name >= $2 AND name > $3 ORDER BY name LIMIT $4"
);

/// All of them, some at a time.
pub(super) const SOME: &str = concat!(
    "SELECT ",
    record_columns!(),
    " FROM records WHERE (kind, name) > ($1, $2) ORDER BY kind, name LIMIT 64"
);

// Two nodes lock what both change in the same order, so neither waits for the other in a circle.
const LOCK: &str = "SELECT kind, name, version FROM records
     WHERE (kind, name) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY kind, name FOR UPDATE";

// Where another node has just made the same record, this is refused and tried again on what is there then.
const INSERT: &str = concat!(
    "INSERT INTO records (",
    record_columns!(),
    ") SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])"
);

const UPDATE: &str = "UPDATE records SET version = new.version, at = new.at, body = new.body
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS new (kind, name, version, at, body)
     WHERE records.kind = new.kind AND records.name = new.name";

const DELETE: &str =
    "DELETE FROM records WHERE (kind, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))";

/// All statements that changing takes.
pub(super) const STATEMENTS: [&str; 4] = [LOCK, INSERT, UPDATE, DELETE];

/// What [`RECORD`] and [`SOME`] are given.
pub(super) fn name_values(kind: &str, key: &str) -> Values {
    vec![
        Box::new(kept(kind).into_owned()),
        Box::new(kept(key).into_owned()),
    ]
}

/// What [`RECORDS`] is given.
pub(super) fn query_values(query: &RecordQuery) -> Values {
    let [kind, prefix, after] = [&query.kind, &query.prefix, &query.after].map(|it| kept(it));
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    vec![
        Box::new(kind.into_owned()),
        Box::new(prefix.into_owned()),
        Box::new(after.into_owned()),
        Box::new(limit),
    ]
}

pub(super) fn some(rows: &[Row]) -> Result<Vec<Record>, Failure> {
    rows.iter().map(record).collect()
}

/// Those that begin so: they stand side by side, and first.
pub(super) fn beginning(prefix: &str, rows: &[Row]) -> Result<Vec<Record>, Failure> {
    let mut found = some(rows)?;
    let fits = |record: &&Record| record.key.starts_with(prefix);
    found.truncate(found.iter().take_while(fits).count());
    Ok(found)
}

pub(super) fn record(row: &Row) -> Result<Record, Failure> {
    let (kind, key) = (text(row, 0)?, text(row, 1)?);
    let read = || {
        let mut body = serde_json::Deserializer::from_str(get(row, 4)?);
        // What is read here was written from a value in memory, however deep.
        body.disable_recursion_limit();
        Ok((
            count(row, 2)?,
            time(row, 3)?,
            serde_json::Value::deserialize(&mut body).map_err(Failure::damage)?,
        ))
    };
    let of = |failure: Failure| failure.at(|| format!("{kind} `{key}`"));
    let (version, at, body) = read().map_err(of)?;
    Ok(Record {
        kind,
        key,
        version,
        at,
        body,
    })
}

/// Makes the changes of several calls, each whole or not at all, in one transaction.
pub(super) async fn put(
    link: &mut Link,
    mark: Mark,
    calls: &[Vec<Change>],
) -> Result<Ended<Vec<Answer>>, Failure> {
    begin_marked(link, mark).await?;
    let mut versions = Versions::default();
    let stored = lock(link, calls, &mut versions).await?;
    let mut last = Last::new();
    let mut answers = Vec::with_capacity(calls.len());
    for changes in calls {
        let answer = versions.apply(changes);
        for (change, version) in changes.iter().zip(answer.iter().flatten()) {
            last.insert((&change.kind, &change.key), (change, *version));
        }
        answers.push(answer);
    }
    write(link, &last, &stored).await?;
    commit(link, answers).await
}

/// What becomes of each record in the end.
type Last<'c> = BTreeMap<(&'c str, &'c str), (&'c Change, u64)>;

/// Locks the records that are there, and takes note of the versions of all; those that are there.
async fn lock(
    link: &mut Link,
    calls: &[Vec<Change>],
    versions: &mut Versions,
) -> Result<Vec<(String, String)>, Failure> {
    let mut names: Vec<_> = calls
        .iter()
        .flat_map(|changes| versions.unknown(changes))
        .collect();
    names.sort_unstable();
    names.dedup();
    let column = |of: fn(&(&str, &str)) -> String| names.iter().map(of).collect::<Vec<_>>();
    let kinds = column(|(kind, _)| kept(kind).into_owned());
    let keys = column(|(_, key)| kept(key).into_owned());
    let rows = link.query(LOCK, &[&kinds, &keys]).await?;
    for (kind, key) in names {
        versions.know(kind, key, 0);
    }
    let mut stored = Vec::with_capacity(rows.len());
    for row in &rows {
        let (kind, key) = (text(row, 0)?, text(row, 1)?);
        versions.know(&kind, &key, count(row, 2)?);
        stored.push((kind, key));
    }
    Ok(stored)
}

async fn write(
    link: &mut Link,
    last: &Last<'_>,
    stored: &[(String, String)],
) -> Result<(), Failure> {
    let is_stored = |(kind, key): &(&str, &str)| {
        let found = stored.binary_search_by(|it| (&*it.0, &*it.1).cmp(&(kind, key)));
        found.is_ok()
    };
    let some = |was_there: bool, is_there: bool| {
        let wanted = last.iter().filter(|(name, (change, _))| {
            is_stored(name) == was_there && change.body.is_some() == is_there
        });
        Columns::of(wanted.map(|(_, change)| *change).collect())
    };
    let deleted = some(true, false);
    if !deleted.kinds.is_empty() {
        link.query(DELETE, &[&deleted.kinds, &deleted.keys]).await?;
    }
    for (sql, columns) in [(UPDATE, some(true, true)), (INSERT, some(false, true))] {
        if !columns.kinds.is_empty() {
            link.query(sql, &columns.values()).await?;
        }
    }
    Ok(())
}

/// A column of values for each parameter.
struct Columns<'c> {
    kinds: Vec<String>,
    keys: Vec<String>,
    versions: Vec<i64>,
    times: Vec<i64>,
    bodies: Vec<Option<&'c str>>,
}

impl<'c> Columns<'c> {
    fn of(changes: Vec<(&'c Change, u64)>) -> Self {
        let all = || changes.iter();
        Self {
            kinds: all().map(|(it, _)| kept(&it.kind).into_owned()).collect(),
            keys: all().map(|(it, _)| kept(&it.key).into_owned()).collect(),
            versions: all().map(|(_, version)| number(*version)).collect(),
            times: all().map(|(it, _)| number(it.at.0)).collect(),
            bodies: all().map(|(it, _)| it.body.as_deref()).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 5] {
        [
            &self.kinds,
            &self.keys,
            &self.versions,
            &self.times,
            &self.bodies,
        ]
    }
}
