//! Runs that need an executor.

use std::time::Duration;

use actors::executor::Link;
use actors::model::{TaskStatus, Whom};
use actors::testing::machine::Machine;
use actors::testing::sim::Moments;
use futures_util::future::BoxFuture;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Play, is_waiting};

fn pay(ms: u64) -> Value {
    json!({ "lead": [
        { "say": "Power.", "call": "pay_ledgered", "args": { "what": "power", "ms": ms } },
        { "say": "{{last}}" }
    ] })
}

async fn without_executors(scripts: Value) -> Play {
    Play::on(Play::set("20ms", scripts, &[]), |stage| {
        stage.machines.clear()
    })
    .await
}

fn machine(play: &Play, name: &str) -> Machine {
    Machine {
        name: name.to_owned(),
        tool: "pay_ledgered".to_owned(),
        outside: play.stage.outside.clone(),
        moments: Moments::calm(),
    }
}

/// Connects an executor; its life goes on until the handle is aborted, and then its link has ended.
async fn connect(play: &Play, name: &str) -> tokio::task::JoinHandle<()> {
    let (link, life): (Link, BoxFuture<'static, ()>) = machine(play, name).connect();
    let attached = play.system.attach_executor("default", link).await;
    attached.expect("it is taken on");
    aside(life)
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_visibly_for_an_executor_and_goes_on_when_one_connects() {
    let play = without_executors(pay(0)).await;
    let task = play.begin(&["lead"], |_| {}).await;
    play.until_event(task, is_waiting).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    connect(&play, "laptop").await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert_eq!(play.stage.outside.payments()["power"], 1);
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_comes_back_is_asked_for_the_same_call_and_does_nothing_twice() {
    let play = without_executors(pay(500)).await;
    let first = connect(&play, "laptop").await;
    let task = play.begin(&["lead"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.abort();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Another one that has the same tool knows nothing of the call and does not get it.
    connect(&play, "desktop").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(play.stage.outside.all_payments().is_empty());
    connect(&play, "laptop").await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert_eq!(play.stage.outside.all_payments().len(), 0, "it died in it");
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_done_while_the_link_was_gone_is_not_done_again_elsewhere() {
    let play = without_executors(pay(500)).await;
    let machine = machine(&play, "laptop");
    let (link, life) = machine.connect();
    // The link goes, the executor lives on and comes to its end alone.
    let Link { to, from } = link;
    let (forward, mut frames) = tokio::sync::mpsc::channel(8);
    let (says, heard) = tokio::sync::mpsc::channel(8);
    let line = aside(async move {
        let mut from = from;
        loop {
            tokio::select! {
                Some(frame) = frames.recv() => { let _ = to.send(frame).await; }
                Some(frame) = from.recv() => { let _ = says.send(frame).await; }
                () = tokio::time::sleep(Duration::from_millis(300)) => break,
            }
        }
        drop(says);
        let _kept = (to, from);
        std::future::pending::<()>().await;
    });
    let life = aside(life);
    let link = Link {
        to: forward,
        from: heard,
    };
    play.system
        .attach_executor("default", link)
        .await
        .expect("taken on");
    let task = play.begin(&["lead"], |_| {}).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    connect(&play, "desktop").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    line.abort();
    life.abort();
    connect(&play, "laptop").await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    let paid = play.stage.outside.all_payments();
    assert_eq!(paid.len(), 1, "{paid:?}\n{told}");
    let once = told
        .lines()
        .filter(|line| line.contains("tool_call_started"));
    assert_eq!(once.count(), 1, "{told}");
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_an_executor_never_heard_of_goes_to_another() {
    let play = without_executors(pay(0)).await;
    let first = connect(&play, "laptop").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    first.abort();
    tokio::time::sleep(Duration::from_millis(5)).await;
    connect(&play, "desktop").await;
    let task = play.begin(&["lead"], |_| {}).await;
    play.until(task, TaskStatus::Completed).await;
    assert_eq!(play.stage.outside.payments()["power"], 1);
    play.system.shutdown().await;
}

/// Connects an executor whose link is broken in one direction: nothing reaches it.
async fn connect_deaf(play: &Play, name: &str) -> tokio::task::JoinHandle<()> {
    let (Link { mut from, to }, life) = machine(play, name).connect();
    let (forward, frames) = tokio::sync::mpsc::channel(8);
    let (says, heard) = tokio::sync::mpsc::channel(8);
    let link = Link {
        to: forward,
        from: heard,
    };
    let attached = play.system.attach_executor("default", link).await;
    attached.expect("it is taken on");
    aside(life);
    aside(async move {
        let _kept = (to, frames);
        while let Some(frame) = from.recv().await {
            let _ = says.send(frame).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn while_a_run_is_paused_an_executor_that_comes_back_begins_nothing() {
    for is_lost_before in [true, false] {
        let play = without_executors(pay(0)).await;
        let line = connect_deaf(&play, "laptop").await;
        let task = play.begin(&["lead"], |_| {}).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        if is_lost_before {
            line.abort();
            play.until_event(task, is_waiting).await;
        }
        let paused = play.system.pause(task, Whom::Task).await;
        paused.expect("it is paused");
        line.abort();
        connect(&play, "laptop").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let paid = play.stage.outside.all_payments();
        assert!(paid.is_empty(), "{is_lost_before}: {paid:?}");
        let resumed = play.system.resume(task, Whom::Task).await;
        resumed.expect("it goes on");
        play.until(task, TaskStatus::Completed).await;
        assert_eq!(play.stage.outside.payments()["power"], 1);
        play.system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_does_not_come_back_leaves_the_call_in_doubt() {
    let play = without_executors(pay(500)).await;
    let first = connect(&play, "laptop").await;
    let task = play.begin(&["lead"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    first.abort();
    connect(&play, "desktop").await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_begun_is_asked_of_nobody_else_when_the_node_begins_again() {
    let mut play = without_executors(pay(500)).await;
    let first = connect(&play, "laptop").await;
    let task = play.begin(&["lead"], |_| {}).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    play.system.shutdown().await;
    first.abort();
    play.restart(|_| {}).await;
    connect(&play, "desktop").await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert!(play.stage.outside.all_payments().is_empty(), "{told}");
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn an_executor_that_came_later_is_written_down_before_it_is_sent_the_call() {
    let mut play = without_executors(pay(500)).await;
    let task = play.begin(&["lead"], |_| {}).await;
    play.until_event(task, is_waiting).await;
    let first = connect(&play, "laptop").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    play.system.shutdown().await;
    first.abort();
    play.restart(|_| {}).await;
    connect(&play, "desktop").await;
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert!(play.stage.outside.all_payments().is_empty(), "{told}");
    play.system.shutdown().await;
    assert_snapshot!(told);
}

fn aside(life: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an executor is not in the system's tree"
    )]
    tokio::spawn(life)
}
