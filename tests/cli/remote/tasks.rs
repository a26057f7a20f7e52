//! `task` and `run-log`.

use impresario::client::{Client, Update};
use serde_json::Value;

use super::{program, ran, told, word};
use crate::api::Door;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_and_everything_about_it() {
    let door = Door::open().await;
    let mut all = told(&door, &["task", "list"]);
    let create = [
        "task",
        "create",
        "two parts",
        "--team",
        "pair",
        "--name",
        "parts\u{1b}[2J",
    ];
    let id = word(&door, &create);
    door.settled(&id).await;
    all += &told(
        &door,
        &[
            "task",
            "create",
            "count",
            "--agent",
            "stuck",
            "--priority",
            "-3",
        ],
    );
    all += &told(&door, &["task", "list"]);
    all += &told(&door, &["task", "list", "--limit", "1", "--oldest-first"]);
    all += &told(&door, &["task", "list", "--status", "needs_attention"]);
    all += &told(&door, &["task", "show", &id]);
    let runs = door.get(&format!("/v1/tasks/{id}/runs")).await.body;
    let root = runs["data"][0]["id"].as_str().expect("an id");
    all += &told(&door, &["run-log", root]);
    insta::assert_snapshot!(all.replace(&door.url, "URL"));
    door.close().await;
}

fn is_asked(update: &Option<Update>) -> bool {
    matches!(update, Some(Update::Event(event)) if event.body.kind() == "model_call_started")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_acted_on() {
    let door = Door::open().await;
    let id = word(&door, &["task", "create", "wait", "--agent", "stuck"]);
    let client = Client::new(&door.url, &door.key).expect("a client");
    let mut events = client.events(id.parse().expect("an id")).private();
    while !is_asked(&events.next().await.expect("an event")) {}
    let acts: [&[&str]; 8] = [
        &["message", &id, "hello", "--to", "stuck"],
        &["pause", &id, "--agent", "stuck"],
        &["resume", &id],
        &["answer", &id, "yes"],
        &["cancel", &id, "--reason", "enough"],
        &["cancel", &id],
        &["message", &id, "too late"],
        &["show", &id],
    ];
    let told = acts.map(|act| told(&door, &[&["task"], act].concat()));
    insta::assert_snapshot!(told.concat());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_programs_it_is_what_the_node_says() {
    let door = Door::open().await;
    let json = |args: &[&str]| -> Value {
        let ran = ran(&mut program(&door, &[args, &["--json"]].concat()));
        assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        serde_json::from_str(&ran.stdout).expect("one document")
    };
    let made = json(&["task", "create", "count", "--agent", "lead"]);
    let id = made["id"].as_str().expect("an id").to_owned();
    door.settled(&id).await;
    let path = format!("/v1/tasks/{id}");
    assert_eq!(json(&["task", "show", &id]), door.get(&path).await.body);
    assert_eq!(json(&["task", "list"]), door.get("/v1/tasks").await.body);
    assert_eq!(json(&["key", "list"]), door.get("/v1/keys").await.body);
    assert_eq!(
        json(&["project", "list"]),
        door.get("/v1/projects").await.body
    );
    let run = door.get(&format!("{path}/runs")).await.body["data"][0]["id"].clone();
    let run = run.as_str().expect("an id");
    let log = ran(&mut program(&door, &["run-log", run, "--json"])).stdout;
    let lines = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"));
    let journal = door.get(&format!("/v1/runs/{run}/journal")).await.body;
    assert_eq!(Value::Array(lines.collect()), journal["data"]);
    door.close().await;
}
