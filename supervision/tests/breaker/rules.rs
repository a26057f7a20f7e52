//! Each rule once, by example, on the rules alone.

use std::time::Duration;

use supervision::breaker::{Abandoned, Cause, Config, Core, Failure, Outcome, Slow, State};
use supervision::{Backoff, Jitter};

use super::{TICK, call, core, failed, plain, trip};

fn asks(wait: Duration) -> Outcome {
    Outcome::Failure(Failure::new("overloaded").retry_after(wait))
}

fn wait(core: &mut Core, at: Duration) -> Option<Duration> {
    core.snapshot(at).wait
}

#[test]
fn a_rate_says_nothing_before_there_are_enough_calls() {
    let config = Config {
        failures: None,
        failure_rate: Some(0.5),
        minimum_calls: 4,
        ..plain()
    };
    let mut core = core(config);
    (0..3).for_each(|_| call(&mut core, TICK, failed()));
    assert_eq!(core.state(), State::Closed);
    call(&mut core, TICK, Outcome::Success);
    let cause = core.snapshot(TICK).cause;
    assert_eq!(
        (core.state(), cause),
        (
            State::Open,
            Cause::FailureRate {
                failures: 3,
                calls: 4
            }
        )
    );
}

#[test]
fn calls_that_succeed_slowly_open_it() {
    let slow = Some(Slow {
        after: 5 * TICK,
        rate: 0.5,
    });
    let config = Config {
        slow,
        minimum_calls: 2,
        ..plain()
    };
    let mut core = core(config);
    let calls = [core.acquire(TICK), core.acquire(TICK)];
    for (took, ticket) in [5, 6].into_iter().zip(calls.into_iter().flatten()) {
        core.settle((1 + took) * TICK, ticket, Outcome::Success);
    }
    let cause = core.snapshot(7 * TICK).cause;
    assert_eq!(cause, Cause::SlowRate { slow: 1, calls: 2 });
}

#[test]
fn a_slow_probe_is_no_sign_of_health() {
    let slow = Some(Slow {
        after: 5 * TICK,
        rate: 1.0,
    });
    let mut core = core(Config { slow, ..plain() });
    trip(&mut core, TICK);
    let probe = core.acquire(101 * TICK).expect("a probe");
    core.settle(107 * TICK, probe, Outcome::Success);
    assert_eq!(core.snapshot(107 * TICK).cause, Cause::ProbeSlow);
}

#[test]
fn waits_double_up_to_the_cap_and_shrink_only_after_a_stable_time() {
    let mut core = core(plain());
    let (mut at, mut waits) = (TICK, Vec::new());
    trip(&mut core, at);
    for _ in 0..3 {
        let open = wait(&mut core, at).expect("open");
        waits.push(open);
        at += open;
        call(&mut core, at, failed());
    }
    assert_eq!(waits, [100 * TICK, 200 * TICK, 400 * TICK]);
    at += wait(&mut core, at).expect("open");
    call(&mut core, at, Outcome::Success);
    trip(&mut core, at + 399 * TICK);
    let flapping = wait(&mut core, at + 399 * TICK);
    assert_eq!(flapping, Some(400 * TICK), "it was well for too short");
    at += 799 * TICK;
    call(&mut core, at, Outcome::Success);
    trip(&mut core, at + 400 * TICK);
    assert_eq!(wait(&mut core, at + 400 * TICK), Some(100 * TICK));
}

#[test]
fn with_full_jitter_the_seed_decides_the_waits() {
    let backoff = Backoff::new(100 * TICK, 400 * TICK);
    let waits = |seed| {
        let backoff = backoff.clone();
        let mut core = core(Config {
            backoff,
            seed,
            ..plain()
        });
        trip(&mut core, TICK);
        wait(&mut core, TICK).expect("open")
    };
    let of_seeds: Vec<_> = (0..50).map(waits).collect();
    assert_eq!(of_seeds, (0..50).map(waits).collect::<Vec<_>>());
    assert!(of_seeds.iter().all(|wait| *wait <= 100 * TICK));
    assert!(of_seeds.iter().any(|wait| *wait < 30 * TICK));
    assert!(of_seeds.iter().any(|wait| *wait > 70 * TICK));
}

#[test]
fn a_server_that_asks_for_time_gets_it_up_to_a_limit() {
    let of = |wish: u32, max: u32| {
        let max_retry_after = max * TICK;
        let mut core = core(Config {
            max_retry_after,
            ..plain()
        });
        call(&mut core, TICK, asks(wish * TICK));
        call(&mut core, 11 * TICK, failed());
        call(&mut core, 21 * TICK, failed());
        wait(&mut core, 21 * TICK).map(|wait| wait.as_millis() / 100)
    };
    assert_eq!(of(500, 1000), Some(480), "counted from when it asked");
    assert_eq!(of(500, 300), Some(280), "cut to the maximum");
    assert_eq!(of(50, 1000), Some(100), "its own wait is longer");
}

#[test]
fn a_failed_probe_may_ask_for_time_too() {
    let mut core = core(plain());
    trip(&mut core, TICK);
    call(&mut core, 101 * TICK, asks(5_000 * TICK));
    assert_eq!(wait(&mut core, 101 * TICK), Some(5_000 * TICK));
    core.advance(5_101 * TICK);
    assert_eq!(core.state(), State::HalfOpen);
    call(&mut core, 5_101 * TICK, failed());
    let after = wait(&mut core, 5_101 * TICK);
    assert_eq!(after, Some(400 * TICK), "a wish is granted once");
}

#[test]
fn exactly_the_declared_probes_and_successes() {
    let mut core = core(Config {
        probes: 2,
        successes: 3,
        ..plain()
    });
    trip(&mut core, TICK);
    let at = 101 * TICK;
    let (one, two) = (core.acquire(at), core.acquire(at));
    let refused = core.acquire(at).expect_err("two are out");
    assert_eq!((refused.state, refused.retry_in), (State::HalfOpen, None));
    for ticket in [one, two, core.acquire(at)].into_iter().flatten() {
        core.settle(at, ticket, Outcome::Success);
    }
    assert_eq!(core.snapshot(at).successes, 2);
    call(&mut core, at, Outcome::Success);
    assert_eq!(core.state(), State::Closed);
    assert_eq!(core.snapshot(at).cause, Cause::Probes(3));
}

#[test]
fn a_probe_that_never_comes_back_does_not_keep_it_half_open() {
    let mut core = core(plain());
    trip(&mut core, TICK);
    let probe = core.acquire(101 * TICK).expect("a probe");
    assert_eq!(core.due(), Some(151 * TICK));
    core.advance(151 * TICK - Duration::from_nanos(1));
    assert_eq!(core.state(), State::HalfOpen);
    let seen = core.snapshot(160 * TICK);
    assert_eq!((seen.cause, seen.held), (Cause::ProbeOverdue, 9 * TICK));
    core.settle(160 * TICK, probe, Outcome::Success);
    let seen = core.snapshot(160 * TICK);
    assert_eq!((seen.state, seen.totals.stale), (State::Open, 1));
}

#[test]
fn a_late_outcome_of_an_earlier_state_is_only_counted() {
    let mut core = core(plain());
    let late: Vec<_> = (0..4).flat_map(|_| core.acquire(TICK)).collect();
    trip(&mut core, TICK);
    core.advance(101 * TICK);
    let mut said = [failed(), Outcome::Success, asks(9_000 * TICK), failed()].into_iter();
    for ticket in late {
        core.settle(101 * TICK, ticket, said.next().expect("four"));
    }
    let seen = core.snapshot(101 * TICK);
    assert_eq!((seen.state, seen.successes), (State::HalfOpen, 0));
    assert_eq!((seen.totals.stale, seen.totals.failures), (4, 6));
}

#[test]
fn a_permit_without_a_word_counts_as_declared() {
    for (abandoned, state) in [
        (Abandoned::Ignored, State::HalfOpen),
        (Abandoned::Failed, State::Open),
    ] {
        let mut core = core(Config {
            abandoned,
            ..plain()
        });
        trip(&mut core, TICK);
        let probe = core.acquire(101 * TICK).expect("a probe");
        core.abandon(101 * TICK, probe);
        assert_eq!(core.state(), state);
        assert_eq!(core.snapshot(101 * TICK).totals.abandoned, 1);
    }
}

#[test]
fn injected_faults_refuse_their_part_and_change_no_state() {
    let refused = |seed| {
        let mut core = core(Config { seed, ..plain() });
        core.inject_faults(0.25).expect("a part");
        let refused = (0..1_000).filter(|_| match core.acquire(TICK) {
            Ok(ticket) => {
                core.settle(TICK, ticket, Outcome::Success);
                false
            }
            Err(open) => open.cause == Cause::Injected,
        });
        let refused = refused.count();
        assert_eq!(core.state(), State::Closed);
        core.inject_faults(0.0).expect("none");
        assert!((0..100).all(|_| core.acquire(TICK).is_ok()));
        refused
    };
    assert!((200..300).contains(&refused(1)), "{}", refused(1));
    assert_eq!(refused(1), refused(1));
    assert_ne!(refused(1), refused(2));
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert!(core(plain()).inject_faults(wrong).is_err());
    }
}

#[test]
fn injected_faults_leave_the_waits_as_they_are() {
    let wait_with = |part| {
        let backoff = Backoff::new(100 * TICK, 400 * TICK);
        let mut core = core(Config { backoff, ..plain() });
        core.inject_faults(part).expect("a part");
        (0..100).for_each(|_| drop(core.acquire(TICK)));
        (0..3).for_each(|_| core.record(TICK, failed()));
        wait(&mut core, TICK).expect("open")
    };
    assert_eq!(wait_with(0.5), wait_with(0.0));
}

#[test]
fn a_million_calls_take_no_more_memory_than_ten() {
    let mut core = core(Config {
        failures: Some(1_000_000),
        ..plain()
    });
    for nth in 0..1_000_000_u32 {
        let outcome = if nth % 4 == 0 {
            failed()
        } else {
            Outcome::Success
        };
        call(&mut core, nth * Duration::from_micros(1), outcome);
    }
    let window = core.snapshot(Duration::from_secs(1)).window;
    assert_eq!((window.calls, window.failures), (1_000_000, 250_000));
    let later = core.snapshot(Duration::from_secs(7)).window;
    assert_eq!(later.calls, 0);
}

#[test]
fn unheard_transitions_are_bounded_and_their_numbers_show_it() {
    let mut core = core(plain());
    (0..3_000).for_each(|_| core.open(TICK, "again"));
    let heard: Vec<_> = std::iter::from_fn(|| core.next_transition()).collect();
    let numbers = (heard[0].number, heard.len());
    assert_eq!(
        numbers,
        (3_000 - 1_024 + 1, supervision::breaker::TRANSITIONS_KEPT)
    );
}

#[test]
fn the_longest_times_there_are_do_no_harm() {
    for jitter in [Jitter::None, Jitter::Full] {
        let day = Duration::from_secs(24 * 60 * 60);
        let mut core = core(Config {
            backoff: Backoff::new(day, day)
                .reset_after(Duration::MAX)
                .jitter(jitter),
            within: day,
            max_retry_after: day,
            probe_deadline: day,
            ..plain()
        });
        let late = Duration::MAX - TICK;
        trip(&mut core, late);
        assert_eq!(core.state(), State::Open);
        core.advance(Duration::MAX);
        let _ = core.acquire(Duration::MAX);
        let _ = core.snapshot(Duration::MAX).to_string();
    }
}
