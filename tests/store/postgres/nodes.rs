//! Several nodes at one database.

use std::collections::BTreeSet;

use actors::model::EventBody;
use actors::store::{Append, Rejected, Store};
use actors::testing::conformance::store::draft::{
    append, blob, created, events, fenced, note, refused, restarted, run, task, working, write,
};
use futures_util::future::{join, join_all};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use super::open;
use crate::support::postgres::Schema;

const TASKS: u128 = 4;
const ROUNDS: usize = 15;

/// Each node writes to all tasks in an order of its own, and the same blobs.
fn batch(node: usize, round: usize) -> Vec<Append> {
    let said = |n: u128| note(&format!("node {node}, round {round}, task {n}"));
    let blobs: Vec<_> = (0..3)
        .map(|n| blob(format!("{round} {n}").as_bytes()))
        .collect();
    let mut batch: Vec<_> = (1..=TASKS)
        .map(|n| Append {
            blobs: blobs.clone(),
            ..append(task(n), vec![said(n), said(n)])
        })
        .collect();
    let turn = (node + round) % batch.len();
    batch.rotate_left(turn);
    if node % 2 == 0 {
        batch.reverse();
    }
    batch
}

#[tokio::test]
async fn nodes_leave_neither_gaps_nor_doubles() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let url = schema.url();
    // All of them bring the schema up to date at once.
    let nodes = join_all((0..4).map(|_| open(&url))).await;
    for n in 1..=TASKS {
        write(&nodes[0], append(task(n), vec![created()])).await;
    }
    let writing = nodes.iter().enumerate().map(|(node, store)| async move {
        for round in 0..ROUNDS {
            let answers = store.append(batch(node, round)).await.expect("a batch");
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    });
    join_all(writing).await;
    for n in 1..=TASKS {
        let found = events(&nodes[1], task(n)).await;
        let numbers: Vec<_> = found.iter().map(|event| event.id).collect();
        assert_eq!(numbers, (1..=1 + 8 * ROUNDS as u64).collect::<Vec<_>>());
        let said: BTreeSet<_> = found.iter().filter_map(content).collect();
        assert_eq!(said.len(), 4 * ROUNDS);
        let pairs = found[1..].chunks(2);
        assert!(pairs.clone().all(|pair| pair[0].body == pair[1].body));
    }
    nodes[2].check().await.expect("nothing is damaged");
}

fn content(event: &actors::model::Event) -> Option<&str> {
    match &event.body {
        EventBody::TaskMessage { content, .. } => Some(content),
        _ => None,
    }
}

#[tokio::test]
async fn a_task_is_created_once_and_a_run_claimed_once() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let (a, b) = (open(&schema.url()).await, open(&schema.url()).await);
    for n in 1..=20 {
        let creating = || vec![append(task(n), vec![created()])];
        let (a, b) = join(a.append(creating()), b.append(creating())).await;
        let created = [a, b].map(|answers| answers.expect("a batch")[0].is_ok());
        assert!(created[0] != created[1], "task {n}: {created:?}");
    }
    working(&a, task(100), run(1)).await;
    for epoch in 1..=20 {
        let claim = vec![restarted(run(1), epoch + 1)];
        let claiming = || vec![fenced(task(100), (run(1), epoch), claim.clone())];
        let (a, b) = join(a.append(claiming()), b.append(claiming())).await;
        let claimed = [a, b].map(|answers| answers.expect("a batch").remove(0));
        let lost = claimed.into_iter().filter_map(Result::err);
        let lost: Vec<_> = lost.collect();
        let (run, current, given) = (run(1), epoch + 1, epoch);
        let fenced = Rejected::Fenced {
            run,
            current,
            given,
        };
        assert_eq!(lost, [fenced], "one of the two");
    }
    let late = fenced(task(100), (run(1), 3), vec![note("late")]);
    assert!(matches!(refused(&b, late).await, Rejected::Fenced { .. }));
}

/// What the last transaction of a program that is gone wrote: the server is in the middle of it.
const LAST_WORDS: &str = "BEGIN; UPDATE writers SET batch = batch + 1;
    UPDATE tasks SET head = 2; INSERT INTO events SELECT task, 2, kind, run, agent, at, epoch, cause, body FROM events";

const WAITING: &str = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM writers%' AND query NOT LIKE '%pg_stat%'";

#[tokio::test]
async fn a_node_that_comes_waits_for_the_last_words_of_one_that_is_gone() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let gone = open(&schema.url()).await;
    write(&gone, append(task(1), vec![created()])).await;
    let (spoken, has_spoken) = channel();
    let is_open = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut dying, mut watching) = (schema.session(), schema.session());
            dying.execute(LAST_WORDS);
            spoken.send(()).expect("the test listens");
            while watching.count(WAITING) == 0 && !is_open.load(Ordering::SeqCst) {}
            dying.execute("COMMIT");
        });
        has_spoken.recv().expect("it speaks");
        let coming = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let store = runtime.expect("a runtime").block_on(async {
                let store = open(&schema.url()).await;
                is_open.store(true, Ordering::SeqCst);
                events(&store, task(1)).await.len()
            });
            assert_eq!(store, 2, "it was read too early");
        });
        coming.join().expect("it waits");
    });
}
