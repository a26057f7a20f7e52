//! The schema's versions, and whether what is there is what they made.

use actors::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::error::{Failure, Place};
use crate::store::migrate::{Applied, Migration, Refusal, pending};

/// Every version there was, oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../schema/001.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../schema/002.sql"),
    },
];

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, checksum TEXT NOT NULL, shape TEXT NOT NULL) STRICT";

/// Whether the file may become or is a store of this program; nothing is written.
pub(super) fn recognise(
    conn: &mut Connection,
    place: &Place,
    known: &[Migration],
) -> Result<(), StoreError> {
    let tx = conn.transaction().map_err(Failure::from);
    let applied = tx.and_then(|tx| applied(&tx));
    to_apply(place, known, applied).map(|_| ())
}

/// Brings the database to the newest version in one transaction, or leaves it alone and says why.
pub(super) fn migrate(
    conn: &mut Connection,
    place: &Place,
    known: &[Migration],
) -> Result<(), StoreError> {
    let failed = |failure: Failure| place.error(failure);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate);
    let tx = tx.map_err(|error| failed(error.into()))?;
    let pending = to_apply(place, known, applied(&tx))?;
    if pending.is_empty() {
        return same_shape(&tx).map_err(failed);
    }
    take(&tx, pending).map_err(failed)?;
    tx.commit().map_err(|error| failed(error.into()))
}

fn to_apply<'m>(
    place: &Place,
    known: &'m [Migration],
    applied: Result<Vec<Applied>, Failure>,
) -> Result<&'m [Migration], StoreError> {
    let applied = applied.map_err(|failure| place.error(failure))?;
    pending(known, &applied).map_err(|refusal| refused(place, &refusal))
}

fn refused(place: &Place, refusal: &Refusal) -> StoreError {
    match *refusal {
        Refusal::TooNew { found, known } => StoreError::TooNew {
            place: place.path().display().to_string(),
            found,
            known,
        },
        _ => place.corrupt(refusal.to_string()),
    }
}

fn applied(tx: &Transaction<'_>) -> Result<Vec<Applied>, Failure> {
    let tables: Vec<String> = tx
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    if !tables.iter().any(|table| table == "schema_version") {
        return Err(Failure::damage(
            "it is a database without a schema version, perhaps another program's",
        ));
    }
    let applied = |row: &rusqlite::Row<'_>| {
        Ok(Applied {
            version: row.get(0)?,
            checksum: row.get(1)?,
        })
    };
    let mut versions =
        tx.prepare("SELECT version, checksum FROM schema_version ORDER BY version")?;
    let versions = versions.query_map([], applied)?;
    Ok(versions.collect::<Result<_, _>>()?)
}

fn take(tx: &Transaction<'_>, pending: &[Migration]) -> Result<(), Failure> {
    tx.execute_batch(VERSIONS)?;
    for migration in pending {
        tx.execute_batch(migration.sql)?;
        let sql = "INSERT INTO schema_version (version, checksum, shape) VALUES (?1, ?2, ?3)";
        let shape = shape(tx)?;
        tx.execute(sql, (migration.version, migration.checksum(), shape))?;
    }
    Ok(())
}

/// What the schema is now must be what the newest migration left.
fn same_shape(tx: &Transaction<'_>) -> Result<(), Failure> {
    let newest = "SELECT shape FROM schema_version ORDER BY version DESC LIMIT 1";
    let left: Option<String> = tx.query_row(newest, [], |row| row.get(0)).optional()?;
    if left == Some(shape(tx)?) {
        return Ok(());
    }
    Err(Failure::damage(
        "its tables are not those that its migrations made",
    ))
}

/// A hash over the texts of all tables, indexes and views.
fn shape(tx: &Transaction<'_>) -> Result<String, Failure> {
    let texts = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";
    let mut hasher = blake3::Hasher::new();
    let mut statement = tx.prepare(texts)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for at in 0..4 {
            hasher.update(
                row.get_ref(at)?
                    .as_str()
                    .map_err(Failure::damage)?
                    .as_bytes(),
            );
            hasher.update(&[0]);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[Migration] = &[
        Migration {
            version: 1,
            sql: "CREATE TABLE a (x); INSERT INTO a VALUES (1);",
        },
        Migration {
            version: 2,
            sql: "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;",
        },
    ];

    fn memory() -> (Connection, Place) {
        let conn = Connection::open_in_memory().unwrap();
        (conn, Place::new("memory".into()))
    }

    fn tables(conn: &Connection) -> Vec<String> {
        let mut found = conn
            .prepare("SELECT name || coalesce(sql, '') FROM sqlite_schema ORDER BY 1")
            .unwrap();
        let found = found.query_map([], |row| row.get(0)).unwrap();
        found.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_database_goes_forward_from_any_version() {
        let (mut at_once, place) = memory();
        migrate(&mut at_once, &place, TWO).unwrap();
        let (mut by_steps, place) = memory();
        for known in [&TWO[..1], TWO, TWO] {
            migrate(&mut by_steps, &place, known).unwrap();
        }
        assert_eq!(tables(&at_once), tables(&by_steps));
        let moved: i64 = by_steps
            .query_row("SELECT y FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!(moved, 2);
    }

    #[test]
    fn a_migration_that_fails_leaves_everything_as_it_was() {
        const BROKEN: &[Migration] = &[
            TWO[0],
            Migration {
                version: 2,
                sql: "DROP TABLE a; CREATE TABLE b (x); INSERT INTO c VALUES (1);",
            },
        ];
        let (mut fresh, place) = memory();
        migrate(&mut fresh, &place, BROKEN).unwrap_err();
        assert_eq!(tables(&fresh), Vec::<String>::new());
        migrate(&mut fresh, &place, &TWO[..1]).unwrap();
        let before = tables(&fresh);
        migrate(&mut fresh, &place, BROKEN).unwrap_err();
        assert_eq!(tables(&fresh), before);
        migrate(&mut fresh, &place, TWO).unwrap();
    }

    #[test]
    fn the_versions_are_numbered_without_gaps() {
        let versions = MIGRATIONS.iter().map(|it| it.version);
        assert!(versions.eq(1..=u32::try_from(MIGRATIONS.len()).unwrap()));
    }
}
