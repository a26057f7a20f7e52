//! C. Administration.

use std::time::Duration;

use supervision::restart::{
    Core, Effect, Event, Incarnation, Reply, Request, RequestId, SupervisorCore, Target,
};
use supervision::{
    AdminError, ChildKey, DynamicHandle, DynamicSpec, Exit, Flags, Restart, Strategy, template,
};

use super::plays;
use crate::bed::{Bed, Play, Player, children, patient, virtual_time};

/// A dynamic supervisor whose instances are these players.
async fn pool(bed: &Bed) -> DynamicHandle<Player> {
    let spec = DynamicSpec::new(patient(Strategy::OneForOne));
    let spec = spec.template(template("t"), |player: Player| player.start());
    spec.start(bed.root()).await.expect("it starts")
}

#[test]
fn c1_adding_a_running_child_answers_already_started() {
    plays(
        "sup one_for_one 3 100 never
         child a permanent 1000 false ok 0
         go
         add a permanent 1000 false ok 0
         which",
        "start a
         boot ok
         reply add already_started
         children a:running",
    );
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let root = bed.start(Flags::default(), &[]).await;
        let added = root.start_child(a.spec()).await;
        let added = added.expect("it starts").expect("it does not decline");
        let again = root.start_child(bed.player("a").spec()).await;
        assert_eq!(
            again.expect_err("it is there"),
            AdminError::AlreadyStarted(added.key, added.incarnation)
        );
        assert_eq!(children(&root).await, "a:running#1");
        root.stop().await;
    });
}

#[test]
fn c2_adding_a_stopped_child_answers_already_present() {
    plays(
        "sup one_for_one 3 100 never
         child a permanent 1000 false ok 0
         go
         terminate a
         add a permanent 1000 false ok 0
         which",
        "start a
         boot ok
         stop a shutdown
         stopped a
         reply terminate ok
         reply add already_present
         children a:stopped",
    );
}

#[test]
fn c2_adding_a_restarting_child_answers_already_present() {
    virtual_time(|bed| async move {
        let a = bed.player("a").starts([Play::Ok, Play::Fail]);
        let endless = Flags::default().intensity(u32::MAX, Duration::from_secs(5));
        let root = bed.start(endless, &[&a]).await;
        a.loops().await;
        let added = root.start_child(bed.player("a").spec()).await;
        assert_eq!(added.expect_err("it is there"), AdminError::AlreadyPresent);
        root.stop().await;
    });
}

#[test]
fn c3_an_added_child_that_fails_is_not_kept() {
    plays(
        "sup one_for_one 1 100 never
         child a permanent 1000 false ok 0
         go
         add b permanent 1000 false failnow 0
         add b permanent 1000 false failnow 0
         add b permanent 1000 false failnow 0
         which
         exit a boom
         which",
        "start a
         boot ok
         start_failed b
         reply add nope
         start_failed b
         reply add nope
         start_failed b
         reply add nope
         children a:running
         stop a boom
         stopped a
         start a
         children a:running",
    );
    virtual_time(|bed| async move {
        let pool = pool(&bed).await;
        let failing = bed.player("a").starts([Play::Fail]);
        let error = pool.start_child(failing).await.expect_err("it fails");
        assert_eq!(error, AdminError::StartFailed("nope".into()));
        assert_eq!(children(pool.supervisor()).await, "");
        pool.stop().await;
        bed.expect("start failed a");
    });
}

#[test]
fn c3_a_restart_by_hand_that_fails_is_not_tried_again() {
    plays(
        "sup one_for_one 0 100 never
         child a permanent 1000 false fail:2 0
         go
         terminate a
         restart a
         which
         restart a
         restart a
         which",
        "start a
         boot ok
         stop a shutdown
         stopped a
         reply terminate ok
         start_failed a
         reply restart nope
         children a:stopped
         start_failed a
         reply restart nope
         start a
         reply restart ok
         children a:running",
    );
}

#[test]
fn c4_a_terminated_child_stays_known_and_down() {
    plays(
        "sup one_for_one 0 100 never
         child a permanent 1000 false ok 5
         child b transient 50 false ok 500
         child c temporary 1000 false ok 0
         go
         terminate a
         terminate b
         terminate c
         which
         terminate a
         terminate zz
         add c temporary 1000 false ok 0
         which",
        "start a
         start b
         start c
         boot ok
         stop a shutdown
         stopped a
         reply terminate ok
         stop b shutdown
         reply terminate ok
         stop c shutdown
         stopped c
         reply terminate ok
         children a:stopped b:stopped
         reply terminate ok
         reply terminate not_found
         start c
         reply add ok
         children a:stopped b:stopped c:running",
    );
}

#[test]
fn c6_a_restart_by_hand_costs_nothing() {
    plays(
        "sup one_for_one 0 100 never
         child a permanent 1000 false ok 0
         go
         restart a
         restart zz
         terminate a
         restart a
         terminate a
         restart a
         terminate a
         restart a
         terminate a
         restart a
         terminate a
         restart a
         which",
        "start a
         boot ok
         reply restart running
         reply restart not_found
         stop a shutdown
         stopped a
         reply terminate ok
         start a
         reply restart ok
         stop a shutdown
         stopped a
         reply terminate ok
         start a
         reply restart ok
         stop a shutdown
         stopped a
         reply terminate ok
         start a
         reply restart ok
         stop a shutdown
         stopped a
         reply terminate ok
         start a
         reply restart ok
         stop a shutdown
         stopped a
         reply terminate ok
         start a
         reply restart ok
         children a:running",
    );
}

#[test]
fn c6_and_c8_a_restarting_child_is_neither_restarted_nor_deleted_by_hand() {
    virtual_time(|bed| async move {
        let a = bed.player("a").starts([Play::Ok, Play::Fail]);
        let endless = Flags::default().intensity(u32::MAX, Duration::from_secs(5));
        let root = bed.start(endless, &[&a]).await;
        a.loops().await;
        let restarted = root.restart_child("a").await;
        assert_eq!(restarted.expect_err("no"), AdminError::Restarting);
        let deleted = root.delete_child("a").await;
        assert_eq!(deleted.expect_err("no"), AdminError::Restarting);
        root.stop().await;
    });
}

#[test]
fn c8_only_a_stopped_child_is_deleted() {
    plays(
        "sup one_for_one 0 100 never
         child a permanent 1000 false ok 0
         go
         delete a
         delete zz
         terminate a
         delete a
         which
         delete a
         restart a
         add a permanent 1000 false ok 0",
        "start a
         boot ok
         reply delete running
         reply delete not_found
         stop a shutdown
         stopped a
         reply terminate ok
         reply delete ok
         children 
         reply delete not_found
         reply restart not_found
         start a
         reply add ok",
    );
}

#[test]
fn c10_listing_and_counting() {
    plays(
        "sup one_for_one 1 100 never
         child a permanent 1000 false ok 0
         child b transient 1000 false ok 0
         child c temporary 1000 false ok 0
         go
         add d permanent 1000 false ok 0
         terminate a
         which
         count",
        "start a
         start b
         start c
         boot ok
         start d
         reply add ok
         stop a shutdown
         stopped a
         reply terminate ok
         children a:stopped b:running c:running d:running
         counts 4 3 0 4",
    );
}

#[test]
fn c10_supervisors_are_counted_apart_and_waiting_ones_are_not_active() {
    use supervision::{Backoff, ChildSpec, Counts, Jitter, Start, SupervisorSpec};
    virtual_time(|bed| async move {
        let hour = Duration::from_secs(3600);
        let waits = Backoff::new(hour, hour).jitter(Jitter::None);
        let a = bed
            .player("a")
            .with(move |spec| spec.backoff(waits.clone()));
        let empty = || Ok(Some(SupervisorSpec::default()));
        let root = bed.start(Flags::default(), &[&a, &bed.player("b")]).await;
        let inner = ChildSpec::supervisor("inner", Start::supervisor(empty));
        root.start_child(inner).await.expect("it starts");
        a.fail().await;
        assert_eq!(
            children(&root).await,
            "a:restarting#1 b:running#1 inner:running#1"
        );
        let counts = Counts {
            specs: 3,
            active: 2,
            supervisors: 1,
            workers: 2,
        };
        assert_eq!(root.count_children().await, counts);
        root.stop().await;
    });
}

#[test]
fn c11_instances_are_terminated_by_key_also_when_they_are_gone() {
    virtual_time(|bed| async move {
        let pool = pool(&bed).await;
        let a = bed.player("a");
        let key = pool
            .start_child(a)
            .await
            .expect("it starts")
            .expect("up")
            .key;
        assert_eq!(pool.terminate_child(key).await, Ok(()));
        assert_eq!(pool.terminate_child(key).await, Ok(()));
        bed.expect("start a\nstop a shutdown\nstopped a");
        pool.stop().await;
    });
}

#[test]
fn c11_a_key_of_another_supervisor_means_nothing_here() {
    virtual_time(|bed| async move {
        let (here, there) = (pool(&bed).await, pool(&bed).await);
        let (a, b) = (bed.player("a"), bed.player("b"));
        let a = here
            .start_child(a)
            .await
            .expect("it starts")
            .expect("up")
            .key;
        let b = there
            .start_child(b)
            .await
            .expect("it starts")
            .expect("up")
            .key;
        assert_ne!(a, b);
        assert_eq!(here.terminate_child(b).await, Err(AdminError::NotFound));
        assert!(!here.kill_child(b).await);
        let never = here.terminate_child(ChildKey(a.0 + 1)).await;
        assert_eq!(never, Err(AdminError::NotFound));
        assert_eq!(bed.alive(), ["a", "b"]);
        here.stop().await;
        there.stop().await;
    });
}

#[test]
fn c11_an_instance_is_neither_restarted_nor_deleted_by_hand() {
    virtual_time(|bed| async move {
        let pool = pool(&bed).await;
        let a = bed.player("a");
        let key = pool
            .start_child(a)
            .await
            .expect("it starts")
            .expect("up")
            .key;
        assert_eq!(pool.restart_child(key).await, Err(AdminError::Dynamic));
        assert_eq!(pool.delete_child(key).await, Err(AdminError::Dynamic));
        assert_eq!(children(pool.supervisor()).await, "t-1:running#1");
        pool.stop().await;
    });
}

#[test]
fn c11_a_stopped_supervisor_answers_that_it_is() {
    virtual_time(|bed| async move {
        let root = bed.start(Flags::default(), &[]).await;
        root.stop().await;
        let late = root.start_child(bed.player("a").spec()).await;
        assert_eq!(late.expect_err("too late"), AdminError::Stopping);
        assert_eq!(root.terminate_child("a").await, Err(AdminError::Stopping));
        let temporary = bed.player("a").restart(Restart::Temporary);
        let late = root.start_child(temporary.spec()).await;
        assert_eq!(late.expect_err("too late"), AdminError::Stopping);
    });
}

/// OTP has no such limit; a caller that gives up waiting leaves its request behind.
#[test]
fn c12_a_supervisor_that_is_stuck_refuses_to_be_buried_in_requests() {
    let now = Duration::ZERO;
    let slow = vec![(template("slow"), ())];
    let mut core = SupervisorCore::new(Flags::default(), slow).expect("a valid set");
    core.apply(now, Event::Boot);
    let ask = |core: &mut SupervisorCore<()>, n| {
        let terminate = Request::Terminate(Target::Id("zz".into()));
        core.apply(now, Event::Request(RequestId(n), terminate))
    };
    let refused = |n, error| vec![Effect::Reply(RequestId(n), Reply::Refused(error))];
    for round in 0..2 {
        for n in 0..10_000 {
            assert_eq!(ask(&mut core, n), []);
        }
        assert_eq!(ask(&mut core, 10_000), refused(10_000, AdminError::Busy));
        let started = Event::Started(ChildKey(0), Incarnation(round + 1));
        let effects = core.apply(now, started);
        let is_answer = |effect: &&Effect<()>| matches!(effect, Effect::Reply(..));
        assert_eq!(effects.iter().filter(is_answer).count(), 10_000);
        assert_eq!(ask(&mut core, 7), refused(7, AdminError::NotFound));
        let exited = Event::Exited(ChildKey(0), Incarnation(round + 1), Exit::Killed);
        core.apply(now, exited);
    }
}
