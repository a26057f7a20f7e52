//! Many threads at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use supervision::breaker::{Config, Failure, Listener, State, Transition};
use supervision::{Backoff, CircuitBreaker};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::plain;

const THREADS: u64 = 4;
const TURNS: u64 = 250;

fn on_threads(work: impl Fn(u64) + Sync) {
    let all_there = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (work, all_there) = (&work, &all_there);
            scope.spawn(move || {
                all_there.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn never_more_probes_than_allowed_on_many_threads() {
    let config = Config {
        probes: 3,
        successes: 1_000_000,
        probe_deadline: Duration::from_secs(3_600),
        ..plain()
    };
    let breaker = CircuitBreaker::new("b", config).expect("a good config");
    breaker.open("to begin with");
    breaker.automatic();
    let (out, most, made) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    on_threads(|thread| {
        let mut held = Vec::new();
        for turn in 0..5_000_u64 {
            if let Ok(permit) = breaker.try_acquire() {
                most.fetch_max(out.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                made.fetch_add(1, Ordering::SeqCst);
                held.push(permit);
            }
            if let Some(permit) = held.pop_if(|_| (turn + thread) % 3 != 0) {
                out.fetch_sub(1, Ordering::SeqCst);
                permit.ignore();
            }
        }
        out.fetch_sub(held.len() as u64, Ordering::SeqCst);
    });
    let seen = breaker.snapshot();
    assert_eq!(most.into_inner(), 3, "all three were out, and no more");
    assert_eq!((seen.state, seen.probes), (State::HalfOpen, 0));
    assert_eq!(seen.totals.admitted, made.into_inner());
    assert_eq!(seen.totals.ignored, seen.totals.admitted);
}

#[test]
fn everything_is_counted_and_told_once_and_in_order_on_many_threads() {
    let opened: u64 = (0..20).map(|_| tell_all()).sum();
    assert!(opened > 200, "it opened only {opened} times");
}

/// So few calls that no transition is lost, however slow the listener; how often the breaker opened.
fn tell_all() -> u64 {
    let told = Arc::<Mutex<Vec<Transition>>>::default();
    let ear = told.clone();
    let listener: Listener = Arc::new(move |transition: &Transition| {
        let mut told = ear.try_lock().expect("one at a time");
        told.push(transition.clone());
    });
    let config = Config {
        backoff: Backoff::new(Duration::from_nanos(1), Duration::from_nanos(1)),
        ..plain()
    };
    let breaker = CircuitBreaker::with_listener("b", config, listener).expect("a good config");
    let refused = AtomicU64::new(0);
    on_threads(|thread| {
        for turn in 0..TURNS {
            match breaker.try_acquire() {
                Err(_) => drop(refused.fetch_add(1, Ordering::SeqCst)),
                Ok(permit) if (turn + thread) % 2 == 0 => permit.failure(Failure::new("boom")),
                Ok(permit) => permit.success(),
            }
        }
    });
    let totals = breaker.snapshot().totals;
    assert_eq!(totals.refused, refused.into_inner());
    assert_eq!(totals.admitted + totals.refused, THREADS * TURNS);
    assert_eq!(totals.successes + totals.failures, totals.admitted);
    let told = told.lock().expect("an ear");
    let opened = told.iter().filter(|one| one.to == State::Open).count() as u64;
    assert_eq!(totals.opened, opened);
    let numbers = told.iter().map(|one| one.number);
    assert!(numbers.eq(1..=told.len() as u64), "in order, without gaps");
    opened
}

#[test]
fn a_waiter_on_another_thread_is_woken() {
    let wait = |breaker: CircuitBreaker| {
        let runtime = Builder::new_current_thread().enable_time().build();
        let woken = async { timeout(Duration::from_secs(60), breaker.until_ready()).await };
        runtime.expect("a runtime").block_on(woken)
    };
    for _ in 0..100 {
        let breaker = CircuitBreaker::new("b", plain()).expect("a good config");
        breaker.open("hold");
        let waits = breaker.clone();
        let waiter = std::thread::spawn(move || wait(waits));
        breaker.close("go");
        assert_eq!(waiter.join().expect("no panic"), Ok(State::Closed));
    }
}
