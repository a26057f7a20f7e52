//! Records in a file: what an earlier version left, what an opening forgets, and what is damaged.

use std::path::Path;

use actors::model::event::Outcome;
use actors::model::{Content, EventBody, Step, Timestamp};
use actors::store::{Announce, Append, Put, Records, Store, StoreError};
use actors::testing::conformance::store::draft::{
    append, blob, created, note, of_run, of_task, run, task, working, write,
};
use actors::testing::conformance::store::every_kind;
use impresario::store::{Durability, Options, Sqlite};
use rusqlite::Connection;

fn open(path: &Path) -> Result<Sqlite, StoreError> {
    Sqlite::open(Options {
        durability: Durability::Process,
        ..Options::new(path)
    })
}

fn change(path: &Path, sql: &str) {
    let conn = Connection::open(path).expect("a connection");
    conn.execute_batch(sql).expect("the change");
}

fn put(key: &str) -> Put {
    Put {
        kind: "project".to_owned(),
        key: key.to_owned(),
        expected: None,
        at: Timestamp(0),
        body: Some(serde_json::json!({ "name": key })),
    }
}

/// The stores find the blob that an event refers to by this mark in its text.
#[test]
fn an_event_refers_to_one_blob_at_most_and_by_its_mark() {
    let bodies = every_kind();
    for body in &bodies {
        let text = serde_json::to_string(body).expect("a text");
        let marks = text.matches("{\"blob\":\"").count();
        assert_eq!(marks, usize::from(body.blob().is_some()), "{text}");
    }
    assert!(bodies.iter().any(|body| body.blob().is_some()));
}

/// What version 2 made, undone.
const BACK_TO_1: &str = "DROP TABLE records; DROP TABLE outbox; DROP INDEX tasks_of_project; DROP INDEX tasks_by_status;
    DROP INDEX events_with_blobs; DELETE FROM schema_version WHERE version = 2";

#[tokio::test]
async fn what_version_1_left_can_be_listed_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("old.db");
    let store = open(&path).expect("the store opens");
    let [shared, own] = [&b"shared"[..], b"own"].map(blob);
    for n in 1..=2 {
        working(&store, task(n), run(n)).await;
        let results = [&shared, &own]
            .into_iter()
            .take(3 - usize::try_from(n).expect("a number"));
        let results = results.map(|blob| {
            let content = Content::Blob {
                blob: blob.hash.clone(),
                bytes: 6,
                preview: "\u{e4} {\"blob\":\"".to_owned(),
            };
            let body = EventBody::ToolCallCompleted {
                step: Step { turn: 0, index: 0 },
                outcome: Outcome::Ok,
                content,
            };
            of_run(run(n), 1, body)
        });
        let reason = String::new();
        let end = of_task(EventBody::TaskCancelled { reason });
        let append = Append {
            blobs: vec![shared.clone(), own.clone()],
            ..append(task(n), results.chain([end]).collect())
        };
        write(&store, append).await;
    }
    store.close().await.expect("the store closes");
    drop(store);
    change(&path, BACK_TO_1);
    let store = open(&path).expect("the store opens");
    store.check().await.expect("nothing is damaged");
    let there = async |hash: &str| {
        store
            .blob(hash.to_owned())
            .await
            .expect("an answer")
            .is_some()
    };
    assert_eq!(store.remove_task(task(1)).await, Ok(true));
    assert!(there(&shared.hash).await && !there(&own.hash).await);
    assert_eq!(store.remove_task(task(2)).await, Ok(true));
    assert!(!there(&shared.hash).await);
    let made = store.put_records(vec![put("a")]).await;
    assert_eq!(made, Ok(Ok(vec![1])));
    store.check().await.expect("nothing is damaged");
}

#[tokio::test]
async fn an_opening_forgets_what_was_to_be_announced_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("again.db");
    let store = open(&path).expect("the store opens");
    store.announce(Announce::Everything);
    write(&store, append(task(1), vec![created()])).await;
    let before = store.announced(0, 9).await.expect("the outbox");
    store.close().await.expect("the store closes");
    assert_eq!(
        store.put_records(vec![put("a")]).await,
        Err(StoreError::Closed)
    );
    assert_eq!(store.remove_task(task(1)).await, Err(StoreError::Closed));
    drop(store);
    let store = open(&path).expect("the store opens");
    write(&store, append(task(1), vec![note("nobody is told")])).await;
    assert_eq!((before.len(), store.announced(0, 9).await), (1, Ok(before)));
}

/// A store with records and announcements, changed behind its back.
async fn changed(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.db");
    let store = open(&path).expect("the store opens");
    store.announce(Announce::Everything);
    write(&store, append(task(1), vec![created(), note("a")])).await;
    let made = store.put_records(["a", "b"].map(put).to_vec()).await;
    made.expect("an answer").expect("new records");
    store.close().await.expect("the store closes");
    drop(store);
    change(&path, sql);
    (folder, path)
}

#[tokio::test]
async fn a_damaged_record_is_named_and_the_others_are_readable() {
    for sql in [
        "UPDATE records SET body = replace(body, 'b', 'c') WHERE name = 'b'",
        "UPDATE records SET version = 7 WHERE name = 'b'",
        "UPDATE records SET at = 7 WHERE name = 'b'",
    ] {
        let (_folder, path) = changed(sql).await;
        let store = open(&path).expect("its indexes are in order");
        let damage = |place: &str| StoreError::Corrupt {
            place: path.display().to_string(),
            detail: format!("{place}: row 2 of `records` is not as it was written"),
        };
        let found = store.record("project", "b").await;
        assert_eq!(found, Err(damage("project `b`")), "{sql}");
        let conflict = store.put_records(vec![put("a"), put("b")]).await;
        assert_eq!(conflict, Err(damage("project `b`")), "{sql}");
        assert_eq!(store.check().await, Err(damage("a record")), "{sql}");
        let other = store.record("project", "a").await.expect("an answer");
        assert_eq!(other.map(|it| it.version), Some(1));
        assert_eq!(store.put_records(vec![put("a")]).await, Ok(Ok(vec![2])));
    }
}

#[tokio::test]
async fn nothing_is_announced_from_a_damaged_outbox() {
    for (sql, what) in [
        (
            "UPDATE outbox SET seq = 1 WHERE position = 2",
            "the outbox: row 2 of `outbox` is not as it was written",
        ),
        (
            "UPDATE outbox SET position = 9 WHERE position = 2",
            "the outbox: row 9 of `outbox` is not as it was written",
        ),
        (
            "DELETE FROM events; DELETE FROM tasks",
            "announcement 1: task 1 is missing",
        ),
    ] {
        let (_folder, path) = changed(sql).await;
        match open(&path) {
            Err(StoreError::Corrupt { detail, .. }) => assert_eq!(detail, what),
            other => panic!("{sql}: {other:?}"),
        }
    }
}
