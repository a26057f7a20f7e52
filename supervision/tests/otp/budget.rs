//! F. The restart intensity, and escalation.

use std::time::Duration;

use supervision::restart::{ChildKey, Core, Effect, Event, Incarnation, SupervisorCore};
use supervision::{
    ChildSpec, DynamicSpec, Exit, Flags, Restart, Start, SupervisorHandle, SupervisorSpec, template,
};

use super::plays;
use crate::bed::{Bed, Play, Player, cast, children, virtual_time};

const SECOND: Duration = Duration::from_secs(1);

/// The second failure of `b`, at an intensity of one in 100 seconds.
fn exhausted(strategy: &str, first: &str) {
    plays(
        &format!(
            "sup {strategy} 1 100 never
             child a permanent 1000 false ok 0
             child b permanent 1000 false ok 0
             child c permanent 1000 false ok 0
             go
             exit b boom
             exit b boom
             which"
        ),
        &format!(
            "start a
             start b
             start c
             boot ok
             stop b boom
             stopped b
             {first}
             stop b boom
             stopped b
             stop c shutdown
             stopped c
             stop a shutdown
             stopped a
             sup_exit shutdown
             no_supervisor"
        ),
    );
}

#[test]
fn f1_one_restart_too_many_ends_the_supervisor() {
    exhausted("one_for_one", "start b");
    exhausted(
        "rest_for_one",
        "stop c shutdown\nstopped c\nstart b\nstart c",
    );
    exhausted(
        "one_for_all",
        "stop c shutdown\nstopped c\nstop a shutdown\nstopped a\nstart a\nstart b\nstart c",
    );
}

#[test]
fn f1_at_intensity_zero_the_first_does() {
    plays(
        "sup one_for_one 0 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false ok 0
         go
         exit a normal",
        "start a
         start b
         boot ok
         stop a normal
         stopped a
         stop b shutdown
         stopped b
         sup_exit shutdown",
    );
}

#[test]
fn f1_a_dynamic_supervisor_gives_up_too() {
    virtual_time(|bed| async move {
        let spec = DynamicSpec::new(Flags::default().intensity(1, SECOND));
        let spec = spec.template(template("t"), |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let (a, b) = (bed.player("a"), bed.player("b"));
        pool.start_child(a.clone()).await.expect("it starts");
        pool.start_child(b.clone()).await.expect("it starts");
        a.fail().await;
        assert_eq!(pool.supervisor().exit(), None);
        b.fail().await;
        bed.expect(
            "start a
             start b
             stop a failed: boom
             stopped a
             start a
             stop b failed: boom
             stopped b
             stop a shutdown
             stopped a",
        );
        assert_eq!(
            pool.supervisor().wait().await,
            Exit::Shutdown(Some(
                "more than 1 restarts within 1s, the last for `t-2`: failed: boom".into()
            ))
        );
    });
}

#[test]
fn f2_the_window_slides() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let flags = Flags::default().intensity(1, SECOND);
        let root = bed.start(flags, &[&a]).await;
        for _ in 0..50 {
            a.fail().await;
            tokio::time::sleep(Duration::from_millis(2_100)).await;
        }
        assert_eq!(children(&root).await, "a:running#51");
        // Not a counter that is set back: two within any second are too many, wherever the second begins.
        a.fail().await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(root.exit(), None);
        a.fail().await;
        assert!(matches!(root.exit(), Some(Exit::Shutdown(_))));
    });
}

#[test]
fn f2_a_restart_counts_until_its_period_is_over() {
    let gives_up = |second: Duration| {
        let flags = Flags::default().intensity(1, SECOND);
        let children = vec![(template("a"), ())];
        let mut core = SupervisorCore::new(flags, children).expect("a valid set");
        core.apply(Duration::ZERO, Event::Boot);
        let mut fail = |at, life| {
            let (key, life) = (ChildKey(0), Incarnation(life));
            core.apply(at, Event::Started(key, life));
            core.apply(at, Event::Exited(key, life, Exit::Killed))
        };
        fail(SECOND, 1);
        let effects = fail(second, 2);
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Exit(_)))
    };
    assert!(gives_up(2 * SECOND));
    assert!(!gives_up(2 * SECOND + Duration::from_nanos(1)));
}

#[test]
fn f4_every_failed_attempt_counts() {
    plays(
        "sup one_for_one 3 100 never
         child a permanent 1000 false ok 0
         child b permanent 1000 false fail:9 0
         go
         exit b boom",
        "start a
         start b
         boot ok
         stop b boom
         stopped b
         start_failed b
         start_failed b
         start_failed b
         stop a shutdown
         stopped a
         sup_exit shutdown",
    );
    virtual_time(|bed| async move {
        let spec = DynamicSpec::new(Flags::default().intensity(3, 100 * SECOND));
        let spec = spec.template(template("t"), |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let (a, b) = (bed.player("a"), bed.player("b"));
        let b = b.starts([Play::Ok, Play::Fail]);
        pool.start_child(a.clone()).await.expect("it starts");
        pool.start_child(b.clone()).await.expect("it starts");
        b.fail().await;
        bed.expect(
            "start a
             start b
             stop b failed: boom
             stopped b
             start failed b
             start failed b
             start failed b
             stop a shutdown
             stopped a",
        );
        assert!(matches!(pool.supervisor().exit(), Some(Exit::Shutdown(_))));
    });
}

/// A supervisor `inner` of `a` at intensity 0, under a root.
async fn nested(
    bed: &Bed,
    restart: Restart,
    intensity: u32,
) -> (SupervisorHandle, SupervisorHandle, Player) {
    let a = bed.player("a");
    let declared = a.clone();
    let inner = SupervisorHandle::vacant();
    let init = move || {
        let flags = Flags::default().intensity(0, SECOND);
        Ok(Some(cast(flags, &[&declared])))
    };
    let start = Start::supervisor_at(&inner, init);
    let spec = SupervisorSpec::new(Flags::default().intensity(intensity, SECOND));
    let spec = spec.child(ChildSpec::supervisor("inner", start).restart(restart));
    let root = bed.root().start(spec).await.expect("it starts");
    (root, inner, a)
}

#[test]
fn f5_a_permanent_supervisor_that_gave_up_comes_back_with_its_declared_children() {
    virtual_time(|bed| async move {
        let (root, inner, a) = nested(&bed, Restart::Permanent, 1).await;
        inner
            .start_child(bed.player("late").spec())
            .await
            .expect("up");
        a.fail().await;
        bed.expect(
            "start a
             start late
             stop a failed: boom
             stopped a
             stop late shutdown
             stopped late
             start a",
        );
        assert_eq!(children(&root).await, "inner:running#2");
        assert_eq!(children(&inner).await, "a:running#1");
        a.fail().await;
        assert!(matches!(root.exit(), Some(Exit::Shutdown(_))));
    });
}

#[test]
fn f5_a_transient_supervisor_that_gave_up_does_not_come_back() {
    virtual_time(|bed| async move {
        let (root, inner, a) = nested(&bed, Restart::Transient, 1).await;
        a.fail().await;
        bed.expect("start a\nstop a failed: boom\nstopped a");
        assert_eq!(children(&root).await, "inner:stopped#1");
        let Some(Exit::Shutdown(Some(detail))) = inner.exit() else {
            panic!("{:?}", inner.exit());
        };
        assert_eq!(
            &*detail,
            "more than 0 restarts within 1s, the last for `a`: failed: boom"
        );
        root.stop().await;
    });
}
