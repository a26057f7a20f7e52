//! Disks that are full, and databases that somebody else keeps locked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::journal::Trouble;
use actors::model::TaskStatus;
use actors::store::StoreError;
use impresario::store::{Options, Sqlite};
use impresario::{AgentSpec, Scripted, Settled, System, TaskDefinition};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::damage::runtime;
use super::folder::with_mounts;
use super::{NOTES, Record, Stage};
use crate::support::program::Program;

/// An agent that talks a lot.
fn talker() -> String {
    let turn = |nth: u32| {
        let text = format!("{nth} ").repeat(30_000);
        format!("  {{ say = \"{text}\", call = \"list_dir\", args = {{}} }},\n")
    };
    let turns: String = (1..=8).map(turn).collect();
    format!(
        "[task]\nname = \"talk\"\ndescription = \"talk\"\nroot_agent = \"talker\"\navailable_agents = [\"talker\"]\n
[agents.talker]\nprovider = \"stage\"\ntools = [\"list_dir\"]\n
[limits]\nloop_warn = 0\nloop_stop = 0\n
[providers.stage]\nkind = \"scripted\"\n
[providers.stage.scripts]\ntalker = [\n{turns}  {{ say = \"That is all.\" }},\n]\n"
    )
}

/// A small disk with most of it taken.
const SMALL_DISK: &str = r#"
mkdir "$1/data"
mount -t tmpfs -o size=5m tmpfs "$1/data"
head -c 4150k /dev/zero > "$1/data/ballast"
"$0" run "$1/team.toml" --data-dir "$1/data" --workspace "$1/workspace" --json &
"#;

/// When it is told to, it makes space; the task, which waited, goes on.
const MADE_SPACE: &str = r#"
read when
rm "$1/data/ballast"
wait $!
cp -r "$1/data" "$1/saved"
"#;

/// When it is told to, it kills the program, makes space, and starts it again.
const KILLED: &str = r#"
read when
kill -9 $!
wait $! || rm "$1/data/ballast"
"$0" run --continue --data-dir "$1/data"
cp -r "$1/data" "$1/saved"
"#;

/// A task comes to a full disk, says so and waits; `then` is what happens next.
fn on_a_full_disk(then: &str) {
    let stage = Stage::new(&talker());
    let Some(mut script) = with_mounts(&format!("{SMALL_DISK}{then}"), &stage) else {
        return;
    };
    let mut work = Program::start(&mut script);
    work.wait_for("the disk is full at");
    work.tell("now");
    let ended = work.end();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let full = "the disk is full at DIR/data/impresario.db: free some space, then try again; nothing was lost";
    let told = stage.told(&ended);
    assert!(told.contains(full), "{told}");
    let record = Record::read(&stage.path("saved"));
    record.check();
    assert_eq!(record.status, TaskStatus::Completed);
}

#[test]
fn a_full_disk_is_waited_out() {
    on_a_full_disk(MADE_SPACE);
}

#[test]
fn killed_before_a_full_disk() {
    on_a_full_disk(KILLED);
}

/// The same where no disk can be mounted: a database that may not grow.
#[test]
fn a_database_that_may_not_grow() {
    let folder = TempDir::new().expect("a folder");
    runtime().block_on(full_and_larger(folder.path()));
    Record::read(folder.path()).check();
}

async fn full_and_larger(folder: &Path) {
    let open = async |max_pages: Option<u32>| {
        let path = folder.join("impresario.db");
        let store = Sqlite::open(Options {
            max_pages,
            ..Options::new(path)
        });
        let store = Arc::new(store.expect("the store opens"));
        let say = json!([{ "say": "x".repeat(500_000) }]);
        let script = serde_json::from_value(json!({ "scripts": { "talker": say } }));
        let stage = Scripted::new(&script.expect("a script")).expect("a script");
        let deps = impresario::deps(store.clone()).provider("stage", stage);
        (System::start(deps).await.expect("it starts"), store)
    };
    let (system, store) = open(Some(300)).await;
    let talk = TaskDefinition::new("talk", "talk").agent("talker", AgentSpec::new("stage"));
    let task = system.create_task(talk).await.expect("a task");
    let mut trouble = system.trouble();
    let full = |it: &Trouble| matches!(it, Some(StoreError::Full { .. }));
    let told = tokio::time::timeout(Duration::from_secs(300), trouble.wait_for(full)).await;
    told.expect("in time").expect("the journal is there");
    let row = system.task(task).await.expect("it can still be read");
    assert_eq!(row.status, TaskStatus::Running);
    system.shutdown().await;
    store.close().await.expect("it closes");

    let (system, store) = open(None).await;
    let settled = tokio::time::timeout(Duration::from_secs(300), system.wait(task)).await;
    let settled = settled.expect("in time").expect("its end");
    assert_eq!(settled, Settled::Completed("x".repeat(500_000)));
    system.shutdown().await;
    store.close().await.expect("it closes");
}

#[test]
fn a_database_that_is_locked() {
    let stage = Stage::interrupted();
    let other = Connection::open(stage.data().join("impresario.db")).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let refused = stage.go_on();
    assert_eq!(refused.code(), Some(2));
    insta::assert_snapshot!(stage.told(&refused), @"error: DIR/data/impresario.db is in use by another process that keeps it locked: stop that process or choose another data folder");
    other.execute_batch("ROLLBACK").expect("it is given back");
    drop(other);
    stage.comes_to_its_end();
}

#[test]
fn a_database_that_is_locked_in_the_middle_of_it() {
    let stage = Stage::new(NOTES);
    let mut work = stage.at_work("tool_call_completed");
    let other = Connection::open(stage.data().join("impresario.db")).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    work.wait_for("impresario.db is in use by another process that keeps it locked");
    other.execute_batch("ROLLBACK").expect("it is given back");
    drop(other);
    assert_eq!(work.end().code(), Some(0), "it was waited for");
    stage.comes_to_its_end();
}
