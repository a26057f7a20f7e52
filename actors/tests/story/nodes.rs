//! Tasks over the end of their node, and tasks that cannot be read.

use std::sync::Arc;
use std::time::Duration;

use actors::model::{Event, RunId, TaskId, TaskStatus};
use actors::store::{Append, Appended, EventQuery, RunRow, Snapshot, Store, StoreError, TaskRow};
use actors::system::{Settled, SystemError};
use futures_util::future::{BoxFuture, FutureExt};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Play;

fn paying() -> Value {
    json!({ "lead": [
        { "say": "Rent.", "call": "pay_once", "args": { "what": "rent", "ms": 1000 } },
        { "say": "{{last}}" },
        { "when": "go on", "say": "Now it is done." }
    ] })
}

/// A node that was shut down in the middle of a payment.
async fn shut_down() -> (Play, TaskId) {
    let play = Play::new(paying(), &[]).await;
    let task = play.begin(&["lead"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    play.system.shutdown().await;
    (play, task)
}

#[tokio::test(start_paused = true)]
async fn with_auto_recover_an_unfinished_task_goes_on() {
    let (mut play, task) = shut_down().await;
    play.restart(|_| {}).await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn without_auto_recover_it_is_failed_and_goes_on_when_a_person_says_so() {
    let (mut play, task) = shut_down().await;
    play.restart(|deps| deps.settings.auto_recover = false)
        .await;
    assert_eq!(
        play.system.wait(task).await,
        Ok(Settled::Failed(
            "the node was restarted with auto_recover off".to_owned()
        ))
    );
    let runs = play.system.runs(task).await.expect("runs");
    assert!(runs[0].usage.tokens() > 0, "what it cost is not forgotten");
    let asked = play.system.follow_up(task, runs[0].id, "go on").await;
    assert_eq!(asked, Ok(()));
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

/// A store in which the first event of one task cannot be read.
struct Damaged {
    inner: Arc<dyn Store>,
    task: TaskId,
}

impl Store for Damaged {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        self.inner.append(batch)
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        if query.task != self.task || query.after > 0 {
            return self.inner.events(query);
        }
        let error = StoreError::Corrupt {
            place: "event 1 of task".to_owned(),
            detail: "it ends in the middle".to_owned(),
        };
        std::future::ready(Err(error)).boxed()
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.inner.tasks(unfinished)
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        self.inner.task(id)
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        self.inner.runs(task)
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.blob(hash)
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.put_snapshot(snapshot)
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.inner.snapshot(run)
    }
}

/// A node over two tasks, the first of which is damaged.
async fn one_is_damaged() -> (Play, [TaskId; 2]) {
    let mut play = Play::new(paying(), &[]).await;
    let tasks = [
        play.begin(&["lead"], |_| {}).await,
        play.begin(&["lead"], |_| {}).await,
    ];
    tokio::time::sleep(Duration::from_millis(200)).await;
    play.system.shutdown().await;
    let task = tasks[0];
    let damage = |deps: &mut actors::system::Deps| {
        let inner = deps.store.clone();
        deps.store = Arc::new(Damaged { inner, task });
    };
    play.restart(damage).await;
    (play, tasks)
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_beginning_is_damaged_needs_attention_and_others_go_on() {
    let (mut play, [damaged, whole]) = one_is_damaged().await;
    play.until(whole, TaskStatus::Completed).await;
    play.until(damaged, TaskStatus::NeedsAttention).await;
    let told = play.told(damaged).await;
    let waited = play.system.wait(damaged).await;
    let is_told = matches!(waited, Err(SystemError::Store(StoreError::Corrupt { .. })));
    assert!(is_told, "{waited:?}");
    play.system.shutdown().await;
    // When the copy is back, nothing happens by itself; a person says that it goes on.
    play.restart(|_| {}).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(play.told(damaged).await, told);
    assert_eq!(
        play.system.answer(damaged, "it is restored").await,
        Ok(true)
    );
    let told = play.told_to_the_end(damaged, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_task_can_be_cancelled() {
    let (play, [damaged, whole]) = one_is_damaged().await;
    play.until(whole, TaskStatus::Completed).await;
    play.until(damaged, TaskStatus::NeedsAttention).await;
    assert_eq!(play.system.cancel(damaged, "it is lost").await, Ok(()));
    let told = play.told_to_the_end(damaged, TaskStatus::Cancelled).await;
    play.system.shutdown().await;
    let end: Vec<_> = told.lines().rev().take(3).collect();
    assert_snapshot!(end.into_iter().rev().collect::<Vec<_>>().join("\n"));
}
