//! Connections as this store wants them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Durability;
use super::error::Failure;

/// Small pages: what is larger than one spills over into pages of its own that it fills, while several results of a kilobyte would
/// leave much of a larger page empty.
const PAGE_BYTES: u32 = 1024;

/// The log is folded into the database when it has so many pages.
const LOG_PAGES: u32 = 4 * 1024;

/// The log is cut back to this size when it has been folded into the database.
const LOG_BYTES: u32 = 16 * 1024 * 1024;

/// More than the store has statements, so that each is compiled once.
const STATEMENTS: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// How long to wait for another process's lock.
    pub(super) busy_timeout: Duration,
    /// Whether it may write.
    pub(super) write: bool,
}

pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, Failure> {
    let mode = match access.write {
        true => OpenFlags::SQLITE_OPEN_READ_WRITE,
        false => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(access.busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    Ok(conn)
}

/// Makes ready for writing. This changes a file that is not yet a store.
pub(super) fn prepare(
    conn: &Connection,
    durability: Durability,
    max_pages: Option<u32>,
) -> Result<(), Failure> {
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let detail =
            "its folder cannot hold a write-ahead log (a network file system?): choose a local one";
        return Err(Failure::Limit(detail.to_owned()));
    }
    let power = durability == Durability::Power;
    let synchronous = if power { "FULL" } else { "NORMAL" };
    conn.pragma_update(None, "synchronous", synchronous)?;
    // Apple's systems take more than a flush to get past the disk's own cache; elsewhere this changes nothing.
    conn.pragma_update(None, "fullfsync", power)?;
    conn.pragma_update(None, "checkpoint_fullfsync", power)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    set(conn, "wal_autocheckpoint", LOG_PAGES)?;
    set(conn, "journal_size_limit", LOG_BYTES)?;
    max_pages.map_or(Ok(()), |pages| set(conn, "max_page_count", pages))
}

/// Sets a number that SQLite answers with.
fn set(conn: &Connection, name: &str, number: u32) -> Result<(), Failure> {
    let _: i64 = conn.pragma_update_and_check(None, name, number, |row| row.get(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_is_survived_unless_it_is_not_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for (durability, synchronous) in [(Durability::Power, 2), (Durability::Process, 1)] {
            let path = folder.path().join(format!("{synchronous}.db"));
            std::fs::write(&path, "").unwrap();
            let access = Access {
                busy_timeout: Duration::ZERO,
                write: true,
            };
            let conn = connect(&path, access).unwrap();
            prepare(&conn, durability, None).unwrap();
            for (pragma, wanted) in [
                ("synchronous", synchronous),
                ("foreign_keys", 1),
                ("page_size", i64::from(PAGE_BYTES)),
            ] {
                let found: i64 = conn
                    .pragma_query_value(None, pragma, |row| row.get(0))
                    .unwrap();
                assert_eq!(found, wanted, "{pragma}");
            }
        }
    }
}
