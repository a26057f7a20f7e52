//! The requirements that jlouis/fuse holds itself to with QuickCheck, by their numbers. What fuse does by name in a registry is done
//! here by a value: a breaker that was never installed cannot be asked, so R01, R05, R10, R12, R16, R18 and R20 cannot be broken. Where fuse goes from blown
//! to ok, a breaker here is half-open first; whoever wants fuse's reset closes it by hand and leaves it to itself.

use std::time::Duration;

use supervision::breaker::{Config, Failure, Outcome, Slow, State};
use supervision::{CircuitBreaker, SpecError};
use tokio::time::sleep;

use super::{TICK, plain};
use crate::bed::virtual_time;

fn fuse() -> CircuitBreaker {
    CircuitBreaker::new("fuse", plain()).expect("a good config")
}

fn melt(fuse: &CircuitBreaker) {
    fuse.record(Outcome::Failure(Failure::default()));
}

fn blow(fuse: &CircuitBreaker) {
    (0..3).for_each(|_| melt(fuse));
}

/// Runs a call that melts the fuse or not; whether it ran.
async fn run(fuse: &CircuitBreaker, melts: bool) -> bool {
    let said = if melts {
        Outcome::Failure(Failure::default())
    } else {
        Outcome::Success
    };
    fuse.call(async {}, |()| said).await.is_ok()
}

#[test]
fn r02_it_heals_only_when_it_was_blown_and_only_after_its_time() {
    virtual_time(|_| async {
        let fuse = fuse();
        sleep(500 * TICK).await;
        assert_eq!(fuse.snapshot().totals.opened, 0);
        blow(&fuse);
        sleep(99 * TICK).await;
        assert_eq!(fuse.state(), State::Open);
        sleep(TICK).await;
        assert_eq!(fuse.state(), State::HalfOpen);
        assert!(run(&fuse, false).await);
        assert_eq!(fuse.state(), State::Closed);
    });
}

#[test]
fn r03_a_wrong_configuration_is_refused_with_its_field_value_and_expectation() {
    let wrong = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        let error = CircuitBreaker::new("fuse", config).expect_err("wrong");
        assert!(matches!(error, SpecError::Invalid { .. }));
        error.to_string()
    };
    let said = [
        wrong(|c| c.failures = Some(0)),
        wrong(|c| c.failure_rate = Some(0.0)),
        wrong(|c| c.failure_rate = Some(f64::NAN)),
        wrong(|c| {
            c.slow = Some(Slow {
                after: TICK,
                rate: 1.5,
            })
        }),
        wrong(|c| {
            c.slow = Some(Slow {
                after: Duration::ZERO,
                rate: 0.5,
            })
        }),
        wrong(|c| c.within = Duration::ZERO),
        wrong(|c| c.minimum_calls = 0),
        wrong(|c| c.backoff.base = Duration::ZERO),
        wrong(|c| c.backoff.cap = TICK),
        wrong(|c| c.backoff.cap = 10_000_000 * TICK),
        wrong(|c| c.max_retry_after = 864_001 * TICK),
        wrong(|c| c.probes = 0),
        wrong(|c| c.probes = 1_001),
        wrong(|c| c.successes = 0),
        wrong(|c| c.probe_deadline = Duration::ZERO),
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    failures is 0, but must be from 1 to 1000000
    failure_rate is 0.0, but must be more than 0 and at most 1
    failure_rate is NaN, but must be more than 0 and at most 1
    slow.rate is 1.5, but must be more than 0 and at most 1
    slow.after is 0ns, but must be from 1ms to 86400s
    within is 0ns, but must be from 1ms to 86400s
    minimum_calls is 0, but must be from 1 to 1000000
    backoff.base is 0, but must be more than zero
    backoff.cap is 100ms, but must be at least the base, 30s
    backoff.cap is 1000000s, but must be from 0ns to 86400s
    max_retry_after is 86400.1s, but must be from 0ns to 86400s
    probes is 0, but must be from 1 to 1000
    probes is 1001, but must be from 1 to 1000
    successes is 0, but must be from 1 to 1000000
    probe_deadline is 0ns, but must be from 1ms to 86400s
    ");
}

#[test]
fn r04_a_new_one_is_closed() {
    assert_eq!(fuse().state(), State::Closed);
    Config::default().check().expect("the default is good");
}

#[test]
fn r06_a_reset_restores_it_blown_or_not() {
    virtual_time(|_| async {
        for melts in 0..4 {
            let fuse = fuse();
            (0..melts).for_each(|_| melt(&fuse));
            fuse.close("reset");
            fuse.automatic();
            assert_eq!(fuse.snapshot().window.failures, 0);
            (0..2).for_each(|_| melt(&fuse));
            assert_eq!(fuse.state(), State::Closed, "the old failures are gone");
            melt(&fuse);
            let wait = fuse.snapshot().wait;
            assert_eq!(wait, Some(100 * TICK), "and so are the old openings");
        }
    });
}

#[test]
fn r07_r08_r09_a_call_runs_unless_it_is_blown_also_the_one_that_blows_it() {
    virtual_time(|_| async {
        let fuse = fuse();
        assert!(run(&fuse, false).await);
        for _ in 0..3 {
            assert_eq!(fuse.state(), State::Closed);
            assert!(run(&fuse, true).await);
        }
        assert_eq!(fuse.state(), State::Open);
        let never = async { panic!("it must not be polled") };
        let open = fuse.call(never, |()| Outcome::Success).await;
        assert!(open.is_err());
    });
}

#[test]
fn r11_r13_melts_below_the_limit_do_not_blow_it_one_more_does() {
    let fuse = fuse();
    (0..2).for_each(|_| melt(&fuse));
    assert_eq!(fuse.state(), State::Closed);
    melt(&fuse);
    assert_eq!(fuse.state(), State::Open);
}

#[test]
fn r14_melts_leave_the_window_one_by_one() {
    virtual_time(|_| async {
        let fuse = fuse();
        for _ in 0..40 {
            melt(&fuse);
            assert_eq!(fuse.state(), State::Closed);
            sleep(30 * TICK).await;
        }
        melt(&fuse);
        melt(&fuse);
        assert_eq!(fuse.state(), State::Open, "two and the one 30 ticks ago");
    });
}

#[test]
fn r15_asking_tells_the_state_and_changes_none() {
    let fuse = fuse();
    (0..100).for_each(|_| drop(fuse.try_acquire().expect("closed")));
    blow(&fuse);
    assert!((0..100).all(|_| fuse.try_acquire().is_err()));
    assert_eq!(fuse.snapshot().totals.opened, 1);
}

#[test]
fn r17_r21_disabled_it_refuses_whatever_happens_and_however_long() {
    virtual_time(|_| async {
        for melts in [0, 3] {
            let fuse = fuse();
            (0..melts).for_each(|_| melt(&fuse));
            fuse.open("maintenance");
            for _ in 0..10 {
                melt(&fuse);
                sleep(1_000 * TICK).await;
                let open = fuse.try_acquire().expect_err("disabled");
                assert_eq!(open.retry_in, None);
            }
        }
    });
}

#[test]
fn r19_enabled_again_it_forgets_what_happened_meanwhile() {
    virtual_time(|_| async {
        let fuse = fuse();
        fuse.open("maintenance");
        blow(&fuse);
        fuse.automatic();
        assert_eq!(fuse.state(), State::HalfOpen);
        assert!(run(&fuse, false).await);
        (0..2).for_each(|_| melt(&fuse));
        assert_eq!(fuse.state(), State::Closed);
        let before = fuse.snapshot();
        fuse.automatic();
        assert_eq!(fuse.snapshot(), before, "it was left to itself already");
    });
}

#[test]
fn r22_r23_its_times_are_heard_of_without_asking() {
    virtual_time(|_| async {
        let fuse = fuse();
        blow(&fuse);
        let begin = tokio::time::Instant::now();
        assert_eq!(fuse.until_ready().await, State::HalfOpen);
        assert_eq!(begin.elapsed(), 100 * TICK);
    });
}
