//! Options together, and their corners.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use supervision::health::Vitals;
use supervision::restart::{ChildKey, Core, Effect, Event, Incarnation, SupervisorCore};
use supervision::{
    Actor, AtRestart, Backoff, ChildSpec, Context, Failure, Flags, HangLimits, Jitter, Kind, Plan,
    Shutdown, Start, Strategy, SupervisorSpec, inbox,
};
use tokio::sync::watch;
use tokio::time::sleep;

use super::blocking::Lost;
use crate::bed::{Play, children, ms, on_threads, patient, said, virtual_time};

const A: ChildKey = ChildKey(0);

/// A core of one child that is up.
fn core_of(plan: Plan) -> SupervisorCore<()> {
    let mut core =
        SupervisorCore::new(patient(Strategy::OneForOne), vec![(plan, ())]).expect("valid");
    core.apply(ms(0), Event::Boot);
    core.apply(ms(0), Event::Started(A, Incarnation(1)));
    core
}

fn armed(effects: &[Effect<()>]) -> Event<()> {
    let timer = |effect: &Effect<()>| match effect {
        Effect::Arm(timer, _) => Some(Event::Timer(*timer)),
        _ => None,
    };
    effects.iter().rev().find_map(timer).expect("a timer")
}

#[test]
fn leave_that_was_got_before_a_need_vanished_is_asked_for_again() {
    let mut plan = Plan::new("a", Kind::Worker);
    plan.needs = vec!["x".into()];
    let mut core = core_of(plan);
    core.restrain();
    let failed = Event::Exited(A, Incarnation(1), supervision::Exit::failed("boom"));
    let asks = Effect::AskLeave(A, Incarnation(1));
    assert!(core.apply(ms(1), failed).contains(&asks));
    let waits = core.apply(ms(1), Event::Leave(A, Incarnation(1), ms(100)));
    core.apply(ms(50), Event::Need("x".into(), false));
    core.apply(ms(101), armed(&waits));
    let back = core.apply(ms(5_000), Event::Need("x".into(), true));
    assert_eq!(back, [asks], "all that waited would come back at once");
}

#[test]
fn one_that_was_killed_because_it_hangs_is_not_waited_for_without_end_when_it_is_to_stop() {
    let mut plan = Plan::new("a", Kind::Worker);
    plan.shutdown = Shutdown::Infinity;
    let limits = HangLimits::silence(ms(10)).steps(ms(0), ms(0), ms(20));
    plan.hang = Some(Arc::new(limits));
    let mut core = core_of(plan);
    let silent = Vitals {
        silent: Some(ms(10)),
        ..Vitals::default()
    };
    let killed = core.apply(ms(10), Event::Vitals(A, Incarnation(1), silent));
    assert!(killed.contains(&Effect::Kill(A, Incarnation(1))));
    let stopping = core.apply(ms(15), Event::Stop);
    let over = core.apply(ms(35), armed(&stopping));
    assert!(
        over.contains(&Effect::Abandon(A, Incarnation(1))),
        "{over:?}"
    );
    assert!(matches!(over.last(), Some(Effect::Exit(_))), "{over:?}");
}

#[test]
fn what_nobody_speaks_for_any_more_is_not_waited_for() {
    virtual_time(|bed| async move {
        let (provider, available) = watch::channel(false);
        let a = bed.player("a");
        let mut spec = a.spec();
        spec.start = spec.start.needs("provider", available.clone());
        let mut late = bed.player("late").spec();
        late.start = late.start.needs("provider", available);
        let root = SupervisorSpec::new(patient(Strategy::OneForOne)).child(spec);
        let root = bed.root().start(root).await.expect("it starts");
        a.fail().await;
        assert_eq!(children(&root).await, "a:restarting#1");
        drop(provider);
        bed.settle().await;
        assert_eq!(children(&root).await, "a:running#2");
        root.start_child(late).await.expect("it starts");
        a.fail().await;
        assert_eq!(children(&root).await, "a:running#3 late:running#1");
        root.stop().await;
    });
}

#[test]
fn parking_backoff_and_budget_go_together() {
    virtual_time(|bed| async move {
        let (provider, available) = watch::channel(true);
        let second = Duration::from_secs(1);
        let backoff = Backoff::new(second, 4 * second).jitter(Jitter::None);
        let budget = supervision::Intensity::new(2, 60 * second);
        let a = bed.player("a").starts([Play::Ok, Play::Fail, Play::Ok]);
        let mut spec = a.spec().backoff(backoff).budget(budget);
        spec.start = spec.start.needs("provider", available);
        let flags = Flags::new(Strategy::OneForOne).intensity(0, second);
        let root = bed
            .root()
            .start(SupervisorSpec::new(flags).child(spec))
            .await;
        let root = root.expect("it starts");
        bed.reports();
        a.fail().await;
        sleep(ms(500)).await;
        provider.send_replace(false);
        sleep(10 * second).await;
        provider.send_replace(true);
        sleep(10 * second).await;
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root a #1 Permanent: 1 dead letters: InFlight !
        0ms root a #1 Permanent: terminated: failed: boom !
        0ms root a #1 Permanent: restarting OneForOne after 1s
        1000ms root a #1 Permanent: restart waits for provider !
        10501ms root a #2 Permanent: start failed: nope !
        10501ms root a #2 Permanent: restarting OneForOne after 2s
        12501ms root a #3 Permanent: started
        "#);
        root.stop().await;
    });
}

#[test]
fn one_that_waits_for_what_it_needs_does_not_hold_up_the_end() {
    for strategy in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ] {
        virtual_time(|bed| async move {
            let (_provider, available) = watch::channel(false);
            let (a, b) = (bed.player("a"), bed.player("b"));
            let mut spec = a.spec();
            spec.start = spec.start.needs("provider", available);
            let root = SupervisorSpec::new(patient(strategy))
                .child(spec)
                .child(b.spec());
            let root = bed.root().start(root).await.expect("it starts");
            a.fail().await;
            let (time, _) = crate::bed::timed(root.stop()).await;
            assert_eq!(time, Duration::ZERO);
            assert!(a.handle.is_stopped());
        });
    }
}

#[test]
fn a_start_that_hears_of_nothing_is_waited_for_until_its_deadline() {
    let mut plan = Plan::new("a", Kind::Supervisor);
    plan.start_within = Some(ms(40));
    let children = vec![(plan, ())];
    let mut core = SupervisorCore::new(Flags::default(), children).expect("valid");
    let begun = core.apply(ms(0), Event::Boot);
    core.apply(ms(10), Event::Stop);
    let late = core.apply(ms(40), armed(&begun));
    assert_eq!(late, [Effect::Kill(A, Incarnation(1))]);
}

struct Fragile;

impl Actor for Fragile {
    type Message = bool;

    async fn handle(&mut self, is_bad: bool, _: &mut Context<bool>) -> Result<(), Failure> {
        if is_bad { Err("boom".into()) } else { Ok(()) }
    }
}

#[test]
fn one_that_was_given_up_while_it_started_takes_nothing_from_the_next() {
    on_threads(3, |bed| async move {
        let (told, reads) = inbox(4, AtRestart::Carry);
        let begun = Arc::new(AtomicU64::new(0));
        let lost = Lost::default();
        let is_lost = lost.clone();
        let start = Start::actor(reads, move |_| {
            let n = begun.fetch_add(1, Ordering::SeqCst);
            let is_lost = is_lost.clone();
            async move {
                if n == 1 {
                    is_lost.block();
                }
                Ok(Fragile)
            }
        });
        let backoff = Backoff::new(ms(300), ms(300)).jitter(Jitter::None);
        let limits = HangLimits::silence(ms(60_000)).steps(ms(0), ms(0), ms(20));
        let spec = ChildSpec::new("a", start).backoff(backoff).hang(limits);
        let spec = spec.start_within(ms(500));
        let root = SupervisorSpec::new(patient(Strategy::OneForOne)).child(spec);
        let root = lost.root(&bed).start(root).await.expect("it starts");
        told.try_send(true).expect("room");
        told.try_send(false).expect("room");
        while told.depth() > 0 {
            sleep(ms(1)).await;
        }
        let said = said(&bed);
        assert!(said.contains("given up"), "{said}");
        assert!(!said.contains("another child"), "{said}");
        root.stop().await;
    });
}
