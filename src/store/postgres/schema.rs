//! The schema's versions, and whether this database can be used.

use tokio_postgres::types::ToSql;

use crate::store::migrate::{Applied, Migration, Refusal, pending};

use super::error::Failure;
use super::link::{Access, Link, quoted};
use super::rows::get;

/// Every version there was, oldest first.
const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../schema/postgres/001.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../schema/postgres/002.sql"),
    },
];

const VERSIONS: &str = "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, checksum TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())";

/// Brings the database to the newest version in one transaction, or leaves it alone and says why. Others who want to do the same wait.
pub(super) async fn migrate(link: &mut Link, access: &Access) -> Result<(), Failure> {
    link.batch("BEGIN").await?;
    let migrated = migrate_within(link, access).await;
    match migrated {
        Ok(()) => link.batch("COMMIT").await,
        Err(failure) => {
            // What refused it may have ended the connection as well; then there is nothing to take back.
            let _ = link.batch("ROLLBACK").await;
            Err(failure)
        }
    }
}

async fn migrate_within(link: &mut Link, access: &Access) -> Result<(), Failure> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('impresario: schema'), hashtext($1))";
    let name = access.schema().unwrap_or_default();
    link.query(LOCK, &[&name]).await?;
    encoding(link).await?;
    enter(link, access).await?;
    let applied = applied(link).await?;
    let known = MIGRATIONS;
    let pending = pending(known, &applied.clone().unwrap_or_default()).map_err(refused)?;
    if applied.is_none() {
        link.batch(VERSIONS).await?;
    }
    for migration in pending {
        take(link, migration).await?;
    }
    Ok(())
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::TooNew { found, known } => Failure::TooNew { found, known },
        other => Failure::damage(other),
    }
}

/// Texts are any that there are, so the database must be able to hold them.
async fn encoding(link: &mut Link) -> Result<(), Failure> {
    let found = link
        .query("SELECT current_setting('server_encoding')", &[])
        .await?;
    let found: String = first(&found, "an encoding")?;
    match found.as_str() {
        "UTF8" => Ok(()),
        other => Err(Failure::Limit(format!(
            "its encoding is {other}: make a database with the encoding UTF8"
        ))),
    }
}

/// Goes into the schema, making it if there is none and the URL names it.
async fn enter(link: &mut Link, access: &Access) -> Result<(), Failure> {
    if let Some(schema) = access.schema() {
        let sql = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
        // Who may not make schemas can have one made for them.
        if link.query(sql, &[&schema]).await?.is_empty() {
            link.batch(&format!("CREATE SCHEMA {}", quoted(schema)))
                .await?;
        }
    }
    let found = link.query("SELECT current_schema()::text", &[]).await?;
    let found: Option<String> = first(&found, "a schema")?;
    found.map(|_| ()).ok_or_else(|| {
        let what = "its `search_path` names no schema that is there and may be used: make one, or name one with `schema=`";
        Failure::Limit(what.to_owned())
    })
}

/// The steps that were taken; none where there is nothing at all.
async fn applied(link: &mut Link) -> Result<Option<Vec<Applied>>, Failure> {
    const TABLES: &str = "SELECT relname::text FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind IN ('r', 'p', 'v', 'm', 'f')";
    let tables = link.query(TABLES, &[]).await?;
    let tables: Vec<String> = tables
        .iter()
        .map(|row| get(row, 0))
        .collect::<Result<_, _>>()?;
    if tables.is_empty() {
        return Ok(None);
    }
    if !tables.iter().any(|table| table == "schema_version") {
        return Err(Failure::damage(
            "its schema has tables and no schema version, perhaps another program's; name another one with `schema=`",
        ));
    }
    let sql = "SELECT version, checksum FROM schema_version ORDER BY version";
    let rows = link.query(sql, &[]).await?;
    let applied = rows.iter().map(|row| {
        Ok(Applied {
            version: u32::try_from(get::<i64>(row, 0)?).map_err(Failure::damage)?,
            checksum: get(row, 1)?,
        })
    });
    applied.collect::<Result<_, _>>().map(Some)
}

async fn take(link: &mut Link, migration: &Migration) -> Result<(), Failure> {
    link.batch(migration.sql).await?;
    let sql = "INSERT INTO schema_version (version, checksum) VALUES ($1, $2)";
    let version = i64::from(migration.version);
    let values: [&(dyn ToSql + Sync); 2] = [&version, &migration.checksum()];
    link.query(sql, &values).await.map(|_| ())
}

fn first<'r, T: tokio_postgres::types::FromSql<'r>>(
    rows: &'r [tokio_postgres::Row],
    what: &str,
) -> Result<T, Failure> {
    let row = rows.first();
    get(
        row.ok_or_else(|| Failure::damage(format!("it does not say {what}")))?,
        0,
    )
}
