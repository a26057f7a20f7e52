//! The picture of a whole tree.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use supervision::{
    AtRestart, Backoff, ChildSpec, ChildState, DynamicSpec, Exit, Jitter, Kind, Restart, Root,
    Start, Strategy, SupervisorHandle, SupervisorSpec, template,
};

use crate::bed::{Cue, Player, cast, ms, on_threads, patient, virtual_time};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_tree_shows_paths_states_lives_and_what_waits() {
    virtual_time(|bed| async move {
        let hour = Backoff::new(3600 * SECOND, 3600 * SECOND).jitter(Jitter::None);
        let fragile = bed.player("fragile");
        let resting = bed
            .player("resting")
            .with(move |spec| spec.backoff(hour.clone()));
        let done = bed.player("done").restart(Restart::Transient);
        let busy = bed.player("busy").inbox(8, AtRestart::Carry);
        let (players, strategy) = ([&fragile, &resting, &done, &busy], Strategy::OneForOne);
        let inside = players.map(Clone::clone);
        let init = move || {
            let players: Vec<_> = inside.iter().collect();
            Ok(Some(cast(patient(strategy), &players)))
        };
        let spec = DynamicSpec::new(patient(strategy));
        let spec = spec.template(template("run"), |player: Player| player.start());
        let (pool, start) = spec.seat().expect("a template");
        let spec = SupervisorSpec::new(patient(strategy))
            .child(ChildSpec::supervisor("team", Start::supervisor(init)))
            .child(ChildSpec::supervisor("runs", start));
        let root = bed.root().start(spec).await.expect("it starts");
        for _ in 0..2 {
            pool.start_child(bed.player("r")).await.expect("it starts");
        }
        for _ in 0..3 {
            fragile.fail().await;
        }
        resting.fail().await;
        done.exit(Exit::Normal).await;
        busy.tell(Cue::Work(10_000));
        bed.settle().await;
        busy.tell(Cue::Work(0));
        busy.tell(Cue::Work(0));

        let tree = root.tree("root", SECOND).await;
        insta::assert_snapshot!(tree.to_string(), @r#"
        root Running #1
          team Running #1
            fragile Running #4 (last: failed: boom)
            resting Restarting #1 (waits for its backoff) (last: failed: boom)
            done Stopped #1 (last: normal)
            busy Running #1 (2 waiting)
          runs Running #1
            run-1 Running #1
            run-2 Running #1
        "#);
        let of = |path: &str| tree.find(path).expect("it is there");
        assert_eq!(of("root/team/fragile").restarts, 3);
        assert_eq!(of("root/team/busy").inbox, Some((2, 8)));
        assert_eq!(of("root/team").kind, Kind::Supervisor);
        assert_eq!(of("root/team").inbox, None);
        assert_eq!(of("root/team").counts().active, 2);
        assert_eq!(tree.iter().count(), 9);
        assert_eq!(tree.find("root/nobody"), None);
        root.stop().await;

        let gone = root.tree("root", SECOND).await;
        insta::assert_snapshot!(gone.to_string(), @"root Stopped #1 (last: shutdown)");
    });
}

#[test]
fn restarts_leave_the_window_and_the_picture() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let flags = patient(Strategy::OneForOne).intensity(5, SECOND);
        let root = bed.start(flags, &[&a]).await;
        a.fail().await;
        let restarts = async || root.tree("root", SECOND).await.children[0].restarts;
        assert_eq!(restarts().await, 1);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(restarts().await, 0);
        root.stop().await;
    });
}

/// A supervisor never waits, so it takes a listener that breaks its promise to silence one.
#[test]
fn a_silent_supervisor_is_shown_as_such() {
    on_threads(3, |bed| async move {
        let (silence, is_silent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (release, released) = std::sync::mpsc::channel::<()>();
        let inner = SupervisorHandle::vacant();
        let a = bed.player("a");
        let declared = a.clone();
        let init = move || Ok(Some(cast(patient(Strategy::OneForOne), &[&declared])));
        let start = Start::supervisor_at(&inner, init);
        let spec = SupervisorSpec::default().child(ChildSpec::supervisor("inner", start));
        let (hold, holds, released) = (silence.clone(), is_silent.clone(), Mutex::new(released));
        let listener = Arc::new(move |report: &supervision::Report| {
            if &*report.path == "root/inner" && hold.swap(false, Ordering::SeqCst) {
                holds.store(true, Ordering::SeqCst);
                let _ = released.lock().map(|released| released.recv());
            }
        });
        let root = Root::new("root")
            .listener(listener)
            .start(spec)
            .await
            .expect("it starts");
        silence.store(true, Ordering::SeqCst);
        a.tell(Cue::Exit(Exit::Normal));
        while !is_silent.load(Ordering::SeqCst) {
            tokio::time::sleep(ms(1)).await;
        }
        let tree = root.tree("root", SECOND).await;
        drop(release);
        insta::assert_snapshot!(tree.to_string(), @"
        root Running #1
          inner Running #1 (silent)
        ");
        assert_eq!(tree.find("root/inner").map(|node| node.silent), Some(true));
        root.stop().await;
    });
}

#[test]
fn names_with_slashes_are_drawn_where_they_belong() {
    virtual_time(|bed| async move {
        let root = bed
            .start(patient(Strategy::OneForOne), &[&bed.player("task/7")])
            .await;
        let tree = root.tree("root", SECOND).await;
        insta::assert_snapshot!(tree.to_string(), @"
        root Running #1
          task/7 Running #1
        ");
        root.stop().await;
    });
}

#[test]
fn a_supervisor_that_was_never_up_is_shown_as_stopped() {
    virtual_time(|bed| async move {
        let vacant = SupervisorHandle::vacant();
        let tree = vacant.tree("nobody", SECOND).await;
        assert_eq!(tree.state, ChildState::Stopped);
        assert_eq!(vacant.count_children().await.specs, 0);
        assert_eq!(vacant.wait().await, Exit::SHUTDOWN);
        assert!(!vacant.kill_child("a").await);
        drop(bed);
    });
}
