//! What is announced: exactly what was committed, in order.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};

use crate::model::{Seq, TaskId};
use crate::store::{Announce, Announced};
use crate::testing::conformance::store::draft::{
    append, completed, created, events, fenced, note, queued, run, started, task, working, write,
};

use super::Both;

pub(super) async fn announced(store: &dyn Both, after: u64, limit: usize) -> Vec<Announced> {
    let found = store.announced(after, limit).await;
    let found = found.expect("the store must read its outbox");
    assert!(found.len() <= limit);
    assert!(found.iter().all(|it| it.position > after));
    assert!(found.is_sorted_by(|a, b| a.position < b.position));
    found
}

/// All that is in the outbox.
pub(super) async fn places(store: &dyn Both) -> Vec<(TaskId, Seq)> {
    let found = announced(store, 0, usize::MAX).await;
    found.iter().map(|it| (it.task, it.seq)).collect()
}

pub(super) fn only(types: &[&str]) -> Announce {
    Announce::Types(types.iter().map(|it| (*it).to_owned()).collect())
}

pub(super) async fn announces_what_is_asked_for(store: &dyn Both) {
    working(store, task(1), run(1)).await;
    assert_eq!(places(store).await, []);
    store.announce(only(&["run_completed", "task_created", "run"]));
    let drafts = vec![
        created(),
        queued(run(2)),
        started(run(2), 1),
        completed(run(2), 1),
    ];
    write(store, append(task(2), drafts)).await;
    write(store, append(task(1), vec![note("nobody is told")])).await;
    let mut wanted = vec![(task(2), 1), (task(2), 4)];
    assert_eq!(places(store).await, wanted);
    store.announce(Announce::Everything);
    write(store, append(task(1), vec![note("a"), note("b")])).await;
    wanted.extend([(task(1), 5), (task(1), 6)]);
    assert_eq!(places(store).await, wanted);
    for nothing in [Announce::Nothing, only(&[])] {
        store.announce(nothing);
        write(store, append(task(1), vec![note("nobody is told")])).await;
    }
    assert_eq!(places(store).await, wanted);
    let all = announced(store, 0, usize::MAX).await;
    for (at, it) in all.iter().enumerate() {
        assert_eq!(
            announced(store, it.position, 2).await,
            all[at + 1..].chunks(2).next().unwrap_or_default()
        );
    }
}

pub(super) async fn announces_what_was_committed_and_nothing_else(store: &dyn Both) {
    store.announce(Announce::Everything);
    working(store, task(1), run(1)).await;
    let batch = vec![
        append(task(1), vec![note("first")]),
        fenced(task(1), (run(1), 9), vec![note("fenced")]),
        append(task(2), vec![note("to nobody")]),
        append(task(3), vec![created()]),
        append(task(1), vec![note("lost"), created()]),
        append(task(1), Vec::new()),
        append(task(1), vec![note("second"), note("third")]),
    ];
    let answers = store.append(batch).await.expect("a batch");
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, false, false, true, false, true, true]);
    let of_1 = |seq| (task(1), seq);
    let written = [
        of_1(1),
        of_1(2),
        of_1(3),
        of_1(4),
        (task(3), 1),
        of_1(5),
        of_1(6),
    ];
    assert_eq!(places(store).await, written);
}

pub(super) async fn gives_no_position_twice(store: &dyn Both) {
    store.announce(Announce::Everything);
    let mut newest = 0;
    write(store, append(task(1), vec![created()])).await;
    for round in 0..4 {
        write(
            store,
            append(task(1), vec![note("a"), note("b"), note("c")]),
        )
        .await;
        let found = announced(store, newest, usize::MAX).await;
        assert_eq!(found.len(), if round == 0 { 4 } else { 3 });
        let forgotten = match round {
            // In the middle, at the end, and far behind it.
            0 => found[1].position,
            1 => found[2].position,
            _ => u64::MAX - round,
        };
        newest = found[found.len() - 1].position;
        for _ in 0..2 {
            let done = store.forget_announced(forgotten).await;
            done.expect("the store must forget");
        }
        let left = found.iter().filter(|it| it.position > forgotten);
        let left: Vec<_> = left.copied().collect();
        assert_eq!(announced(store, 0, usize::MAX).await, left);
    }
    assert_eq!(announced(store, u64::MAX, 1).await, []);
    store.forget_announced(0).await.expect("nothing to forget");
}

/// Whoever goes on after the last position that was seen misses nothing, however many write.
pub(super) async fn shows_positions_in_order_to_those_who_follow(store: &dyn Both) {
    const WRITERS: u128 = 8;
    const EACH: usize = 10;
    store.announce(only(&["task_message"]));
    for n in 1..=WRITERS {
        write(store, append(task(n), vec![created()])).await;
    }
    let writing = join_all((1..=WRITERS).map(|n| async move {
        for _ in 0..EACH {
            write(store, append(task(n), vec![note("a"), note("b")])).await;
        }
    }));
    let count = 2 * EACH * usize::try_from(WRITERS).expect("a number");
    let following = async {
        let mut seen = Vec::<Announced>::new();
        while seen.len() < count {
            let after = seen.last().map_or(0, |it| it.position);
            let found = announced(store, after, 7).await;
            // What is announced can be read.
            for it in found.iter().take(1) {
                assert!(events(store, it.task).await.len() as u64 >= it.seq);
            }
            seen.extend(found);
            tokio::task::yield_now().await;
        }
        seen
    };
    let (_, seen) = join(writing, following).await;
    assert_eq!(announced(store, 0, usize::MAX).await, seen);
    let places: BTreeSet<_> = seen.iter().map(|it| (it.task, it.seq)).collect();
    assert_eq!(places.len(), count);
    for n in 1..=WRITERS {
        let of_task = seen.iter().filter(|it| it.task == task(n));
        assert!(
            of_task.is_sorted_by_key(|it| it.seq),
            "a task's events are in order"
        );
    }
}
