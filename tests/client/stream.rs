//! A task's events over lines that break and nodes that are killed: no gap, no repeat.

use actors::model::{Event, TaskId};
use futures_util::StreamExt;
use impresario::client::{Client, Events, NewTask, Update};
use tokio::runtime::Runtime;

use super::life::Life;
use crate::support::proxy::Proxy;

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

async fn talk(client: &Client) -> TaskId {
    let new = NewTask::new("talk").agent("talker");
    client.create_task(&new).await.expect("a task").id()
}

async fn event(events: &mut Events) -> Option<Event> {
    match events.next().await.expect("it goes on")? {
        Update::Event(event) => Some(*event),
        other => panic!("not asked for: {other:?}"),
    }
}

/// All of it, as it stands in the journal.
async fn whole(client: &Client, task: TaskId) -> Vec<Event> {
    let mut events = client.events(task).private();
    let mut all = Vec::new();
    while let Some(event) = event(&mut events).await {
        all.push(event);
    }
    all
}

#[test]
fn a_line_that_breaks_again_and_again() {
    let (life, runtime) = (Life::begin(), runtime());
    let proxy = Proxy::before(life.url.trim_start_matches("http://"));
    let direct = Client::new(&life.url, &life.key).expect("a client");
    let client = Client::new(&format!("http://{}", proxy.address), &life.key).expect("a client");
    runtime.block_on(async {
        let task = talk(&direct).await;
        let mut events = client.events(task).private();
        let mut seen = Vec::new();
        while let Some(event) = event(&mut events).await {
            seen.push(event);
            if seen.len().is_multiple_of(4) {
                proxy.refuse(u32::from(seen.len().is_multiple_of(8)));
                proxy.cut();
            }
        }
        let ids: Vec<_> = seen.iter().map(|event| event.id).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
        assert!(ids.len() > 40, "{} events are too few", ids.len());
        assert_eq!(seen, whole(&direct, task).await);
    });
}

#[test]
fn a_node_that_is_killed_and_comes_back() {
    let (mut life, runtime) = (Life::begin(), runtime());
    let client = Client::new(&life.url, &life.key).expect("a client");
    let task = runtime.block_on(talk(&client));
    let mut events = client.events(task).private();
    let mut seen = Vec::new();
    while let Some(event) = runtime.block_on(event(&mut events)) {
        seen.push(event);
        if [5, 23, 41].contains(&seen.len()) {
            life.kill();
            life.go_on();
        }
    }
    let kinds: Vec<_> = seen.iter().map(|event| event.body.kind()).collect();
    assert!(kinds.contains(&"run_restarted"), "it was killed: {kinds:?}");
    assert_eq!(kinds.last(), Some(&"task_completed"));
    assert_eq!(seen, runtime.block_on(whole(&client, task)));
}

#[test]
fn who_wants_to_know_is_told_that_the_node_is_away() {
    let (mut life, runtime) = (Life::begin(), runtime());
    let client = Client::new(&life.url, &life.key).expect("a client");
    let task = runtime.block_on(talk(&client));
    let mut events = client.events(task).outages();
    let next = |events: &mut Events| runtime.block_on(events.next()).expect("it goes on");
    next(&mut events);
    life.kill();
    while !matches!(next(&mut events), Some(Update::Away(_))) {}
    life.go_on();
    while !matches!(next(&mut events), Some(Update::Back)) {}
    while next(&mut events).is_some() {}
}

#[test]
fn words_come_as_they_are_said_and_only_to_who_asks() {
    let (life, runtime) = (Life::begin(), runtime());
    let client = Client::new(&life.url, &life.key).expect("a client");
    runtime.block_on(async {
        let task = talk(&client).await;
        let (all, plain) = (client.events(task).deltas().private(), client.events(task));
        let (all, plain) = tokio::join!(all.collect::<Vec<_>>(), plain.collect::<Vec<_>>());
        let words = |updates: &[Result<Update, _>]| {
            let texts = updates.iter().filter_map(|update| match update {
                Ok(Update::Delta { text, .. }) => Some(text.clone()),
                _ => None,
            });
            texts.collect::<String>()
        };
        assert!(words(&all).contains("all is said"), "{}", words(&all));
        assert_eq!(words(&plain), "");
        assert!(plain.len() < all.len());
    });
}

#[test]
fn one_may_begin_anywhere() {
    let (life, runtime) = (Life::begin(), runtime());
    let client = Client::new(&life.url, &life.key).expect("a client");
    runtime.block_on(async {
        let task = talk(&client).await;
        let all = whole(&client, task).await;
        for after in [0, 1, all.len() - 1, all.len()] {
            let mut events = client.events(task).private().after(after as u64);
            let mut rest = Vec::new();
            while let Some(event) = event(&mut events).await {
                rest.push(event);
            }
            assert_eq!(rest, all[after..]);
        }
    });
}
