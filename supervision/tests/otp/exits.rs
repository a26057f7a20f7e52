//! D. Which exits restart.

use std::time::Duration;

use supervision::restart::{
    ChildKey, Core, DynamicCore, Effect, Event, Incarnation, Request, RequestId, SupervisorCore,
};
use supervision::{
    DynamicHandle, DynamicSpec, Exit, Flags, Restart, Strategy, SupervisorHandle, template,
};

use super::plays;
use crate::bed::{Bed, Cue, Player, children, patient, virtual_time};

/// All classes of exits, and how each is brought about.
const CLASSES: [&str; 6] = [
    "normal", "shutdown", "detail", "failed", "panicked", "killed",
];

async fn end(bed: &Bed, player: &Player, class: &str, supervisor: &SupervisorHandle, id: &str) {
    match class {
        "normal" => player.tell(Cue::Exit(Exit::Normal)),
        "shutdown" => player.tell(Cue::Exit(Exit::SHUTDOWN)),
        "detail" => player.tell(Cue::Exit(Exit::Shutdown(Some("x".into())))),
        "failed" => player.tell(Cue::Exit(Exit::failed("boom"))),
        "panicked" => player.tell(Cue::Panic),
        _ => assert!(supervisor.kill_child(id).await),
    }
    bed.settle().await;
}

fn pool_of(restart: Restart) -> DynamicSpec<Player> {
    let mut plan = template("t");
    plan.restart = restart;
    let spec = DynamicSpec::new(patient(Strategy::OneForOne));
    spec.template(plan, |player: Player| player.start())
}

/// What a static and a dynamic supervisor list after an exit of this class.
async fn after(bed: &Bed, restart: Restart, class: &str) -> (String, String) {
    let a = bed.player("a").restart(restart);
    let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
    end(bed, &a, class, &root, "a").await;
    let listed = children(&root).await;
    root.stop().await;

    let b = bed.player("b");
    let pool: DynamicHandle<Player> = pool_of(restart).start(bed.root()).await.expect("it starts");
    pool.start_child(b.clone()).await.expect("it starts");
    end(bed, &b, class, pool.supervisor(), "t-1").await;
    let instances = children(pool.supervisor()).await;
    pool.stop().await;
    (listed, instances)
}

#[test]
fn d1_a_permanent_child_is_restarted_after_every_exit() {
    virtual_time(|bed| async move {
        for class in CLASSES {
            let (listed, instances) = after(&bed, Restart::Permanent, class).await;
            assert_eq!(listed, "a:running#2", "{class}");
            assert_eq!(instances, "t-1:running#2", "{class}");
        }
    });
}

#[test]
fn d2_a_transient_child_that_ends_in_order_stays_listed() {
    virtual_time(|bed| async move {
        for class in &CLASSES[..3] {
            let (listed, instances) = after(&bed, Restart::Transient, class).await;
            assert_eq!(listed, "a:stopped#1", "{class}");
            assert_eq!(instances, "", "{class}");
        }
    });
    plays(
        "sup one_for_one 0 100 never
         child a transient 1000 false ok 0
         go
         exit a {shutdown}
         which
         restart a
         exit a normal
         restart a
         which",
        "start a
         boot ok
         stop a shutdown
         stopped a
         children a:stopped
         start a
         reply restart ok
         stop a normal
         stopped a
         start a
         reply restart ok
         children a:running",
    );
}

#[test]
fn d3_a_transient_child_is_restarted_after_a_failure_and_after_a_kill() {
    virtual_time(|bed| async move {
        for class in &CLASSES[3..] {
            let (listed, instances) = after(&bed, Restart::Transient, class).await;
            assert_eq!(listed, "a:running#2", "{class}");
            assert_eq!(instances, "t-1:running#2", "{class}");
        }
    });
}

#[test]
fn d4_a_temporary_child_is_never_restarted_and_not_remembered() {
    virtual_time(|bed| async move {
        for class in CLASSES {
            let (listed, instances) = after(&bed, Restart::Temporary, class).await;
            assert_eq!((&*listed, &*instances), ("", ""), "{class}");
        }
    });
}

#[test]
fn d5_exits_without_a_restart_cost_nothing() {
    plays(
        "sup one_for_one 0 100 never
         child a transient 1000 false ok 0
         child b temporary 1000 false ok 0
         child c permanent 1000 false ok 0
         go
         exit a normal
         exit b boom
         which",
        "start a
         start b
         start c
         boot ok
         stop a normal
         stopped a
         stop b boom
         stopped b
         children a:stopped c:running",
    );
    virtual_time(|bed| async move {
        let mut plan = template("t");
        plan.restart = Restart::Temporary;
        let none = Flags::default().intensity(0, Duration::from_secs(100));
        let spec = DynamicSpec::new(none).template(plan, |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let a = bed.player("a");
        pool.start_child(a.clone()).await.expect("it starts");
        a.fail().await;
        assert_eq!(pool.supervisor().exit(), None);
        pool.stop().await;
    });
}

#[test]
fn d6_notices_of_older_incarnations_and_of_strangers_change_nothing() {
    let now = Duration::from_secs(1);
    let children = vec![(template("a"), ())];
    let mut core = SupervisorCore::new(patient(Strategy::OneForOne), children).expect("a set");
    let mut dynamic = DynamicCore::new(Flags::default(), template("t")).expect("a template");
    core.apply(now, Event::Boot);
    dynamic.apply(now, Event::Boot);
    dynamic.apply(
        now,
        Event::Request(RequestId(0), Request::Add(template("t"), ())),
    );
    check(&mut core, now);
    check(&mut dynamic, now);
}

/// `a` crashes once; then come notices that are not about its second life.
fn check(core: &mut impl Core<()>, now: Duration) {
    let (a, stranger) = (ChildKey(0), ChildKey(9));
    let (first, second) = (Incarnation(1), Incarnation(2));
    core.apply(now, Event::Started(a, first));
    let effects = core.apply(now, Event::Exited(a, first, Exit::Killed));
    assert!(effects.contains(&Effect::Start(a, second, core.rows(now)[0].id.clone(), ())));
    core.apply(now, Event::Started(a, second));
    let before = core.rows(now);
    for (key, incarnation) in [(a, first), (a, Incarnation(3)), (stranger, first)] {
        let exited = Event::Exited(key, incarnation, Exit::failed("boom"));
        assert_eq!(core.apply(now, exited), []);
        let failed = Event::StartFailed(key, incarnation, "nope".into());
        assert_eq!(core.apply(now, failed), []);
        assert_eq!(core.apply(now, Event::Declined(key, incarnation)), []);
        assert_eq!(core.apply(now, Event::Started(key, incarnation)), []);
    }
    assert_eq!(core.rows(now), before);
}
