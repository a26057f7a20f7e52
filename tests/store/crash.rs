//! Killed at any moment, the store keeps what it acknowledged.

use std::path::Path;
use std::sync::Arc;

use actors::model::{Event, EventBody, Timestamp};
use actors::store::{Announce, Append, Blob, Put};
use actors::testing::conformance::store::draft::{append, blob, created, events, note, task};
use fastrand::Rng;
use impresario::store::{Durability, Durable, open};
use tokio::runtime::{Builder, Runtime};

use super::child::{self, Child};
use crate::support::postgres::Schema;

const ROUNDS: u64 = 20;

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

async fn opened(url: &str) -> Arc<dyn Durable> {
    let opened = open(url, Durability::Power).await;
    opened.expect("the store opens")
}

/// What batch `n` says, in both of its tasks.
fn said(n: u64) -> String {
    let mut rng = Rng::with_seed(n);
    let length = if rng.u8(..4) == 0 { 20_000 } else { 500 };
    (0..rng.usize(..length))
        .map(|_| rng.alphanumeric())
        .collect()
}

fn blob_of(n: u64) -> Blob {
    blob(format!("{n}: {}", said(n)).as_bytes())
}

fn batch(n: u64) -> Vec<Append> {
    let drafts = vec![if n == 1 { created() } else { note(&said(n)) }];
    let with_blob = Append {
        blobs: vec![blob_of(n)],
        ..append(task(1), drafts.clone())
    };
    vec![with_blob, append(task(2), drafts)]
}

/// A store whose every event is announced.
async fn announcing(url: &str) -> Arc<dyn Durable> {
    let store = opened(url).await;
    store.announce(Announce::Everything);
    store
}

/// Says in a record how far the batches have come.
async fn note_down(store: &dyn Durable, n: u64) {
    let put = Put {
        kind: "batch".to_owned(),
        key: "newest".to_owned(),
        expected: None,
        at: Timestamp(n),
        body: Some(n.into()),
    };
    let put = store
        .put_records(vec![put])
        .await
        .expect("the store takes it");
    assert!(put.is_ok(), "{put:?}");
}

/// Writes batch after batch and says which are acknowledged. Closes the store now and then, so that a kill may hit that too.
#[test]
#[ignore = "a child process of another test"]
fn write_for_ever() {
    let Some(url) = child::place() else {
        return;
    };
    let url = url.to_str().expect("a URL");
    runtime().block_on(async {
        let mut store = announcing(url).await;
        let before = store.task(task(1)).await.expect("task 1");
        for n in before.map_or(0, |row| row.head) + 1.. {
            let answers = store.append(batch(n)).await.expect("the store takes it");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            note_down(&*store, n).await;
            child::say(&n.to_string());
            if n % 7 == 0 {
                drop(store);
                store = announcing(url).await;
            }
        }
    });
}

/// Lets a child write and kills it at a moment that `rng` chooses; the newest acknowledged batch.
fn write_and_die(url: &str, rng: &mut Rng) -> u64 {
    let mut writer = Child::start("store::crash::write_for_ever", Path::new(url));
    let mut acknowledged = 0;
    let mut read = |line: Option<String>| {
        let Some(n) = line.and_then(|line| line.parse().ok()) else {
            return false;
        };
        acknowledged = n;
        true
    };
    for _ in 0..rng.usize(..25) {
        assert!(
            read(writer.next_line()),
            "the child writes until it is killed"
        );
    }
    for _ in 0..rng.u32(..400_000) {
        std::hint::spin_loop();
    }
    writer.kill();
    while read(writer.next_line()) {}
    acknowledged
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("crash.db");
    kill_and_read(&format!("sqlite:{}", file.display()));
}

#[test]
fn what_postgres_has_acknowledged_survives_a_kill_of_the_node() {
    if let Some(schema) = Schema::fresh() {
        kill_and_read(&schema.url());
    }
}

fn kill_and_read(url: &str) {
    let mut rng = Rng::with_seed(7);
    let mut newest = 0;
    for round in 0..ROUNDS {
        newest = newest.max(write_and_die(url, &mut rng));
        let (stored, noted) = runtime().block_on(stored(url));
        assert!(
            (newest..=stored).contains(&noted),
            "round {round}: {newest} acknowledged, {stored} stored, {noted} in a record"
        );
    }
    assert!(
        newest > ROUNDS,
        "the children were killed before they wrote anything"
    );
}

/// How many batches are there, and how many a record tells of; each is there whole, says what it said and is announced.
async fn stored(url: &str) -> (u64, u64) {
    let store = opened(url).await;
    store.check().await.expect("nothing is damaged");
    let first = events(&*store, task(1)).await;
    let second = events(&*store, task(2)).await;
    assert_eq!(
        first.len(),
        second.len(),
        "a batch is written whole or not at all"
    );
    for (n, (first, second)) in (1..).zip(first.iter().zip(&second)) {
        assert_eq!((first.id, second.id), (n, n));
        assert!(n == 1 || [first, second].map(content) == [said(n), said(n)]);
        let blob = blob_of(n);
        assert_eq!(store.blob(blob.hash).await, Ok(Some(blob.bytes)));
    }
    let announced = store.announced(0, usize::MAX).await.expect("the outbox");
    let announced = announced.iter().map(|it| (it.task, it.seq));
    let both = (1..=first.len() as u64).flat_map(|n| [1, 2].map(|of| (task(of), n)));
    assert!(both.eq(announced), "what is written is announced");
    let noted = store.record("batch", "newest").await.expect("the record");
    let noted = noted.map_or(Some(0), |record| record.body.as_u64());
    (first.len() as u64, noted.expect("a number"))
}

fn content(event: &Event) -> String {
    match &event.body {
        EventBody::TaskMessage { content, .. } => content.clone(),
        other => panic!("{other:?}"),
    }
}
