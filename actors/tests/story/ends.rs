//! How ends travel between a run and those that work for it.

use std::time::Duration;

use actors::model::TaskStatus;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Play;

fn create(agent: &str, mode: &str) -> Value {
    json!({ "tool": "create_run", "args": { "agent": agent, "input": format!("be {agent}"), "mode": mode } })
}

fn slow() -> Value {
    json!([ { "say": "It takes long.", "call": "pay_once", "args": { "what": "time", "ms": 60_000 } }, { "say": "late" } ])
}

/// What ends when the lead cannot think any more.
#[tokio::test(start_paused = true)]
async fn a_parent_that_fails_before_its_background_children_takes_them_along() {
    let scripts = json!({
        "lead": [ { "say": "Go.", "calls": [create("a", "background")] }, { "fail": "bad_request" } ],
        "a": [ { "say": "You.", "calls": [create("b", "foreground")] }, { "say": "never" } ],
        "b": slow()
    });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead", "a", "b"], |_| {}).await;
    let told = play.told_to_the_end(task, TaskStatus::Failed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_parent_in_the_middle_that_fails_takes_its_own_along_and_no_others() {
    let scripts = json!({
        "lead": [ { "say": "Go.", "calls": [create("a", "background"), create("c", "background")] },
            { "say": "I wait." }, { "say": "I wait on." }, { "say": "all heard: {{last}}" } ],
        "a": [ { "say": "You.", "calls": [create("b", "background")] }, { "fail": "bad_request" } ],
        "b": slow(),
        "c": [ { "say": "A little.", "call": "pay_once", "args": { "what": "a bit", "ms": 200 } }, { "say": "c is done" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead", "a", "b", "c"], |_| {}).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

/// A lead with one child in the foreground, which has one of its own.
async fn three_deep() -> (Play, actors::model::TaskId) {
    let scripts = json!({
        "lead": [ { "say": "Go.", "calls": [create("a", "foreground"), create("c", "background")] },
            { "say": "heard: {{result.0}}" } ],
        "a": [ { "say": "You.", "calls": [create("b", "foreground")] }, { "say": "b says: {{last}}" } ],
        "b": slow(),
        "c": slow()
    });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead", "a", "b", "c"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    (play, task)
}

#[tokio::test(start_paused = true)]
async fn the_trees_in_the_middle_of_a_story() {
    let (play, task) = three_deep().await;
    let trees = format!("{}\n\n{}", play.runs(task).await, play.tree(task).await);
    play.system.shutdown().await;
    assert_snapshot!(trees);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_cancelled_ends_all_of_it() {
    let (play, task) = three_deep().await;
    assert_eq!(play.system.cancel(task, "enough").await, Ok(()));
    let told = play.told_to_the_end(task, TaskStatus::Cancelled).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_cancelled_alone_is_told_to_its_parent_which_goes_on() {
    let (play, task) = three_deep().await;
    let child = play.run(task, "a").await;
    let cancelled = play.system.cancel_run(task, child, "I do it myself").await;
    assert_eq!(cancelled, Ok(()));
    assert_eq!(play.system.cancel_run(task, child, "again").await, Ok(()));
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    let after = told
        .lines()
        .skip_while(|line| !line.contains("run_cancelled"));
    assert_snapshot!(after.collect::<Vec<_>>().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_child_in_the_foreground_that_fails_is_an_error_its_parent_reads() {
    let scripts = json!({
        "lead": [ { "say": "Go.", "calls": [create("a", "foreground")] }, { "say": "{{last}}" } ],
        "a": [ { "fail": "bad_request" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead", "a"], |_| {}).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}
