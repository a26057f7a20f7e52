//! Runs that go on after their end.

use std::time::Duration;

use actors::journal::JournalError;
use actors::model::{EventBody, TaskStatus};
use actors::store::Rejected;
use actors::system::SystemError;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Play;

fn scripts() -> Value {
    json!({
        "lead": [
            { "say": "You.", "call": "create_run", "args": { "agent": "worker", "input": "count the chairs" } },
            { "say": "Twelve, I am told." },
            { "when": "and the tables", "say": "Three tables." }
        ],
        "worker": [ { "say": "twelve" }, { "when": "are you sure", "say": "yes, twelve" } ]
    })
}

async fn ended() -> (Play, actors::model::TaskId) {
    let play = Play::new(scripts(), &[]).await;
    let task = play.begin(&["lead", "worker"], |_| {}).await;
    play.until(task, TaskStatus::Completed).await;
    (play, task)
}

/// The lines from the follow-up on.
fn later(told: &str) -> String {
    let lines = told
        .lines()
        .skip_while(|line| !line.contains("task_reopened"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn the_root_run_goes_on_and_ends_its_task_again() {
    let (play, task) = ended().await;
    let root = play.run(task, "lead").await;
    let asked = play.system.follow_up(task, root, "and the tables?").await;
    assert_eq!(asked, Ok(()));
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(later(&told));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_parent_has_ended_goes_on_alone() {
    let (play, task) = ended().await;
    let worker = play.run(task, "worker").await;
    let asked = play.system.follow_up(task, worker, "are you sure?").await;
    assert_eq!(asked, Ok(()));
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(later(&told));
}

#[tokio::test(start_paused = true)]
async fn the_node_may_be_restarted_before_and_during_a_follow_up() {
    let (mut play, task) = ended().await;
    play.system.shutdown().await;
    play.restart(|_| {}).await;
    let worker = play.run(task, "worker").await;
    let asked = play.system.follow_up(task, worker, "are you sure?").await;
    assert_eq!(asked, Ok(()));
    tokio::time::sleep(Duration::from_millis(5)).await;
    play.system.shutdown().await;
    play.restart(|_| {}).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(later(&told));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_not_ended_is_not_continued() {
    let play = Play::new(scripts(), &[]).await;
    let task = play.begin(&["lead", "worker"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let lead = play.run(task, "lead").await;
    let refused = play.system.follow_up(task, lead, "and?").await;
    let is_illegal = matches!(
        refused,
        Err(SystemError::Journal(JournalError::Rejected(
            Rejected::Illegal(_)
        )))
    );
    assert!(is_illegal, "{refused:?}");
    play.until(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
}

/// Whenever a follow-up comes, the task ends, and nothing of it is left live.
#[tokio::test(start_paused = true)]
async fn a_follow_up_at_any_moment_of_the_end_is_heard_or_refused() {
    let mut heard = 0;
    for delay in 0..60_u64 {
        let (stage, requests) = Play::set("20ms", scripts(), &[]);
        // Appends take a while, so that the end of the task takes several steps.
        stage.manners.slow(delay, Duration::from_millis(4));
        let play = Play::on((stage, requests), |_| {}).await;
        let task = play.begin(&["lead", "worker"], |_| {}).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        let worker = play.run(task, "worker").await;
        // The lead's last word: its end comes next, and then the end of the task.
        play.until_event(task, |event| {
            let is_last = matches!(event.body, EventBody::ModelCallCompleted { turn: 1, .. });
            is_last && event.run_id.is_some_and(|run| run != worker)
        })
        .await;
        tokio::time::sleep(Duration::from_micros(200 * delay)).await;
        let asked = play.system.follow_up(task, worker, "are you sure?").await;
        assert_eq!(asked, Ok(()), "{delay}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let row = play.system.task(task).await.expect("a task");
        let told = play.told(task).await;
        assert_eq!(row.status, TaskStatus::Completed, "{delay}:\n{told}");
        let runs = play.system.runs(task).await.expect("runs");
        let is_over = runs.iter().all(|run| run.status.is_terminal());
        assert!(is_over, "{delay}:\n{told}");
        heard += u32::from(told.contains("yes, twelve"));
        play.system.shutdown().await;
    }
    assert!(heard > 50, "{heard}");
}
