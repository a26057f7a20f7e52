//! What people read.

use std::fmt::Write as _;
use std::time::Duration;

use supervision::breaker::{Failure, Outcome, State};

use super::{TICK, call, core, failed, plain, trip};

#[test]
fn a_refusal_says_why_since_when_and_how_long() {
    let mut text = String::new();
    let mut core = core(plain());
    trip(&mut core, TICK);
    let mut refused = |core: &mut supervision::breaker::Core, at: Duration| {
        let open = core.acquire(at).expect_err("refused");
        let _ = writeln!(text, "{open}");
    };
    refused(&mut core, 31 * TICK + Duration::from_nanos(1));
    let probe = core.acquire(101 * TICK).expect("a probe");
    refused(&mut core, 103 * TICK);
    refused(&mut core, 200 * TICK);
    core.settle(200 * TICK, probe, Outcome::Success);
    core.open(200 * TICK, "the vendor moves house");
    refused(&mut core, 900 * TICK);
    core.close(900 * TICK, "done");
    core.automatic(900 * TICK);
    core.inject_faults(1.0).expect("a part");
    refused(&mut core, 901 * TICK);
    insta::assert_snapshot!(text, @"
    circuit breaker `b` has been open for 3.001s: 3 failures, the last: boom; it tries again in 7s
    circuit breaker `b` has been half-open for 200ms and waits for its probes: try again when they are back
    circuit breaker `b` has been open for 4.9s: a probe did not come back in time; it tries again in 16s
    circuit breaker `b` has been held open by hand for 70s: the vendor moves house; it stays so until somebody closes it or leaves it to itself
    circuit breaker `b` refused the call: an injected fault
    ");
}

#[test]
fn a_snapshot_is_a_few_words() {
    let mut text = String::new();
    let mut core = core(plain());
    let mut look = |core: &mut supervision::breaker::Core, at: u32| {
        let _ = writeln!(text, "{}", core.snapshot(at * TICK));
    };
    call(&mut core, TICK, Outcome::Success);
    call(&mut core, TICK, failed());
    look(&mut core, 10);
    trip(&mut core, 62 * TICK);
    look(&mut core, 72);
    let probe = core.acquire(200 * TICK).expect("a probe");
    look(&mut core, 201);
    core.settle(201 * TICK, probe, Outcome::Success);
    core.close(300 * TICK, "we know");
    look(&mut core, 301);
    core.open(302 * TICK, "enough");
    look(&mut core, 303);
    insta::assert_snapshot!(text, @"
    closed for 1s, 1 of 2 calls failed
    open for 1s (3 failures), tries again in 9s
    half-open for 3.9s, probes: 1 out, 0 succeeded
    closed for 100ms, by hand: we know
    open for 100ms, by hand: enough
    ");
}

#[test]
fn a_reason_of_any_length_and_script_is_cut() {
    let mut core = core(plain());
    let long = "ß".repeat(5_000);
    core.record(TICK, Outcome::Failure(Failure::new(&long)));
    let raw = Failure {
        reason: Some(long.clone().into()),
        ..Failure::default()
    };
    let cut = |core: &mut supervision::breaker::Core| {
        core.snapshot(TICK).last.expect("a reason").chars().count()
    };
    assert_eq!(cut(&mut core), 200);
    core.record(TICK, Outcome::Failure(raw));
    assert_eq!(cut(&mut core), 200);
    core.open(TICK, &long);
    let manual = core.snapshot(TICK).manual.expect("a reason");
    assert_eq!((manual.chars().count(), core.state()), (200, State::Open));
}
