//! Several nodes at one database.

use std::collections::BTreeSet;

use actors::model::event::Outcome;
use actors::model::{Content, EventBody, Step, Timestamp};
use actors::store::{Announce, Announced, Append, Put, Records, Rejected, Store, StoreError};
use actors::testing::conformance::store::draft::{
    append, blob, created, events, fenced, note, of_run, of_task, refused, restarted, run, task,
    working, write,
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
    if node.is_multiple_of(2) {
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

/// Who has something to do with the writers of this schema, and waits.
const WAITING: &str = "SELECT 1 FROM pg_locks waiting JOIN pg_locks here ON here.pid = waiting.pid
    WHERE NOT waiting.granted AND here.relation = 'writers'::regclass";

#[tokio::test]
async fn a_node_that_comes_waits_for_the_last_words_of_one_that_is_gone() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let gone = open(&schema.url()).await;
    write(&gone, append(task(1), vec![created()])).await;
    let (spoken, has_spoken) = channel();
    let has_read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut dying, mut watching) = (schema.session(), schema.session());
            dying.execute(LAST_WORDS);
            spoken.send(()).expect("the test listens");
            while watching.count(WAITING) == 0 && !has_read.load(Ordering::SeqCst) {}
            dying.execute("COMMIT");
        });
        has_spoken.recv().expect("it speaks");
        let coming = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let found = runtime.expect("a runtime").block_on(async {
                let store = open(&schema.url()).await;
                let found = events(&store, task(1)).await.len();
                has_read.store(true, Ordering::SeqCst);
                found
            });
            assert_eq!(found, 2, "it was read too early");
        });
        coming.join().expect("it waits");
    });
}

/// Whoever follows the outbox by its positions misses nothing, whoever commits first.
#[tokio::test]
async fn positions_become_visible_in_their_order() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let url = schema.url();
    let nodes = join_all((0..4).map(|_| open(&url))).await;
    let (mut all, mut following) = (Vec::<Announced>::new(), 0);
    for (n, node) in (1..).zip(&nodes) {
        node.announce(Announce::Everything);
        write(node, append(task(n), vec![created()])).await;
    }
    let writing = join_all((1..).zip(&nodes).map(|(n, node)| async move {
        for round in 0..ROUNDS {
            // Some transactions take longer than others.
            let said = note(&"x".repeat(round * usize::try_from(n).expect("a number") * 4_000));
            write(node, append(task(n), vec![said; 2])).await;
        }
    }));
    let count = nodes.len() * (1 + 2 * ROUNDS);
    let follow = async {
        while all.len() < count {
            let found = nodes[0].announced(following, 5).await.expect("the outbox");
            following = found.last().map_or(following, |it| it.position);
            all.extend(found);
            tokio::task::yield_now().await;
        }
    };
    join(writing, follow).await;
    let found = nodes[1].announced(0, usize::MAX).await;
    assert_eq!(found, Ok(all), "what came later has a later place");
}

fn counted(key: &str, expected: u64, to: u64) -> Vec<Put> {
    vec![Put {
        kind: "count".to_owned(),
        key: key.to_owned(),
        expected: Some(expected),
        at: Timestamp(0),
        body: Some(to.into()),
    }]
}

#[tokio::test]
async fn nodes_lose_no_change_of_a_record() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let url = schema.url();
    let nodes = join_all((0..4).map(|_| open(&url))).await;
    // New ones: one of the nodes makes it, the others are told.
    for n in 0..15 {
        let key = n.to_string();
        let making = nodes
            .iter()
            .map(|node| node.put_records(counted(&key, 0, n)));
        let made = join_all(making).await.into_iter();
        let made: Vec<_> = made.map(|it| it.expect("an answer")).collect();
        assert_eq!(made.iter().filter(|it| it.is_ok()).count(), 1, "{made:?}");
        let told = made.iter().filter_map(|it| it.as_ref().err());
        assert!(
            told.clone().all(|conflict| conflict.current == 1),
            "{made:?}"
        );
    }
    let raising = nodes.iter().map(|node| async move {
        let mut raised = 0;
        while raised < 10 {
            let found = node.record("count", "shared").await.expect("an answer");
            let version = found.map_or(0, |it| it.version);
            let put = node
                .put_records(counted("shared", version, version + 1))
                .await;
            raised += u64::from(put.expect("an answer").is_ok());
        }
    });
    join_all(raising).await;
    let found = nodes[0].record("count", "shared").await.expect("an answer");
    assert_eq!(found.map(|it| (it.version, it.body)), Some((40, 40.into())));
}

/// While one node removes the last task that refers to a blob, others begin to refer to it.
#[tokio::test]
async fn a_blob_is_not_removed_under_those_who_refer_to_it() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let url = schema.url();
    let nodes = join_all((0..3).map(|_| open(&url))).await;
    let shared = blob(b"shared");
    let content = Content::Blob {
        blob: shared.hash.clone(),
        bytes: 6,
        preview: String::new(),
    };
    let using = (1..).zip(&nodes).map(|(n, node)| {
        let (shared, content) = (&shared, &content);
        async move {
            for round in 0..20 {
                let of = n * 1_000 + round;
                working(node, task(of), run(of)).await;
                let result = EventBody::ToolCallCompleted {
                    step: Step { turn: 0, index: 0 },
                    outcome: Outcome::Ok,
                    content: content.clone(),
                };
                let reason = String::new();
                let end = of_task(EventBody::TaskCancelled { reason });
                let refers = Append {
                    blobs: vec![shared.clone()],
                    ..append(task(of), vec![of_run(run(of), 1, result), end])
                };
                write(node, refers).await;
                let found = node.blob(shared.hash.clone()).await;
                assert_eq!(found, Ok(Some(shared.bytes.clone())), "it is gone");
                let removed = node.remove_task(task(of)).await;
                assert_eq!(removed, Ok::<_, StoreError>(true));
            }
        }
    });
    join_all(using).await;
    assert_eq!(nodes[0].blob(shared.hash.clone()).await, Ok(None));
}

/// Waits on a runtime of its own, because sessions have theirs.
fn alone<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(work)
}

/// Does something while another session is in the middle of a transaction, which goes on once somebody waits for it, or need not.
fn in_the_middle(schema: &Schema, [first, then]: [&str; 2], work: impl AsyncFnOnce() + Send) {
    const WAITING: &str = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'advisory|outbox' AND query NOT LIKE '%pg_stat%'";
    let is_done = AtomicBool::new(false);
    let (mut other, mut watching) = (schema.session(), schema.session());
    other.execute(first);
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            alone(work());
            is_done.store(true, Ordering::SeqCst);
        });
        while watching.count(WAITING) == 0 && !is_done.load(Ordering::SeqCst) {}
        other.execute(then);
        working.join().expect("it ends");
    });
}

/// A removal has found that nobody refers to the blob.
const REMOVING: [&str; 2] = [
    "BEGIN; SELECT pg_advisory_xact_lock(hashtext('impresario: blobs'), hashtext(current_schema()))",
    "DELETE FROM blobs; COMMIT",
];

#[test]
fn whoever_refers_to_a_blob_waits_for_one_who_removes_it() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let node = alone(open(&schema.url()));
    let shared = blob(b"shared");
    let refers = || Append {
        blobs: vec![shared.clone()],
        ..append(task(1), vec![note("it is in a blob")])
    };
    alone(async {
        write(&node, append(task(1), vec![created()])).await;
        write(&node, refers()).await;
    });
    in_the_middle(&schema, REMOVING, async || {
        write(&node, refers()).await;
    });
    let found = alone(node.blob(shared.hash.clone()));
    assert_eq!(found, Ok(Some(shared.bytes.clone())));
}

/// A node that refers to the same blob in another task, and has not said so yet.
const REFERRING: [&str; 2] = [
    "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('impresario: blobs'), hashtext(current_schema()))",
    "INSERT INTO events SELECT (SELECT id FROM tasks ORDER BY id DESC LIMIT 1), 9, kind, run, agent, at, epoch, cause, body
       FROM events WHERE body LIKE '%{\"blob\":%'; COMMIT",
];

#[test]
fn whoever_removes_a_blob_waits_for_those_who_refer_to_it() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let node = alone(open(&schema.url()));
    let shared = blob(b"shared");
    let content = Content::Blob {
        blob: shared.hash.clone(),
        bytes: 6,
        preview: String::new(),
    };
    let end = of_task(EventBody::TaskCompleted { result: content });
    let refers = Append {
        blobs: vec![shared.clone()],
        ..append(task(1), vec![created(), end])
    };
    alone(async {
        write(&node, refers).await;
        write(&node, append(task(2), vec![created()])).await;
    });
    in_the_middle(&schema, REFERRING, async || {
        assert_eq!(node.remove_task(task(1)).await, Ok(true));
    });
    let found = alone(node.blob(shared.hash.clone()));
    assert_eq!(found, Ok(Some(shared.bytes.clone())));
}

/// A node that has taken the first position and not yet committed.
const ANNOUNCING: [&str; 2] = [
    "BEGIN; INSERT INTO outbox_newest VALUES (1, 1)",
    "INSERT INTO outbox SELECT 1, id, 7 FROM tasks; COMMIT",
];

#[test]
fn whoever_announces_waits_for_the_position_before() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let node = alone(open(&schema.url()));
    alone(write(&node, append(task(1), vec![created()])));
    node.announce(Announce::Everything);
    in_the_middle(&schema, ANNOUNCING, async || {
        write(&node, append(task(1), vec![note("a"), note("b")])).await;
        let found = node.announced(0, 9).await.expect("the outbox");
        let found: Vec<_> = found.iter().map(|it| (it.position, it.seq)).collect();
        assert_eq!(found, [(1, 7), (2, 2), (3, 3)]);
    });
}
