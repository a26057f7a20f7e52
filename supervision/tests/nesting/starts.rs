//! Starts that take long, or are not wanted any more.

use std::time::Duration;

use supervision::{
    AdminError, AtRestart, ChildSpec, Exit, Flags, Init, Restart, Shutdown, Start, Strategy,
    SupervisorHandle, inbox,
};

use super::{Count, SECOND, Silent, root_of, team};
use crate::bed::{Play, cast, children, ms, patient, timed, virtual_time};

#[test]
fn a_stop_is_not_held_up_by_a_start_that_hangs() {
    virtual_time(|bed| async move {
        let hangs = bed
            .player("hangs")
            .starts([Play::Ok, Play::Slow(3_600_000)]);
        let hangs = hangs.with(|spec| spec.shutdown(Shutdown::After(ms(100))));
        let root = bed.start(patient(Strategy::OneForOne), &[&hangs]).await;
        hangs.fail().await;
        assert_eq!(children(&root).await, "hangs:starting#2");
        bed.reports();
        let (took, exit) = timed(root.stop()).await;
        assert_eq!((took, exit), (ms(100), Exit::SHUTDOWN));
        let reports = bed.reports();
        assert_eq!(
            reports[0].decision.to_string(),
            "did not stop cleanly: killed"
        );
    });
}

#[test]
fn a_kill_is_not_held_up_by_a_start_that_hangs() {
    virtual_time(|bed| async move {
        let hangs = bed.player("hangs").starts([Play::Slow(3_600_000)]);
        let root = bed.start(Flags::default(), &[]).await;
        let spec = hangs.spec();
        let adding = root.start_child(spec);
        let killing = async {
            bed.settle().await;
            timed(root.kill()).await
        };
        let (added, (took, exit)) = tokio::join!(adding, killing);
        assert_eq!(added.expect_err("it is gone"), AdminError::Stopping);
        assert_eq!((took, exit), (Duration::ZERO, Exit::Killed));
        tokio::time::sleep(7_200 * SECOND).await;
        bed.expect("");
    });
}

#[test]
fn a_start_that_listens_stops_at_once() {
    virtual_time(|bed| async move {
        let (_, reads) = inbox::<()>(1, AtRestart::Carry);
        let start = Start::init(reads, |cx| {
            let stopping = cx.stopping();
            async move {
                stopping.cancelled().await;
                Ok(Init::<Silent>::Declined)
            }
        });
        let root = root_of(&bed, Strategy::OneForOne, []).await;
        let adding = root.start_child(ChildSpec::new("a", start));
        let stopping = async {
            bed.settle().await;
            timed(root.stop()).await
        };
        let (added, (took, exit)) = tokio::join!(adding, stopping);
        assert_eq!(added.expect_err("it stops"), AdminError::Stopping);
        assert_eq!((took, exit), (Duration::ZERO, Exit::SHUTDOWN));
    });
}

#[test]
fn a_start_that_ends_during_a_stop_does_not_end_the_stop() {
    virtual_time(|bed| async move {
        let a = bed.player("a").starts([Play::Ok, Play::Slow(50)]);
        let b = bed.player("b").stops_in(200);
        let root = bed.start(patient(Strategy::OneForOne), &[&a, &b]).await;
        a.fail().await;
        let (took, exit) = timed(root.stop()).await;
        assert_eq!((took, exit), (ms(200), Exit::SHUTDOWN));
        bed.expect(
            "start a
             start b
             stop a failed: boom
             stopped a
             stop b shutdown
             start a
             stopped b
             stop a shutdown
             stopped a",
        );
    });
}

#[test]
fn a_start_that_nobody_waits_for_any_more_is_undone() {
    virtual_time(|bed| async move {
        let slow = bed.player("slow").starts([Play::Slow(10_000)]);
        let spec = cast(Flags::default(), &[&bed.player("a"), &slow]);
        let start = bed.root().start(spec);
        let given_up = tokio::time::timeout(SECOND, start).await;
        assert!(given_up.is_err(), "it takes longer");
        bed.settle().await;
        bed.expect("start a\nkilled a");
    });
}

#[test]
fn a_supervisor_stopped_while_it_boots_unwinds() {
    virtual_time(|bed| async move {
        let inner = SupervisorHandle::vacant();
        let slow = bed.player("slow").starts([Play::Slow(500)]);
        let players = [&bed.player("a"), &slow, &bed.player("c")];
        let root = root_of(&bed, Strategy::OneForOne, []).await;
        let team = team("team", &inner, Flags::default(), &players);
        let stopping = async {
            tokio::time::sleep(ms(100)).await;
            inner.stop().await
        };
        let (added, exit) = tokio::join!(root.start_child(team), stopping);
        assert_eq!(exit, Exit::SHUTDOWN);
        assert_eq!(
            added.expect_err("it was stopped").to_string(),
            "the child could not be started: it ended while it started: shutdown"
        );
        bed.expect(
            "start a
             start slow
             stop slow shutdown
             stopped slow
             stop a shutdown
             stopped a",
        );
        assert_eq!(children(&root).await, "");
        root.stop().await;
    });
}

#[test]
fn an_actor_that_wants_to_end_before_it_began_does() {
    virtual_time(|bed| async move {
        let (_, reads) = inbox(1, AtRestart::Carry);
        let count = Count::default();
        let start = Start::actor(reads, move |cx| {
            cx.exit(Exit::Normal);
            let one = count.one();
            async move { Ok(Silent(one)) }
        });
        let spec = ChildSpec::new("a", start).restart(Restart::Transient);
        let root = root_of(&bed, Strategy::OneForOne, [spec]).await;
        bed.settle().await;
        assert_eq!(children(&root).await, "a:stopped#1");
        root.stop().await;
    });
}

#[test]
fn one_worker_can_be_several_children() {
    virtual_time(|bed| async move {
        let idle = Start::worker(std::future::pending);
        let specs = ["a", "b"].map(|id| ChildSpec::new(id, idle.clone()));
        let root = root_of(&bed, Strategy::OneForOne, specs).await;
        assert_eq!(children(&root).await, "a:running#1 b:running#1");
        root.stop().await;
    });
}
