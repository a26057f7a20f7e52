//! Kills of whole trees, on real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use supervision::{
    AtRestart, ChildSpec, Exit, Root, Start, Strategy, SupervisorHandle, SupervisorSpec, inbox,
};

use super::{Count, Silent};
use crate::bed::{ms, on_threads, patient};

#[test]
fn a_tree_killed_while_it_starts_leaves_nobody() {
    on_threads(2, |_| async {
        let count = Count::default();
        for round in 0..60 {
            let (handle, counted) = (SupervisorHandle::vacant(), count.clone());
            let nested = move || Ok(Some(deep(&counted, 2, 300)));
            let spec = SupervisorSpec::default();
            let root = Root::new("root").start(spec).await.expect("it starts");
            let nested = Start::supervisor_at(&handle, nested);
            let adding = root.start_child(ChildSpec::supervisor("tree", nested));
            let killing = async {
                tokio::time::sleep(Duration::from_micros(round * 150)).await;
                root.kill().await
            };
            let (added, exit) = tokio::join!(adding, killing);
            assert_eq!(exit, Exit::Killed);
            assert!(added.is_err() || round > 0, "{added:?}");
            assert_eq!(count.get(), 0, "round {round}");
        }
    });
}

#[test]
fn a_killed_supervisor_comes_back_only_when_nothing_below_it_is_left() {
    on_threads(2, |_| async {
        let count = Count::default();
        let overlaps = Arc::new(AtomicI64::new(0));
        let handle = SupervisorHandle::vacant();
        let (counted, seen) = (count.clone(), overlaps.clone());
        let init = move || {
            seen.fetch_add(counted.get(), Ordering::SeqCst);
            Ok(Some(deep(&counted, 1, 50)))
        };
        let team = ChildSpec::supervisor("team", Start::supervisor_at(&handle, init));
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne)).child(team);
        let root = Root::new("root").start(spec).await.expect("it starts");
        let all = count.get();
        for round in 0..60 {
            tokio::time::sleep(Duration::from_micros(round * 20)).await;
            root.kill_child("team").await;
        }
        while count.get() < all {
            tokio::time::sleep(ms(1)).await;
        }
        root.stop().await;
        assert_eq!(count.get(), 0);
        assert_eq!(overlaps.load(Ordering::SeqCst), 0);
    });
}

/// A child that counts from the first line of its initialiser on, takes a while to start and has something attached; at times
/// its drop holds up the thread.
fn slow_starter(count: &Count, micros: u64, holds_up: bool) -> Start {
    let (_, reads) = inbox(1, AtRestart::Carry);
    let count = count.clone();
    Start::actor(reads, move |cx| {
        let (one, attached) = (count.one(), count.one());
        let _ = cx.attach_maybe(async move {
            let _attached = attached;
            std::future::pending().await
        });
        async move {
            let held = HoldsUp(holds_up);
            tokio::time::sleep(Duration::from_micros(micros)).await;
            drop(held);
            Ok(Silent(one))
        }
    })
}

struct HoldsUp(bool);

impl Drop for HoldsUp {
    fn drop(&mut self) {
        if self.0 {
            std::thread::sleep(ms(1));
        }
    }
}

/// A tree of three levels, two wide, over starters; each level also has a dynamic supervisor's worth of them.
fn deep(count: &Count, level: u32, micros: u64) -> SupervisorSpec {
    let mut spec = SupervisorSpec::new(patient(Strategy::OneForAll));
    for n in 0..2 {
        let starter = slow_starter(count, micros, n == 1);
        spec = spec.child(ChildSpec::new(format!("w{n}"), starter));
        if level > 0 {
            let count = count.clone();
            let below = move || Ok(Some(deep(&count, level - 1, micros)));
            spec = spec.child(ChildSpec::supervisor(
                format!("s{n}"),
                Start::supervisor(below),
            ));
        }
    }
    spec
}
