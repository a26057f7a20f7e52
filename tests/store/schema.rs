//! Opening what other versions and other programs left.

use std::path::Path;

use actors::store::{Store, StoreError};
use actors::testing::conformance::store::draft::{append, events, note, run, task, working};
use futures_util::FutureExt;
use impresario::store::{Options, Sqlite};
use rusqlite::Connection;
use tempfile::TempDir;

async fn left_behind() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("left.db");
    let store = Sqlite::open(Options::new(&path)).expect("the store opens");
    working(&store, task(1), run(1)).await;
    store.close().await.expect("the store closes");
    (folder, path)
}

fn change(path: &Path, sql: &str) {
    let conn = Connection::open(path).expect("a connection");
    conn.execute_batch(sql).expect("the change");
}

fn refused(path: &Path) -> StoreError {
    let before = std::fs::read(path).expect("the file");
    let refused = Sqlite::open(Options::new(path)).expect_err("it is refused");
    assert!(
        std::fs::read(path).expect("the file") == before,
        "nothing is written over it"
    );
    refused
}

#[tokio::test]
async fn a_database_of_a_later_program_is_left_alone() {
    let (_folder, path) = left_behind().await;
    change(&path, "INSERT INTO schema_version VALUES (7, 'x', 'y')");
    let found = refused(&path);
    let place = path.display().to_string();
    assert_eq!(
        found,
        StoreError::TooNew {
            place,
            found: 7,
            known: 2
        }
    );
    change(&path, "DELETE FROM schema_version WHERE version = 7");
    Sqlite::open(Options::new(&path)).expect("the store opens");
}

#[tokio::test]
async fn a_schema_that_somebody_changed_is_refused() {
    for (sql, what) in [
        (
            "UPDATE schema_version SET checksum = 'another'",
            "another migration",
        ),
        ("DELETE FROM schema_version", "already exists"),
        (
            "CREATE TABLE more (x)",
            "not those that its migrations made",
        ),
        (
            "DROP INDEX runs_of_task",
            "not those that its migrations made",
        ),
        ("DROP TABLE schema_version", "without a schema version"),
    ] {
        let (_folder, path) = left_behind().await;
        change(&path, sql);
        match refused(&path) {
            StoreError::Corrupt { place, detail } => {
                assert_eq!(Path::new(&place), path);
                assert!(detail.contains(what), "{sql}: {detail}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn files_that_are_no_stores_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "groceries\n".repeat(500)).expect("a file");
    assert!(matches!(refused(&text), StoreError::Corrupt { .. }));
    let foreign = folder.path().join("foreign.db");
    change(&foreign, "CREATE TABLE photos (id INTEGER PRIMARY KEY)");
    assert!(matches!(refused(&foreign), StoreError::Corrupt { .. }));
}

#[tokio::test]
async fn places_that_cannot_hold_a_store_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing/store.db");
    for (path, advice) in [
        (missing, "make its folder first"),
        (
            folder.path().to_owned(),
            "choose a place that this user may write to",
        ),
        ("/proc/version".into(), "this user may write"),
    ] {
        match Sqlite::open(Options::new(&path)) {
            Err(StoreError::Io { place, detail }) => {
                assert_eq!(Path::new(&place), path);
                assert!(detail.contains(advice), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_closed_says_so_and_opens_again() {
    let (_folder, path) = left_behind().await;
    let store = Sqlite::open(Options::new(&path)).expect("the store opens");
    let before = events(&store, task(1)).await;
    store.close().await.expect("the store closes");
    assert!(
        !path.with_extension("db-wal").exists(),
        "the log is folded in"
    );
    assert_eq!(store.append(Vec::new()).await, Err(StoreError::Closed));
    assert_eq!(store.task(task(1)).await, Err(StoreError::Closed));
    assert_eq!(store.close().await, Err(StoreError::Closed));
    let again = Sqlite::open(Options::new(&path)).expect("the store opens");
    assert_eq!(events(&again, task(1)).await, before);
    working(&again, task(2), run(2)).await;
    drop(again);
    assert!(
        !path.with_extension("db-wal").exists(),
        "the log is folded in"
    );
}

#[tokio::test]
async fn what_was_handed_over_is_written_before_the_end() {
    let (_folder, path) = left_behind().await;
    let store = Sqlite::open(Options::new(&path)).expect("the store opens");
    for n in 0..20 {
        let batch = vec![append(task(1), vec![note(&n.to_string())])];
        // Nobody waits for the answer.
        assert_eq!(store.append(batch).now_or_never(), None);
    }
    drop(store);
    let again = Sqlite::open(Options::new(&path)).expect("the store opens");
    assert_eq!(events(&again, task(1)).await.len(), 23);
}
