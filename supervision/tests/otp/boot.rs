//! A. Boot.

use std::time::Duration;

use supervision::{
    AutoShutdown, ChildSpec, DynamicSpec, Flags, Kind, Plan, Restart, Shutdown, Start, StartError,
    Strategy, SupervisorSpec, template,
};

use super::plays;
use crate::bed::{Bed, Play, cast, children, ms, patient, timed, virtual_time};

#[test]
fn a1_children_start_one_after_another_and_the_call_returns_after_the_last() {
    plays(
        "sup one_for_one 3 5 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false slow:20 0
         child c permanent 1000 false ok 0
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
    virtual_time(|bed| async move {
        let (a, c) = (bed.player("a"), bed.player("c"));
        let b = bed.player("b").starts([Play::Slow(20)]);
        let (took, root) = timed(bed.start(Flags::default(), &[&a, &b, &c])).await;
        bed.expect("start a\nstart b\nstart c");
        assert_eq!(took, ms(20));
        root.stop().await;
    });
}

#[test]
fn a2_a_failed_start_unwinds_what_was_started() {
    plays(
        "sup one_for_one 9 5 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         child c permanent 1000 false failnow 0
         child d permanent 1000 false ok 0
         go",
        "start a
         start b
         start_failed c
         stop b shutdown
         stopped b
         stop a shutdown
         stopped a
         boot error failed_to_start c",
    );
    virtual_time(|bed| async move {
        let (a, d) = (bed.player("a"), bed.player("d"));
        let c = bed.player("c").starts([Play::Fail]);
        let spec = cast(patient(Strategy::OneForOne), &[&a, &c, &d]);
        let error = bed.root().start(spec).await.expect_err("c fails");
        assert_eq!(error.to_string(), "child `c` could not be started: nope");
        let StartError::Failed(failure) = error else {
            panic!("{error:?}");
        };
        assert_eq!(failure.child, Some("c".into()));
        bed.expect("start a\nstart failed c\nstop a shutdown\nstopped a");
        tokio::time::sleep(Duration::from_secs(60)).await;
        bed.expect("");
        let reports = bed.reports();
        let said: Vec<_> = reports.iter().map(|one| one.decision.to_string()).collect();
        assert_eq!(said, ["started", "start failed: nope", "stopped"]);
    });
}

#[test]
fn a3_an_initialiser_that_declines_is_no_failure() {
    virtual_time(|bed| async move {
        let declined = bed.root().start_with(|| Ok(None)).await;
        assert_eq!(declined.expect_err("it declines"), StartError::Ignored);
        assert!(bed.reports().is_empty());
    });
}

#[test]
fn a3_an_initialiser_that_panics_or_fails_says_why() {
    async fn cause(bed: &Bed, start: Start) -> String {
        let spec = SupervisorSpec::default().child(ChildSpec::supervisor("inner", start));
        let error = bed.root().start(spec).await.expect_err("it fails");
        error.to_string()
    }
    virtual_time(|bed| async move {
        let error = bed.root().start_with(|| panic!("oh no")).await;
        assert_eq!(error.expect_err("it fails").to_string(), "panicked: oh no");
        let error = bed.root().start_with(|| Err("no disk".into())).await;
        assert_eq!(error.expect_err("it fails").to_string(), "no disk");
        assert_eq!(
            cause(&bed, Start::supervisor(|| panic!("oh no"))).await,
            "child `inner` could not be started: panicked: oh no"
        );
        let a = bed.player("a").starts([Play::Panic]);
        let error = bed.root().start(cast(Flags::default(), &[&a])).await;
        assert_eq!(
            error.expect_err("it panics").to_string(),
            "child `a` could not be started: panicked: oh no"
        );
    });
}

#[test]
fn a5_a_declining_permanent_or_transient_child_is_kept_as_stopped() {
    plays(
        "sup one_for_one 3 5 never
         child a permanent 1000 false ignore 0
         child b transient 1000 false ignore 0
         child c permanent 1000 false ok 0
         go
         which
         count
         add d permanent 1000 false ignore 0
         add e transient 1000 false ignore 0
         which
         count",
        "ignored a
         ignored b
         start c
         boot ok
         children a:stopped b:stopped c:running
         counts 3 1 0 3
         ignored d
         reply add ok_ignored
         ignored e
         reply add ok_ignored
         children a:stopped b:stopped c:running d:stopped e:stopped
         counts 5 1 0 5",
    );
}

#[test]
fn a6_a_declining_temporary_child_is_not_kept() {
    plays(
        "sup one_for_one 3 5 never
         child a temporary 1000 false ignore 0
         child b permanent 1000 false ok 0
         go
         which
         add c temporary 1000 false ignore 0
         which
         count",
        "ignored a
         start b
         boot ok
         children b:running
         ignored c
         reply add ok_ignored
         children b:running
         counts 1 1 0 1",
    );
}

#[test]
fn a6_a_dynamic_supervisor_never_records_a_declining_instance() {
    virtual_time(|bed| async move {
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            let player = bed.player("a").starts([Play::Decline]);
            let mut plan = template("t");
            plan.restart = restart;
            let spec = DynamicSpec::new(Flags::default());
            let spec = spec.template(plan, move |()| player.start());
            let pool = spec.start(bed.root()).await.expect("it starts");
            assert!(pool.start_child(()).await.expect("no failure").is_none());
            assert_eq!(children(pool.supervisor()).await, "");
            assert_eq!(pool.stop().await.to_string(), "shutdown");
        }
        bed.expect("declined a\ndeclined a\ndeclined a");
    });
}

#[test]
fn a8_omitted_options_are_otps() {
    let flags = Flags::default();
    assert_eq!(flags.strategy, Strategy::OneForOne);
    assert_eq!(flags.intensity.restarts, 1);
    assert_eq!(flags.intensity.within, Duration::from_secs(5));
    assert_eq!(flags.auto_shutdown, AutoShutdown::Never);

    let worker = ChildSpec::new("a", Start::worker(|| async { Ok(()) })).plan;
    assert_eq!(worker.restart, Restart::Permanent);
    assert!(!worker.significant);
    assert_eq!(worker.kind, Kind::Worker);
    assert_eq!(worker.shutdown, Shutdown::After(Duration::from_secs(5)));
    assert_eq!(worker.backoff, None, "OTP has none");
    assert_eq!(template("a"), worker);

    let supervisor = ChildSpec::supervisor("a", Start::supervisor(|| Ok(None))).plan;
    assert_eq!(supervisor.kind, Kind::Supervisor);
    assert_eq!(supervisor.shutdown, Shutdown::Infinity);
    assert_eq!(supervisor, Plan::new("a", Kind::Supervisor));
}
