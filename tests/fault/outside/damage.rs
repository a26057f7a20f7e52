//! Bytes that are not what was written: found before anything is done over them, and said.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::model::{Attention, EventBody};
use actors::store::{Append, Draft, Store, StoreError};
use impresario::store::{Options, Sqlite};
use impresario::{AgentSpec, Scripted, Settled, System, TaskDefinition};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{Stage, overwrite};

/// Notes that were interrupted, with everything in the database itself.
fn folded() -> (Stage, PathBuf) {
    let stage = Stage::interrupted();
    let database = stage.data().join("impresario.db");
    fold(&database);
    (stage, database)
}

/// Whoever closes a database last folds its log in.
fn fold(database: &Path) {
    let conn = Connection::open(database).expect("the database");
    let any: i64 = conn
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .expect("events");
    assert!(any > 0);
}

#[test]
fn an_event_that_was_changed() {
    let (stage, database) = folded();
    assert!(overwrite(
        &database,
        b"\"text\":\"One.\"",
        b"\"text\":\"Oan.\""
    ));
    for _ in 0..2 {
        let refused = stage.go_on();
        // 2 where it is found before anything is started, 1 where it is found later.
        assert!(matches!(refused.code(), Some(1 | 2)), "{refused:?}");
        let told = stage.told(&refused);
        assert!(
            told.contains("DIR/data/impresario.db is damaged: event 5 of task_"),
            "{told}"
        );
        assert!(told.contains("restore it from a copy"), "{told}");
    }
    assert!(overwrite(
        &database,
        b"\"text\":\"Oan.\"",
        b"\"text\":\"One.\""
    ));
    stage.comes_to_its_end();
}

#[test]
fn a_file_that_is_no_database() {
    let (stage, database) = folded();
    let mut header = std::fs::read(&database).expect("a database");
    let good = header.clone();
    header[..100].fill(b'x');
    std::fs::write(&database, header).expect("a file");
    let refused = stage.go_on();
    assert_eq!(refused.code(), Some(2));
    insta::assert_snapshot!(stage.told(&refused), @"error: DIR/data/impresario.db is damaged: file is not a database; restore it from a copy, nothing is started over it");
    std::fs::write(&database, good).expect("a file");
    stage.comes_to_its_end();
}

#[test]
fn a_database_that_ends_too_early() {
    let (stage, database) = folded();
    let good = std::fs::read(&database).expect("a database");
    std::fs::write(&database, &good[..good.len() / 2]).expect("a file");
    let refused = stage.go_on();
    assert_eq!(refused.code(), Some(2), "{refused:?}");
    let told = stage.told(&refused);
    assert!(told.contains("DIR/data/impresario.db is damaged"), "{told}");
    std::fs::write(&database, good).expect("a file");
    stage.comes_to_its_end();
}

/// SQLite takes the first damage in its log for the log's end: everything after it would be gone without a word, and done again.
#[test]
fn a_log_that_was_changed() {
    let stage = Stage::interrupted();
    let log = stage.data().join("impresario.db-wal");
    assert!(overwrite(&log, b"\"text\":\"One.\"", b"\"text\":\"Oan.\""));
    let damaged = std::fs::read(&log).expect("the log");
    for _ in 0..2 {
        let refused = stage.go_on();
        assert_eq!(refused.code(), Some(2), "{refused:?}");
        let told = stage.told(&refused);
        assert!(
            told.contains("of its write-ahead log DIR/data/impresario.db-wal"),
            "{told}"
        );
        assert_eq!(
            std::fs::read(&log).expect("the log"),
            damaged,
            "it is left alone"
        );
    }
    assert!(overwrite(&log, b"\"text\":\"Oan.\"", b"\"text\":\"One.\""));
    stage.comes_to_its_end();
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().expect("a runtime")
}

/// A system over a database whose agent answers after this time.
async fn system(database: &Path, latency: &str) -> (System, Arc<Sqlite>) {
    let store = Sqlite::open(Options::new(database)).expect("the store opens");
    let store = Arc::new(store);
    let script = json!({ "latency": latency, "scripts": { "a": [{ "say": "done" }] } });
    let stage = Scripted::new(&serde_json::from_value(script).expect("a script"));
    let deps = impresario::deps(store.clone()).provider("stage", stage.expect("a script"));
    (System::start(deps).await.expect("it starts"), store)
}

#[test]
fn a_damaged_task_leaves_the_others_alone() {
    let folder = TempDir::new().expect("a folder");
    let database = folder.path().join("impresario.db");
    let (damaged, sound) = runtime().block_on(async {
        let (system, store) = system(&database, "1h").await;
        let task = |name: &str| TaskDefinition::new(name, name).agent("a", AgentSpec::new("stage"));
        let damaged = system.create_task(task("damaged")).await.expect("a task");
        let sound = system.create_task(task("sound")).await.expect("a task");
        let (path, reason) = ("agents".to_owned(), "a crash".to_owned());
        let attention = Attention::GaveUp { path, reason };
        let draft = Draft {
            run: None,
            agent: None,
            at: store
                .task(damaged)
                .await
                .expect("a row")
                .expect("a row")
                .updated_at,
            epoch: 0,
            cause: None,
            body: EventBody::TaskNeedsAttention { attention },
        };
        let append = Append {
            task: damaged,
            fence: None,
            drafts: vec![draft],
            blobs: Vec::new(),
        };
        assert!(store.append(vec![append]).await.expect("it is written")[0].is_ok());
        system.shutdown().await;
        store.close().await.expect("it closes");
        (damaged, sound)
    });
    assert!(overwrite(&database, b"a crash", b"a cramp"));
    runtime().block_on(async {
        let (system, store) = system(&database, "1ms").await;
        let waiting = tokio::time::timeout(Duration::from_secs(300), system.wait(sound));
        let settled = waiting.await.expect("in time").expect("its end");
        assert_eq!(settled, Settled::Completed("done".to_owned()));
        let lost = system.wait(damaged).await.expect_err("it cannot be read");
        assert!(lost.to_string().contains("is damaged"), "{lost}");
        system.shutdown().await;
        store.close().await.expect("it closes");
    });
}

/// Whatever byte of the log is wrong: at most the very last batch is gone, which a power cut might have taken, or it is refused.
#[test]
fn any_byte_of_the_log_may_be_wrong() {
    let folder = TempDir::new().expect("a folder");
    let database = folder.path().join("impresario.db");
    let (heads, files) = runtime().block_on(async {
        let (system, store) = system(&database, "1ms").await;
        let task = TaskDefinition::new("a", "a").agent("a", AgentSpec::new("stage"));
        let task = system.create_task(task).await.expect("a task");
        system.wait(task).await.expect("its end");
        system.shutdown().await;
        let head = store.task(task).await.expect("a row").expect("a row").head;
        let read = |name: &str| std::fs::read(folder.path().join(name)).expect("a file");
        let files = [read("impresario.db"), read("impresario.db-wal")];
        (((task, head), files[1].len()), files)
    });
    let ((task, head), length) = heads;
    let mut outcomes = [0; 3];
    for at in (0..length).step_by(211) {
        let copy = TempDir::new().expect("a folder");
        let database = copy.path().join("impresario.db");
        let mut log = files[1].clone();
        log[at] ^= 0x55;
        std::fs::write(&database, &files[0]).expect("a file");
        std::fs::write(copy.path().join("impresario.db-wal"), log).expect("a file");
        match Sqlite::open(Options::new(&database)) {
            Err(StoreError::Corrupt { .. }) => outcomes[0] += 1,
            Err(other) => panic!("byte {at}: {other}"),
            Ok(store) => {
                let row = runtime()
                    .block_on(store.task(task))
                    .expect("it can be read");
                let lost = head - row.map_or(0, |row| row.head);
                assert!(
                    lost <= 1,
                    "byte {at}: {lost} events are gone without a word"
                );
                outcomes[usize::try_from(lost).expect("small") + 1] += 1;
            }
        }
    }
    println!("{length} bytes: refused, whole, without the last event: {outcomes:?}");
    assert!(
        outcomes[0] > 4 * outcomes[2] && outcomes[2] > 0,
        "{outcomes:?}"
    );
}
