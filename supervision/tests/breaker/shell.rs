//! The guard, the subscription and the listener, on a virtual clock.

use std::sync::{Arc, Mutex, OnceLock};

use supervision::CircuitBreaker;
use supervision::breaker::{Cause, Failure, Listener, Outcome, State, Transition};
use tokio::time::{Instant, sleep, timeout};

use super::{TICK, plain};
use crate::bed::virtual_time;

fn breaker() -> CircuitBreaker {
    CircuitBreaker::new("b", plain()).expect("a good config")
}

fn trip(breaker: &CircuitBreaker) {
    for _ in 0..3 {
        let permit = breaker.try_acquire().expect("closed");
        permit.failure(Failure::new("boom"));
    }
}

/// A breaker, and everything its listener heard.
fn heard() -> (CircuitBreaker, Arc<Mutex<Vec<Transition>>>) {
    let heard = Arc::<Mutex<Vec<Transition>>>::default();
    let ear = heard.clone();
    let listener: Listener = Arc::new(move |transition: &Transition| {
        ear.lock().expect("an ear").push(transition.clone());
    });
    let breaker = CircuitBreaker::with_listener("b", plain(), listener);
    (breaker.expect("a good config"), heard)
}

#[test]
fn a_guard_gives_its_place_back_however_it_ends() {
    virtual_time(|_| async {
        let breaker = breaker();
        trip(&breaker);
        sleep(100 * TICK).await;
        let permit = breaker.try_acquire().expect("a probe");
        assert!(breaker.try_acquire().is_err());
        drop(permit);
        breaker.try_acquire().expect("free again").ignore();
        let cancelled = breaker.call(std::future::pending::<()>(), |()| Outcome::Success);
        assert!(timeout(TICK, cancelled).await.is_err());
        assert_eq!(breaker.snapshot().probes, 0);
        breaker.try_acquire().expect("free again").success();
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.snapshot().totals.abandoned, 2);
    });
}

#[test]
fn a_call_hands_its_output_on_and_lets_the_caller_judge() {
    virtual_time(|_| async {
        let breaker = breaker();
        let judge = |answer: &Result<u8, &str>| match answer {
            Ok(_) => Outcome::Success,
            Err("bad request") => Outcome::Ignore,
            Err(reason) => Outcome::Failure(Failure::new(reason)),
        };
        for answer in [Ok(7), Err("bad request"), Err("overloaded")] {
            let output = breaker.call(async move { answer }, judge).await;
            assert_eq!(output.expect("closed"), answer);
        }
        let totals = breaker.snapshot().totals;
        let (good, bad, none) = (totals.successes, totals.failures, totals.ignored);
        assert_eq!((good, bad, none), (1, 1, 1));
        assert_eq!(breaker.snapshot().last.as_deref(), Some("overloaded"));
    });
}

#[test]
fn who_parks_behind_it_is_woken_at_the_moment_and_not_before() {
    virtual_time(|_| async {
        let breaker = breaker();
        assert_eq!(breaker.until_ready().await, State::Closed);
        trip(&breaker);
        let begin = Instant::now();
        let parked = std::array::from_fn::<_, 5, _>(|_| breaker.until_ready());
        let woken = futures_util::future::join_all(parked).await;
        assert_eq!(woken, [State::HalfOpen; 5]);
        assert_eq!(begin.elapsed(), 100 * TICK);

        breaker.open("maintenance");
        let long = timeout(10_000 * TICK, breaker.until_ready());
        assert!(long.await.is_err(), "held by hand");
        let (state, ()) = tokio::join!(breaker.until_ready(), async {
            sleep(TICK).await;
            breaker.close("done");
        });
        assert_eq!(state, State::Closed);
    });
}

#[test]
fn a_subscriber_hears_every_lasting_state_also_of_a_probe_that_hangs() {
    virtual_time(|_| async {
        let breaker = breaker();
        let mut follows = breaker.subscribe();
        let follower = async {
            let begin = Instant::now();
            let mut seen = Vec::new();
            for _ in 0..4 {
                let state = follows.changed().await;
                let tick = begin.elapsed().as_millis() / TICK.as_millis();
                seen.push(format!("{tick} {state}"));
            }
            seen.join(", ")
        };
        let (seen, probe) = tokio::join!(follower, async {
            sleep(10 * TICK).await;
            trip(&breaker);
            // The follower waits for a half-open breaker in which nothing is due when the probe sets out.
            sleep(120 * TICK).await;
            breaker.try_acquire().expect("a probe")
        });
        assert_eq!(seen, "10 open, 110 half-open, 180 open, 380 half-open");
        drop(probe);
        let nothing = timeout(100_000 * TICK, follows.changed());
        assert!(nothing.await.is_err(), "nothing has happened since");
    });
}

#[test]
fn a_subscription_that_is_cancelled_misses_nothing() {
    virtual_time(|_| async {
        let breaker = breaker();
        let mut follows = breaker.subscribe();
        assert!(timeout(TICK, follows.changed()).await.is_err());
        trip(&breaker);
        let seen = timeout(TICK, follows.changed()).await;
        assert_eq!(seen, Ok(State::Open));
        sleep(100 * TICK).await;
        assert_eq!(follows.state(), State::HalfOpen);
        assert!(timeout(TICK, follows.changed()).await.is_err());
    });
}

#[test]
fn the_listener_hears_each_transition_once() {
    virtual_time(|_| async {
        let (breaker, heard) = heard();
        trip(&breaker);
        sleep(500 * TICK).await;
        breaker.try_acquire().expect("a probe").success();
        breaker.open("maintenance");
        breaker.automatic();
        let told = heard.lock().expect("an ear");
        let told: Vec<_> = told
            .iter()
            .map(|one| format!("{} {:?} {one}", one.number, one.at))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        1 0ns closed → open: 3 failures, the last: boom, for 10s
        2 10s open → half-open: its wait is over
        3 50s half-open → closed: a probe succeeded
        4 50s closed → open: by hand: maintenance
        5 50s open → half-open: no longer held by hand
        ");
    });
}

#[test]
fn a_listener_may_use_the_breaker_and_may_panic() {
    let own = Arc::<OnceLock<CircuitBreaker>>::default();
    let states = Arc::<Mutex<Vec<State>>>::default();
    let (inside, ear) = (own.clone(), states.clone());
    let listener: Listener = Arc::new(move |transition: &Transition| {
        ear.lock().expect("an ear").push(transition.to);
        let breaker = inside.get().expect("the breaker");
        assert!(breaker.name() == "b", "the lock is free");
        if matches!(transition.cause, Cause::Failures(_)) {
            breaker.close("not on my watch");
            panic!("oh no");
        }
    });
    let breaker = CircuitBreaker::with_listener("b", plain(), listener).expect("a good config");
    own.set(breaker.clone()).expect("once");
    trip(&breaker);
    assert_eq!(breaker.state(), State::Closed);
    breaker.open("later");
    let states = states.lock().expect("an ear").clone();
    assert_eq!(states, [State::Open, State::Closed, State::Open]);
}

#[test]
fn it_works_without_a_runtime_and_goes_anywhere() {
    fn anywhere<T: Send + Sync + 'static>(thing: T) -> T {
        thing
    }
    let breaker = anywhere(breaker());
    let permit = anywhere(breaker.try_acquire().expect("closed"));
    permit.success();
    let _ = anywhere(breaker.subscribe());
    trip(&breaker);
    let open = anywhere(breaker.try_acquire().expect_err("open"));
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(open);
    assert!(error.to_string().contains("3 failures"));
    assert_eq!(format!("{breaker:?}"), "CircuitBreaker(b)");
}
