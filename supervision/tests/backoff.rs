//! Waits before restarts: how long, how they are forgotten, and what they do to the restart intensity.

use std::time::Duration;

use proptest::prelude::*;
use supervision::report::{Decision, Report};
use supervision::restart::{ChildKey, Core, Effect, Event, Incarnation, SupervisorCore};
use supervision::{
    Backoff, DynamicSpec, Exit, Flags, Jitter, Strategy, SupervisorHandle, template,
};
use tokio::time::Instant;

use crate::bed::{Bed, Play, Player, children, ms, patient, timed, virtual_time};

const SECOND: Duration = Duration::from_secs(1);

fn fixed(base: u64, cap: u64) -> Backoff {
    Backoff::new(ms(base), ms(cap)).jitter(Jitter::None)
}

fn with(player: Player, backoff: &Backoff) -> Player {
    let backoff = backoff.clone();
    player.with(move |spec| spec.backoff(backoff.clone()))
}

/// The waits that were decided on since the last look.
fn waits(bed: &Bed) -> Vec<u128> {
    let reports = bed.reports();
    let wait = |decision: &Decision| match decision {
        Decision::Restarting { after, .. } => Some(after.as_millis()),
        _ => None,
    };
    reports
        .iter()
        .filter_map(|one| wait(&one.decision))
        .collect()
}

/// Waits until somebody is up again.
async fn back(bed: &Bed) {
    while bed.alive().is_empty() {
        bed.settle().await;
    }
}

#[test]
fn without_jitter_waits_double_up_to_the_cap() {
    virtual_time(|bed| async move {
        let a = with(bed.player("a"), &fixed(100, 1_000));
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        for _ in 0..6 {
            a.fail().await;
            back(&bed).await;
        }
        let said = [100, 200, 400, 800, 1_000, 1_000];
        let reports = bed.reports();
        let is_restart = |one: &&Report| matches!(one.decision, Decision::Restarting { .. });
        let decided = reports.iter().filter(is_restart);
        let is_start = |one: &&Report| matches!(one.decision, Decision::Started(_));
        let started = reports.iter().filter(is_start).skip(1);
        let took = decided
            .zip(started)
            .map(|(decided, started)| started.at - decided.at);
        assert!(took.map(|took| took.as_millis()).eq(said));
        root.stop().await;
    });
}

#[test]
fn failed_starts_wait_longer_and_longer_too() {
    virtual_time(|bed| async move {
        let a = with(bed.player("a"), &fixed(100, 400));
        let plays = [Play::Ok, Play::Fail, Play::Fail, Play::Fail, Play::Ok];
        let a = a.starts(plays);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        a.fail().await;
        back(&bed).await;
        assert_eq!(waits(&bed), [100, 200, 400, 400]);
        assert_eq!(children(&root).await, "a:running#5");
        root.stop().await;
    });
}

#[test]
fn a_child_that_was_up_for_long_enough_begins_anew() {
    virtual_time(|bed| async move {
        let backoff = fixed(100, 10_000).reset_after(ms(700));
        let a = with(bed.player("a"), &backoff);
        let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
        for up in [0, 0, 600, 700, 0] {
            tokio::time::sleep(ms(up)).await;
            a.fail().await;
            back(&bed).await;
        }
        assert_eq!(waits(&bed), [100, 200, 400, 100, 200]);
        root.stop().await;
    });
}

#[test]
fn being_stopped_for_a_sibling_is_no_failure() {
    virtual_time(|bed| async move {
        let a = with(bed.player("a"), &fixed(100, 10_000));
        let b = with(bed.player("b"), &fixed(7, 7));
        let root = bed.start(patient(Strategy::OneForAll), &[&a, &b]).await;
        for player in [&a, &b, &b, &a] {
            player.fail().await;
            tokio::time::sleep(SECOND).await;
        }
        assert_eq!(waits(&bed), [100, 7, 7, 200]);
        root.stop().await;
    });
}

/// The waits of a child that fails again and again at once.
fn schedule(backoff: Backoff, seed: u64, failures: u64) -> Vec<Duration> {
    let mut plan = template("a");
    plan.backoff = Some(backoff);
    let mut flags = patient(Strategy::OneForOne);
    flags.seed = seed;
    let mut core = SupervisorCore::new(flags, vec![(plan, ())]).expect("a valid set");
    let (key, mut now) = (ChildKey(0), Duration::ZERO);
    core.apply(now, Event::Boot);
    let mut waits = Vec::new();
    for n in 1..=failures {
        core.apply(now, Event::Started(key, Incarnation(n)));
        let effects = core.apply(now, Event::Exited(key, Incarnation(n), Exit::Killed));
        let armed = effects.iter().find_map(|effect| match effect {
            Effect::Arm(timer, after) => Some((*timer, *after)),
            _ => None,
        });
        if let Some((timer, after)) = armed {
            now += after;
            core.apply(now, Event::Timer(timer));
        }
        waits.push(armed.map_or(Duration::ZERO, |(_, after)| after));
    }
    waits
}

proptest! {
    #[test]
    fn with_jitter_waits_stay_below_those_without(base in 1..5_000_u64, more in 0..100_000_u64, seed: u64) {
        let backoff = Backoff::new(ms(base), ms(base + more)).reset_after(Duration::MAX);
        let whole = schedule(backoff.clone().jitter(Jitter::None), seed, 12);
        let spread = schedule(backoff.clone(), seed, 12);
        prop_assert!(whole.is_sorted());
        prop_assert!(whole.iter().all(|wait| *wait >= ms(base) && *wait <= ms(base + more)));
        prop_assert!(spread.iter().zip(&whole).all(|(wait, whole)| wait <= whole));
        prop_assert_eq!(&spread, &schedule(backoff.clone(), seed, 12));
        prop_assert_ne!(&spread, &schedule(backoff, seed.wrapping_add(1), 12));
    }
}

#[test]
fn the_longest_waits_there_are_do_no_harm() {
    for jitter in [Jitter::None, Jitter::Full] {
        let backoff = Backoff::new(SECOND, Duration::MAX).jitter(jitter);
        let waits = schedule(backoff.reset_after(Duration::MAX), 3, 60);
        assert_eq!(waits.len(), 60);
    }
    virtual_time(|bed| async move {
        let endless = Backoff::new(Duration::MAX, Duration::MAX).jitter(Jitter::None);
        let a = with(bed.player("a"), &endless);
        let root = bed
            .start(Flags::default().intensity(1, Duration::MAX), &[&a])
            .await;
        a.fail().await;
        assert_eq!(children(&root).await, "a:restarting#1");
        root.stop().await;
    });
}

/// Three restarts within five seconds are forgiven, and each is preceded by a wait of three.
fn tight() -> Flags {
    Flags::default().intensity(3, 5 * SECOND)
}

/// Fails whenever it is up; returns how often until the supervisor gave up.
async fn crash_loop(bed: &Bed, player: &Player, supervisor: &SupervisorHandle) -> u32 {
    let begin = Instant::now();
    let mut failures = 0;
    while supervisor.exit().is_none() {
        assert!(begin.elapsed() < 3600 * SECOND, "it never gives up");
        if !bed.alive().is_empty() && player.handle.depth() == 0 {
            failures += 1;
            player.fail().await;
        }
        tokio::time::sleep(ms(100)).await;
    }
    failures
}

#[test]
fn s10_waits_longer_than_the_period_do_not_hide_a_crash_loop() {
    virtual_time(|bed| async move {
        for strategy in [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ] {
            let a = with(bed.player("a"), &fixed(3_000, 3_000));
            let flags = Flags {
                strategy,
                ..tight()
            };
            let root = bed.start(flags, &[&a]).await;
            assert_eq!(crash_loop(&bed, &a, &root).await, 4, "{strategy:?}");
        }
        let mut plan = template("t");
        plan.backoff = Some(fixed(3_000, 3_000));
        let spec = DynamicSpec::new(tight()).template(plan, |player: Player| player.start());
        let pool = spec.start(bed.root()).await.expect("it starts");
        let a = bed.player("a");
        pool.start_child(a.clone()).await.expect("it starts");
        assert_eq!(crash_loop(&bed, &a, pool.supervisor()).await, 4);
    });
}

#[test]
fn s10_starts_that_always_fail_are_given_up_too() {
    virtual_time(|bed| async move {
        let a = with(bed.player("a"), &fixed(3_000, 3_000));
        let a = a.starts([Play::Ok, Play::Fail]);
        let root = bed.start(tight(), &[&a]).await;
        a.fail().await;
        let (took, _) = timed(root.wait()).await;
        assert_eq!(took, 9 * SECOND - ms(1));
        let failed = bed
            .trace()
            .into_iter()
            .filter(|line| line == "start failed a");
        assert_eq!(failed.count(), 3);
    });
}

#[test]
fn the_waits_of_one_child_do_not_keep_the_failures_of_another() {
    virtual_time(|bed| async move {
        let (a, b) = (
            with(bed.player("a"), &fixed(3_600_000, 3_600_000)),
            bed.player("b"),
        );
        let root = bed.start(tight(), &[&a, &b]).await;
        b.fail().await;
        a.fail().await;
        tokio::time::sleep(3 * SECOND).await;
        for _ in 0..100 {
            b.fail().await;
            tokio::time::sleep(3 * SECOND).await;
        }
        assert_eq!(children(&root).await, "a:restarting#1 b:running#102");
        root.stop().await;
    });
}

#[test]
fn s3_a_child_terminated_while_it_waits_never_comes_back() {
    virtual_time(|bed| async move {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let a = with(bed.player("a"), &fixed(20, 20));
            let flags = patient(Strategy::OneForOne);
            let root = bed.start(flags, &[&a]).await;
            a.fail().await;
            // Before the wait is over, after it, and in the very moment.
            tokio::time::sleep(Duration::from_micros(random.u64(17_000..21_000))).await;
            root.terminate_child("a").await.expect("it is known");
            assert!(bed.alive().is_empty(), "seed {seed}");
            bed.trace();
            tokio::time::sleep(SECOND).await;
            assert_eq!(bed.trace(), Vec::<String>::new(), "seed {seed}");
            root.stop().await;
        }
    });
}

#[test]
fn a_supervisor_that_is_stopped_does_not_sit_out_waits() {
    virtual_time(|bed| async move {
        let a = with(bed.player("a"), &fixed(3_600_000, 3_600_000));
        let root = bed.start(Flags::default(), &[&a]).await;
        a.fail().await;
        let (took, exit) = timed(root.stop()).await;
        assert_eq!((took, exit), (Duration::ZERO, Exit::SHUTDOWN));
        tokio::time::sleep(7_200 * SECOND).await;
        bed.expect("start a\nstop a failed: boom\nstopped a");
    });
}

#[test]
fn a_group_waits_together() {
    virtual_time(|bed| async move {
        let b = with(bed.player("b"), &fixed(1_000, 1_000));
        let players = [&bed.player("a"), &b, &bed.player("c")];
        let root = bed.start(patient(Strategy::OneForAll), &players).await;
        b.fail().await;
        bed.trace();
        assert_eq!(
            children(&root).await,
            "a:stopped#1 b:restarting#1 c:stopped#1"
        );
        tokio::time::sleep(SECOND).await;
        bed.expect("start a\nstart b\nstart c");
        root.stop().await;
    });
}
