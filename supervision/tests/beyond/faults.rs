//! Faults on purpose: what each kind does at each point, when, and which plans are refused.

use std::time::Duration;

use supervision::fault::{Fault, FaultKind, FaultPlan, Point, Trigger, When};
use supervision::{
    AtRestart, CallError, ChildSpec, Decision, DynamicSpec, Flags, HangLimits, Shutdown, Start,
    Strategy, SupervisorSpec, template,
};
use tokio::time::sleep;

use crate::bed::{Bed, Cue, Player, cast, children, ms, on_threads, patient, said, virtual_time};

fn once() -> When {
    When {
        at_most: Some(1),
        ..When::default()
    }
}

fn note(text: &str) -> Cue {
    Cue::Note(text.into())
}

fn plan(point: Point, kind: FaultKind) -> FaultPlan {
    FaultPlan::new(1).fault(Fault::new("root/a", point, kind).when(once()))
}

/// A start, a message and a stop of `a` under a plan, and what is said and done.
async fn scene(bed: &Bed, a: Player, plan: FaultPlan) -> String {
    let b = bed.player("b");
    let spec = cast(patient(Strategy::OneForOne), &[&b, &a]);
    let root = match bed.root().faults(plan).start(spec).await {
        Ok(root) => root,
        Err(error) => return format!("{}{error}\n", said(bed)),
    };
    a.tell(note("hello"));
    a.tell(note("again"));
    sleep(ms(500)).await;
    root.stop().await;
    let about_a = |line: &&str| line.contains(" a #") && !line.ends_with("started");
    let said = said(bed);
    let said = said.lines().filter(about_a).map(|line| format!("{line}\n"));
    let trace = bed.trace();
    let takes = trace.iter().filter(|line| line.starts_with("a takes"));
    let takes: Vec<_> = takes.map(|line| &line[8..]).collect();
    format!("{}taken: {}\n", said.collect::<String>(), takes.join(", "))
}

/// The same for every kind that makes sense at a point.
fn scenes(point: Point) -> String {
    let kinds = [
        FaultKind::Panic,
        FaultKind::Error,
        FaultKind::Hang,
        FaultKind::Slow(ms(200)),
        FaultKind::Kill,
        FaultKind::Drop,
        FaultKind::Duplicate,
    ];
    let mut all = String::new();
    for kind in kinds {
        let plan = plan(point, kind);
        if let Err(error) = plan.check() {
            all += &format!("{error}\n");
            continue;
        }
        let (told, shown) = std::sync::mpsc::channel();
        virtual_time(|bed| async move {
            let a = bed.player("a").redelivering(AtRestart::Carry, 2);
            let a = a.with(|spec| {
                let limits = HangLimits::silence(ms(50)).steps(ms(0), ms(0), ms(50));
                let spec = spec.shutdown(Shutdown::After(ms(300))).hang(limits);
                spec.start_within(ms(250))
            });
            told.send(scene(&bed, a, plan).await)
                .expect("it is waited for");
        });
        all += &format!("-- {kind}\n{}", shown.recv().expect("a scene"));
    }
    all
}

#[test]
fn faults_at_the_start() {
    insta::assert_snapshot!(scenes(Point::Start), @r#"
    -- panic
    0ms root b #1 Permanent: started
    0ms root a #1 Permanent: a fault on purpose: panic at start !
    0ms root a #1 Permanent: start failed: panicked: a fault on purpose !
    0ms root b #1 Permanent: stopped
    child `a` could not be started: panicked: a fault on purpose
    -- error
    0ms root b #1 Permanent: started
    0ms root a #1 Permanent: a fault on purpose: error at start !
    0ms root a #1 Permanent: start failed: a fault on purpose !
    0ms root b #1 Permanent: stopped
    child `a` could not be started: a fault on purpose
    -- hang
    0ms root b #1 Permanent: started
    0ms root a #1 Permanent: a fault on purpose: hang at start !
    250ms root a #1 Permanent: start failed: it was not up within 250ms !
    250ms root b #1 Permanent: stopped
    child `a` could not be started: it was not up within 250ms
    -- slow 200ms
    0ms root a #1 Permanent: a fault on purpose: slow 200ms at start !
    700ms root a #1 Permanent: stopped
    taken: hello, again
    -- kill
    0ms root b #1 Permanent: started
    0ms root a #1 Permanent: a fault on purpose: kill at start !
    0ms root a #1 Permanent: start failed: killed while it started !
    0ms root b #1 Permanent: stopped
    child `a` could not be started: killed while it started
    fault.kind is drop at `start` for `root/a`, but must be at `deliver`
    fault.kind is duplicate at `start` for `root/a`, but must be at `deliver`
    "#);
}

#[test]
fn faults_in_the_handler() {
    insta::assert_snapshot!(scenes(Point::Handle), @r#"
    -- panic
    0ms root a #1 Permanent: a fault on purpose: panic at handle !
    0ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
    0ms root a #1 Permanent: terminated: panicked: a fault on purpose !
    0ms root a #1 Permanent: restarting OneForOne after 0ns
    500ms root a #2 Permanent: stopped
    taken: hello, again
    -- error
    0ms root a #1 Permanent: a fault on purpose: error at handle !
    0ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
    0ms root a #1 Permanent: terminated: failed: a fault on purpose !
    0ms root a #1 Permanent: restarting OneForOne after 0ns
    500ms root a #2 Permanent: stopped
    taken: hello, again
    -- hang
    0ms root a #1 Permanent: a fault on purpose: hang at handle !
    50ms root a #1 Permanent: hangs, no progress for 50ms (limit 50ms): Killed !
    50ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
    50ms root a #1 Permanent: terminated: failed: hung: no progress for 50ms (limit 50ms) !
    50ms root a #1 Permanent: restarting OneForOne after 0ns
    500ms root a #2 Permanent: stopped
    taken: hello, again
    -- slow 200ms
    0ms root a #1 Permanent: a fault on purpose: slow 200ms at handle !
    50ms root a #1 Permanent: hangs, no progress for 50ms (limit 50ms): Killed !
    50ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
    50ms root a #1 Permanent: terminated: failed: hung: no progress for 50ms (limit 50ms) !
    50ms root a #1 Permanent: restarting OneForOne after 0ns
    500ms root a #2 Permanent: stopped
    taken: hello, again
    -- kill
    0ms root a #1 Permanent: a fault on purpose: kill at handle !
    0ms root a #1 Permanent: its message goes to the next incarnation, after 1 crashes of 2 !
    0ms root a #1 Permanent: terminated: killed !
    0ms root a #1 Permanent: restarting OneForOne after 0ns
    500ms root a #2 Permanent: stopped
    taken: hello, again
    fault.kind is drop at `handle` for `root/a`, but must be at `deliver`
    fault.kind is duplicate at `handle` for `root/a`, but must be at `deliver`
    "#);
}

#[test]
fn faults_at_the_stop() {
    insta::assert_snapshot!(scenes(Point::Stop), @r#"
    -- panic
    500ms root a #1 Permanent: a fault on purpose: panic at stop !
    500ms root a #1 Permanent: did not stop cleanly: panicked: a fault on purpose !
    taken: hello, again
    fault.kind is error at `stop` for `root/a`, but must be at `start` or `handle`
    -- hang
    500ms root a #1 Permanent: a fault on purpose: hang at stop !
    800ms root a #1 Permanent: did not stop cleanly: killed !
    taken: hello, again
    -- slow 200ms
    500ms root a #1 Permanent: a fault on purpose: slow 200ms at stop !
    700ms root a #1 Permanent: stopped
    taken: hello, again
    -- kill
    500ms root a #1 Permanent: a fault on purpose: kill at stop !
    500ms root a #1 Permanent: did not stop cleanly: killed !
    taken: hello, again
    fault.kind is drop at `stop` for `root/a`, but must be at `deliver`
    fault.kind is duplicate at `stop` for `root/a`, but must be at `deliver`
    "#);
}

#[test]
fn faults_at_the_delivery() {
    insta::assert_snapshot!(scenes(Point::Deliver), @r#"
    fault.kind is panic at `deliver` for `root/a`, but must be at `start`, `handle` or `stop`
    fault.kind is error at `deliver` for `root/a`, but must be at `start` or `handle`
    fault.kind is hang at `deliver` for `root/a`, but must be at `start`, `handle` or `stop`
    fault.kind is slow 200ms at `deliver` for `root/a`, but must be at `start`, `handle` or `stop`
    fault.kind is kill at `deliver` for `root/a`, but must be at `start`, `handle` or `stop`
    -- drop
    0ms root a #1 Permanent: a fault on purpose: drop at deliver !
    0ms root a #1 Permanent: 1 dead letters: Dropped !
    500ms root a #1 Permanent: stopped
    taken: again
    -- duplicate
    0ms root a #1 Permanent: a fault on purpose: duplicate at deliver !
    500ms root a #1 Permanent: stopped
    taken: hello, hello, again
    "#);
}

#[test]
fn a_blocked_thread_is_a_fault_like_any_other() {
    on_threads(3, |bed| async move {
        let a = bed
            .player("a")
            .with(|spec| spec.hang(HangLimits::silence(ms(30)).steps(ms(0), ms(0), ms(20))));
        let plan = plan(Point::Handle, FaultKind::Block(ms(1_500)));
        let root = bed.root().watchdog(ms(50)).faults(plan);
        let root = root.start(cast(patient(Strategy::OneForOne), &[&a])).await;
        let root = root.expect("it starts");
        a.tell(note("hello"));
        let mut seen = Vec::new();
        let is_over = |one: &Decision| matches!(one, Decision::LostEnded(..));
        while !seen.iter().any(is_over) {
            sleep(ms(5)).await;
            seen.extend(bed.reports().into_iter().map(|report| report.decision));
        }
        let is_named = |one: &Decision| matches!(one, Decision::Blocked { about, .. } if about.incarnation.0 == 1);
        assert!(seen.iter().any(is_named), "{seen:?}");
        root.stop().await;
    });
}

/// Sends so many messages under a fault that only makes slower; those that are struck, by number.
fn struck(seed: u64, when: When) -> Vec<u64> {
    struck_by(seed, 0, when)
}

/// The same, for a fault with a seed of its own.
fn struck_by(seed: u64, own: u64, when: When) -> Vec<u64> {
    let (told, shown) = std::sync::mpsc::channel();
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let fault = Fault::new("root/*", Point::Handle, FaultKind::Slow(ms(1)));
        let fault = fault.when(when).seed(own);
        let root = bed.root().faults(FaultPlan::new(seed).fault(fault));
        let root = root.start(cast(Flags::default(), &[&a])).await;
        let root = root.expect("it starts");
        for n in 1..=20 {
            a.tell(note("hello"));
            sleep(ms(100)).await;
            let is_it =
                |one: &supervision::Report| matches!(one.decision, Decision::Injected { .. });
            if bed.reports().iter().any(is_it) {
                told.send(n).expect("it is waited for");
            }
        }
        root.stop().await;
    });
    shown.iter().collect()
}

#[test]
fn a_fault_strikes_when_it_is_to() {
    let all = When::default();
    assert_eq!(
        struck(
            0,
            When {
                nth: Some(3),
                ..all.clone()
            }
        ),
        [3]
    );
    assert_eq!(
        struck(
            0,
            When {
                every: Some(7),
                ..all.clone()
            }
        ),
        [7, 14]
    );
    assert_eq!(
        struck(
            0,
            When {
                at_most: Some(2),
                ..all.clone()
            }
        ),
        [1, 2]
    );
    let late = When {
        after: ms(1_650),
        ..all.clone()
    };
    assert_eq!(struck(0, late), [18, 19, 20]);
    let apart = When {
        apart: ms(650),
        ..all.clone()
    };
    assert_eq!(struck(0, apart), [1, 8, 15]);
    let never = When {
        chance: 0.0,
        ..all.clone()
    };
    assert_eq!(struck(0, never), [0; 0]);
    let chance = When { chance: 0.3, ..all };
    let first = struck(7, chance.clone());
    assert!((1..20).contains(&first.len()), "{first:?}");
    assert_eq!(struck(7, chance.clone()), first, "the seed decides");
    assert!((0..5).any(|seed| struck(seed, chance.clone()) != first));
}

#[test]
fn lives_are_chosen() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let fault = Fault::new("**/a", Point::Start, FaultKind::Error).incarnations(2..=3);
        let root = bed.root().faults(FaultPlan::new(1).fault(fault));
        let root = root.start(cast(patient(Strategy::OneForOne), &[&a])).await;
        let root = root.expect("the first life is left alone");
        a.fail().await;
        assert_eq!(children(&root).await, "a:running#4");
        root.stop().await;
    });
}

#[test]
fn supervisors_and_workers_are_struck_when_they_start() {
    virtual_time(|bed| async move {
        let under = Start::supervisor(|| Ok(Some(SupervisorSpec::default())));
        let worker = Start::worker(|| async {
            sleep(Duration::from_secs(1)).await;
            Err("enough".into())
        });
        let spec = SupervisorSpec::new(patient(Strategy::OneForOne))
            .child(ChildSpec::supervisor("x", under))
            .child(ChildSpec::new("w", worker));
        let start = Fault::new("root/x", Point::Start, FaultKind::Panic).incarnations(2..=2);
        let every = Fault::new("root/w", Point::Handle, FaultKind::Panic);
        let double = Fault::new("root/w", Point::Deliver, FaultKind::Duplicate);
        let plan = FaultPlan::new(1).fault(start).fault(every).fault(double);
        let root = bed
            .root()
            .faults(plan)
            .start(spec)
            .await
            .expect("it starts");
        root.kill_child("x").await;
        sleep(ms(1_500)).await;
        insta::assert_snapshot!(said(&bed), @r#"
        0ms root x #1 Permanent: started
        0ms root w #1 Permanent: started
        0ms root x #1 Permanent: terminated: killed !
        0ms root x #1 Permanent: restarting OneForOne after 0ns
        0ms root x #2 Permanent: a fault on purpose: panic at start !
        0ms root x #2 Permanent: start failed: panicked: a fault on purpose !
        0ms root x #2 Permanent: restarting OneForOne after 0ns
        0ms root x #3 Permanent: started
        1000ms root w #1 Permanent: terminated: failed: enough !
        1000ms root w #1 Permanent: restarting OneForOne after 0ns
        1000ms root w #2 Permanent: started
        "#);
        root.stop().await;
    });
}

#[test]
fn who_asks_hears_that_the_question_vanished() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let plan = plan(Point::Deliver, FaultKind::Drop);
        let root = bed.root().faults(plan);
        let root = root
            .start(cast(Flags::default(), &[&a]))
            .await
            .expect("it starts");
        assert_eq!(a.handle.ask(Cue::Ask).await, Err(CallError::Lost));
        assert_eq!(a.handle.ask(Cue::Ask).await, Ok(1));
        root.stop().await;
    });
}

#[test]
fn messages_that_cannot_be_copied_are_not_duplicated() {
    virtual_time(|bed| async move {
        let a = bed.player("a");
        let shown = scene(&bed, a, plan(Point::Deliver, FaultKind::Duplicate)).await;
        insta::assert_snapshot!(shown, @r#"
        0ms root b #1 Permanent: started
        0ms root a #1 Permanent: start failed: a fault is to duplicate its messages, which its inbox cannot copy: make it with `inbox_redelivering`, or aim the fault elsewhere !
        0ms root b #1 Permanent: stopped
        child `a` could not be started: a fault is to duplicate its messages, which its inbox cannot copy: make it with `inbox_redelivering`, or aim the fault elsewhere
        "#);
    });
}

#[test]
fn instances_are_counted_apart() {
    virtual_time(|bed| async move {
        let fault = Fault::new("root/run-*", Point::Handle, FaultKind::Error);
        let fault = fault.when(When {
            nth: Some(2),
            ..When::default()
        });
        let player = bed.player("run");
        let all = DynamicSpec::new(patient(Strategy::OneForOne));
        let players = [player.clone(), bed.player("run")];
        let starts = players.clone().map(|player| player.start());
        let all = all.template(template("run"), move |n: usize| starts[n].clone());
        let instances = all
            .start(bed.root().faults(FaultPlan::new(1).fault(fault)))
            .await;
        let instances = instances.expect("it starts");
        for n in 0..2 {
            instances.start_child(n).await.expect("it starts");
        }
        for _ in 0..3 {
            players.iter().for_each(|player| player.tell(note("x")));
            bed.settle().await;
        }
        assert_eq!(
            children(instances.supervisor()).await,
            "run-1:running#2 run-2:running#2"
        );
        instances.supervisor().stop().await;
    });
}

#[test]
fn a_trigger_lets_as_many_strike_as_it_was_pulled() {
    virtual_time(|bed| async move {
        let trigger = Trigger::default();
        let when = When {
            trigger: Some(trigger.clone()),
            ..When::default()
        };
        let fault = Fault::new("root/a", Point::Handle, FaultKind::Error).when(when);
        let (a, plan) = (bed.player("a"), FaultPlan::new(1).fault(fault));
        let spec = cast(patient(Strategy::OneForOne), &[&a]);
        let root = bed.root().faults(plan).start(spec).await;
        let root = root.expect("it starts");
        let mut lives = Vec::new();
        for pulls in [0, 1, 0, 2, 0, 0] {
            (0..pulls).for_each(|_| trigger.pull());
            a.tell(note("x"));
            bed.settle().await;
            lives.push(children(&root).await);
        }
        assert_eq!(
            lives,
            [1, 2, 2, 3, 4, 4].map(|life| format!("a:running#{life}"))
        );
        root.stop().await;
    });
}

#[test]
fn a_fault_has_a_seed_of_its_own() {
    let half = || When {
        chance: 0.5,
        ..When::default()
    };
    assert_eq!(struck_by(1, 2, half()), struck_by(1, 2, half()));
    assert_ne!(struck_by(1, 2, half()), struck_by(1, 3, half()));
    assert_ne!(struck_by(1, 2, half()), struck_by(2, 2, half()));
}
