//! The circuit breaker: its rules against a slow, obvious model of them, and its shell on a virtual clock and on real threads.

mod contention;
mod fuse;
mod model;
mod play;
mod properties;
mod rules;
mod shell;
mod words;

use std::time::Duration;

use supervision::breaker::{Config, Core, Failure, Outcome};
use supervision::{Backoff, Jitter};

/// The unit of time of all plays; with a window of sixty of them a bucket is one.
const TICK: Duration = Duration::from_millis(100);

/// Opens at the third failure within six seconds, for ten, twenty, then forty seconds.
fn plain() -> Config {
    Config {
        failures: Some(3),
        failure_rate: None,
        within: 60 * TICK,
        backoff: Backoff::new(100 * TICK, 400 * TICK).jitter(Jitter::None),
        probe_deadline: 50 * TICK,
        ..Config::default()
    }
}

fn core(config: Config) -> Core {
    Core::new("b", config).expect("a good config")
}

fn failed() -> Outcome {
    Outcome::Failure(Failure::new("boom"))
}

/// One call from beginning to end.
fn call(core: &mut Core, at: Duration, outcome: Outcome) {
    let ticket = core.acquire(at).expect("it is let through");
    core.settle(at, ticket, outcome);
}

/// Opens it with as many failures as it takes.
fn trip(core: &mut Core, at: Duration) {
    for _ in 0..3 {
        call(core, at, failed());
    }
}
