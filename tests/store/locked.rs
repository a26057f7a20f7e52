//! Another process keeps the database locked.

use std::time::Duration;

use actors::store::{Store, StoreError};
use actors::testing::conformance::store::draft::{append, created, events, note, task, write};
use impresario::store::{Options, Sqlite};
use rusqlite::Connection;

fn impatient(path: &std::path::Path) -> Options {
    Options {
        busy_timeout: Duration::from_millis(20),
        ..Options::new(path)
    }
}

fn is_in_use(error: &StoreError) -> bool {
    matches!(error, StoreError::InUse { by, .. } if by.contains("another process"))
}

#[tokio::test]
async fn an_append_to_a_locked_database_fails_and_the_next_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(impatient(&folder.path().join("locked.db"))).expect("the store opens");
    write(&store, append(task(1), vec![created()])).await;
    let other = Connection::open(store.path()).expect("another connection");
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    let said = append(task(1), vec![note("said")]);
    let refused = store
        .append(vec![said.clone()])
        .await
        .expect_err("it is locked");
    assert!(is_in_use(&refused), "{refused}");
    assert_eq!(events(&store, task(1)).await.len(), 1, "reading goes on");
    other
        .execute_batch("ROLLBACK")
        .expect("the lock is given back");
    assert_eq!(write(&store, said).await[0].id, 2);
}

#[test]
fn a_locked_database_does_not_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("locked.db");
    drop(Sqlite::open(impatient(&path)).expect("the store opens"));
    for lock in [
        "BEGIN IMMEDIATE",
        "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
    ] {
        let other = Connection::open(&path).expect("another connection");
        other.execute_batch(lock).expect("the lock");
        let refused = Sqlite::open(impatient(&path)).expect_err("it is locked");
        assert!(is_in_use(&refused), "{lock}: {refused}");
    }
    Sqlite::open(impatient(&path)).expect("the store opens");
}
