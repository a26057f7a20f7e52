//! `task watch`: what `impresario run` shows, of a task elsewhere.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::task::block_in_place;

use super::{program, ran, shown, told, word};
use crate::api::{Door, plain};
use crate::support::program::Program;

/// Agents whose tasks end badly, or not at all without a human.
const TROUBLE: &str = r#"
[providers.stage]
kind = "scripted"
[providers.stage.scripts]
broken = [ { fail = "bad_request" } ]
greedy = [ { say = "on and on", call = "post_message", args = { content = "more" } } ]
[agents.broken]
provider = "stage"
[agents.greedy]
provider = "stage"
tools = ["post_message"]
budget = { turns = 1 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_done() {
    let door = Door::open().await;
    let args = ["task", "create", "two parts", "--team", "pair", "--watch"];
    let mut all = told(&door, &args);
    let made = door.get("/v1/tasks").await.body["data"][0]["id"].clone();
    all += &told(
        &door,
        &[
            "task",
            "watch",
            made.as_str().expect("an id"),
            "--url",
            &door.url,
        ],
    );
    insta::assert_snapshot!(all.replace(&door.url, "URL"));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_are_not() {
    let door = Door::open_with(TROUBLE, impresario::http::Limits::default()).await;
    let mut all = String::new();
    for agent in ["broken", "greedy"] {
        all += &told(
            &door,
            &["task", "create", "try it", "--agent", agent, "--watch"],
        );
    }
    let tasks = door.get("/v1/tasks").await.body;
    let id = tasks["data"][0]["id"].as_str().expect("an id");
    all += &told(&door, &["task", "show", id]);
    insta::assert_snapshot!(all);
    let answered = word(&door, &["task", "answer", id, "stop"]);
    assert!(answered.starts_with(id), "{answered}");
    door.settled(id).await;
    let task = door.get(&format!("/v1/tasks/{id}")).await;
    assert_eq!(task.body["status"], "failed");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_programs_it_is_the_events() {
    let door = Door::open().await;
    let id = door.task("lead", "count").await;
    door.settled(&id).await;
    let watched = ran(&mut program(&door, &["task", "watch", &id, "--json"]));
    let types = watched.stdout.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("an object");
        format!(
            "{} {}",
            event["id"],
            event["type"].as_str().expect("a type")
        )
    });
    let types: Vec<_> = types.collect();
    insta::assert_snapshot!(types.join("\n"));
    assert_eq!((watched.code(), watched.stderr.as_str()), (Some(0), ""));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_watching_leaves_the_task_alone() {
    let door = Door::open().await;
    let id = word(&door, &["task", "create", "wait", "--agent", "stuck"]);
    let args = ["task", "watch", &id];
    let ended = block_in_place(|| {
        let mut watching = Program::start(&mut program(&door, &args));
        watching.wait_for("is given");
        let pid = Pid::from_raw(watching.id().cast_signed()).expect("a process");
        kill_process(pid, Signal::INT).expect("it is there");
        watching.end()
    });
    insta::assert_snapshot!(shown(&args, &ended));
    let task = door.get(&format!("/v1/tasks/{id}")).await;
    assert_eq!(task.body["status"], "running", "{}", plain(&task.told()));
    door.close().await;
}
