//! G. Shutdown.

use std::time::Duration;

use supervision::report::Decision;
use supervision::{
    ChildSpec, DynamicHandle, DynamicSpec, Exit, Flags, Shutdown, Start, Strategy,
    SupervisorHandle, SupervisorSpec, template,
};

use super::plays;
use crate::bed::{Bed, Cue, Play, Player, cast, children, ms, patient, timed, virtual_time};

fn under(player: Player, shutdown: Shutdown) -> Player {
    player.with(move |spec| spec.shutdown(shutdown))
}

async fn pool(bed: &Bed, shutdown: Shutdown) -> DynamicHandle<Player> {
    let mut plan = template("t");
    plan.shutdown = shutdown;
    let spec = DynamicSpec::new(patient(Strategy::OneForOne));
    let spec = spec.template(plan, |player: Player| player.start());
    spec.start(bed.root()).await.expect("it starts")
}

/// The reports about stops.
fn stops(bed: &Bed) -> Vec<String> {
    let reports = bed.reports();
    let is_stop =
        |decision: &Decision| matches!(decision, Decision::Stopped(_) | Decision::UncleanStop(..));
    let of = reports.iter().filter(|report| is_stop(&report.decision));
    of.map(|report| format!("{} {}", report.decision.about().child, report.decision))
        .collect()
}

#[test]
fn g1_brutal_kills_without_clean_up_and_waits() {
    virtual_time(|bed| async move {
        let a = under(bed.player("a"), Shutdown::Kill);
        let root = bed.start(Flags::default(), &[&a]).await;
        a.tell(Cue::Work(10_000));
        bed.settle().await;
        let (took, exit) = timed(root.stop()).await;
        assert_eq!((took, exit), (Duration::ZERO, Exit::SHUTDOWN));
        bed.expect("start a\nkilled a");
        assert_eq!(stops(&bed), ["a stopped"]);

        let pool = pool(&bed, Shutdown::Kill).await;
        pool.start_child(bed.player("b")).await.expect("it starts");
        pool.stop().await;
        bed.expect("start b\nkilled b");
        assert!(bed.alive().is_empty());
    });
}

#[test]
fn g2_a_timed_stop_becomes_a_kill_and_goes_on() {
    plays(
        "sup one_for_one 5 100 never
         child fast permanent 200 false ok 20
         child slow permanent 100 false ok 5000
         child brutal permanent brutal false ok 0
         child patient permanent inf false ok 300
         go
         stop",
        "start fast
         start slow
         start brutal
         start patient
         boot ok
         stop patient shutdown
         stopped patient
         stop slow shutdown
         stop fast shutdown
         stopped fast
         sup_exit shutdown",
    );
    virtual_time(|bed| async move {
        let a = under(bed.player("a").stops_in(50), Shutdown::After(ms(100)));
        let b = under(bed.player("b").stops_in(500), Shutdown::After(ms(100)));
        let root = bed.start(Flags::default(), &[&a, &b]).await;
        let (took, _) = timed(root.stop()).await;
        assert_eq!(took, ms(150));
        bed.expect(
            "start a
             start b
             stop b shutdown
             killed b
             stop a shutdown
             stopped a",
        );
        assert_eq!(stops(&bed), ["b did not stop cleanly: killed", "a stopped"]);
    });
}

#[test]
fn g2_without_a_limit_workers_and_supervisors_are_waited_for() {
    virtual_time(|bed| async move {
        let hour = 3_600_000;
        let a = under(bed.player("a").stops_in(hour), Shutdown::Infinity);
        let inner = a.clone();
        let start = Start::supervisor(move || Ok(Some(cast(Flags::default(), &[&inner]))));
        let spec = SupervisorSpec::default().child(ChildSpec::supervisor("inner", start));
        let root = bed.root().start(spec).await.expect("it starts");
        let (took, _) = timed(root.stop()).await;
        assert_eq!(took, ms(hour));
        bed.expect("start a\nstop a shutdown\nstopped a");
        assert_eq!(stops(&bed), ["a stopped", "inner stopped"]);
    });
}

#[test]
fn g4_declared_children_stop_one_at_a_time_in_reverse_order() {
    plays(
        "sup rest_for_one 5 100 never
         child a permanent 1000 false ok 9
         child b permanent 1000 false ok 9
         child c permanent 1000 false ok 9
         go
         stop",
        "start a
         start b
         start c
         boot ok
         stop c shutdown
         stopped c
         stop b shutdown
         stopped b
         stop a shutdown
         stopped a
         sup_exit shutdown",
    );
}

#[test]
fn g5_instances_stop_at_once_and_share_one_deadline() {
    virtual_time(|bed| async move {
        let pool = pool(&bed, Shutdown::After(ms(300))).await;
        for (id, stop) in [("a", 100), ("b", 100), ("c", 2_000)] {
            let player = bed.player(id).stops_in(stop);
            pool.start_child(player).await.expect("it starts");
        }
        let (took, exit) = timed(pool.stop()).await;
        assert_eq!((took, exit), (ms(300), Exit::SHUTDOWN));
        bed.expect(
            "start a
             start b
             start c
             stop a shutdown
             stop b shutdown
             stop c shutdown
             stopped a
             stopped b
             killed c",
        );
        assert_eq!(
            stops(&bed),
            [
                "t-1 stopped",
                "t-2 stopped",
                "t-3 did not stop cleanly: killed"
            ]
        );
    });
}

/// A child that leaves its supervisor cannot be written here: nobody but the supervisor holds what links them.
#[test]
fn g6_a_child_that_ends_by_itself_meanwhile_disturbs_nothing() {
    let ends = [
        Cue::Exit(Exit::Normal),
        Cue::Exit(Exit::failed("boom")),
        Cue::Panic,
    ];
    virtual_time(|bed| async move {
        for end in ends {
            let a = bed.player("a");
            let b = bed.player("b").stops_in(100);
            let root = bed.start(patient(Strategy::OneForOne), &[&a, &b]).await;
            let stopping = root.stop();
            let ending = async {
                bed.settle().await;
                a.tell(end);
            };
            let (exit, ()) = tokio::join!(stopping, ending);
            assert_eq!(exit, Exit::SHUTDOWN);
            assert!(bed.alive().is_empty());

            let pool = pool(&bed, Shutdown::After(ms(300))).await;
            let (a, b) = (bed.player("a"), bed.player("b").stops_in(100));
            pool.start_child(a.clone()).await.expect("it starts");
            pool.start_child(b).await.expect("it starts");
            a.tell(Cue::Panic);
            assert_eq!(pool.stop().await, Exit::SHUTDOWN);
            assert!(bed.alive().is_empty());
        }
    });
}

#[test]
fn g7_a_child_that_crashes_while_a_later_one_stops_is_not_restarted() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let b = bed.player("b").stops_in(100);
        let root = bed.start(patient(Strategy::OneForOne), &[&a, &b]).await;
        let crashing = async {
            bed.settle().await;
            a.tell(Cue::Exit(Exit::failed("boom")));
        };
        let (exit, ()) = tokio::join!(root.stop(), crashing);
        assert_eq!(exit, Exit::SHUTDOWN);
        bed.expect(
            "start a
             start b
             stop b shutdown
             stop a failed: boom
             stopped a
             stopped b",
        );
        assert_eq!(
            stops(&bed),
            ["b stopped", "a did not stop cleanly: failed: boom"]
        );
    });
}

#[test]
fn g9_a_stop_ends_a_failing_restart_loop() {
    virtual_time(|bed| async move {
        for strategy in [
            Strategy::OneForOne,
            Strategy::RestForOne,
            Strategy::OneForAll,
        ] {
            let a = bed.player("a").starts([Play::Ok, Play::Fail]);
            let endless = Flags::new(strategy).intensity(u32::MAX, Duration::from_secs(5));
            let root = bed.start(endless, &[&a, &bed.player("b")]).await;
            a.loops().await;
            let (took, exit) = timed(root.stop()).await;
            assert_eq!((took, exit), (Duration::ZERO, Exit::SHUTDOWN));
            still(&bed).await;
        }
        let endless = Flags::default().intensity(u32::MAX, Duration::from_secs(5));
        let spec = DynamicSpec::new(endless);
        let spec = spec.template(template("t"), |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let a = bed.player("a").starts([Play::Ok, Play::Fail]);
        pool.start_child(a.clone()).await.expect("it starts");
        a.loops().await;
        pool.stop().await;
        still(&bed).await;
    });
}

/// From now on nothing happens.
async fn still(bed: &Bed) {
    bed.trace();
    tokio::time::sleep(Duration::from_secs(60)).await;
    bed.expect("");
    assert!(bed.alive().is_empty());
}

#[test]
fn g10_a_killed_supervisor_leaves_nobody() {
    virtual_time(|bed| async move {
        let (leaf, inner) = (bed.player("leaf"), SupervisorHandle::vacant());
        let middle = SupervisorHandle::vacant();
        let (declared, below) = (leaf.clone(), inner.clone());
        let nest = move || {
            let declared = declared.clone();
            let init = move || Ok(Some(cast(Flags::default(), &[&declared])));
            let start = Start::supervisor_at(&below, init);
            Ok(Some(
                SupervisorSpec::default().child(ChildSpec::supervisor("inner", start)),
            ))
        };
        let start = Start::supervisor_at(&middle, nest);
        let spec = SupervisorSpec::default().child(ChildSpec::supervisor("middle", start));
        let root = bed.root().start(spec).await.expect("it starts");
        assert_eq!(bed.alive(), ["leaf"]);
        assert_eq!(root.kill().await, Exit::Killed);
        bed.expect("start leaf\nkilled leaf");
        assert!(bed.alive().is_empty());
        assert_eq!(middle.exit(), Some(Exit::Killed));
        assert_eq!(inner.exit(), Some(Exit::Killed));
        let pool = pool(&bed, Shutdown::Infinity).await;
        pool.start_child(bed.player("a")).await.expect("it starts");
        pool.supervisor().kill().await;
        assert!(bed.alive().is_empty());
        assert_eq!(children(pool.supervisor()).await, "");
    });
}
