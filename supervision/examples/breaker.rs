//! A client that calls a flaky server through a circuit breaker.
//!
//! `cargo run -p impresario-supervision --example breaker`
//!
//! The server is down for a while, and asks for time once. Without the breaker each of the 120 calls would reach it; with it, few do
//! while it is down. Time is virtual: a minute is over at once.

use std::sync::Arc;
use std::time::Duration;

use supervision::breaker::{Config, Failure, Outcome, Slow, Transition};
use supervision::{Backoff, CircuitBreaker};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// What the server says.
enum Answer {
    Ok,
    /// The caller's own fault: nothing against the server.
    BadRequest,
    Overloaded {
        retry_after: Option<Duration>,
    },
}

/// Down from the tenth second to the thirtieth.
async fn server(up: Duration, nth: u32) -> Answer {
    sleep(SECOND / 50).await;
    match up.as_secs() {
        10..30 => Answer::Overloaded {
            retry_after: (up < 11 * SECOND).then_some(8 * SECOND),
        },
        _ if nth.is_multiple_of(7) => Answer::BadRequest,
        _ => Answer::Ok,
    }
}

/// Only the caller knows what counts as a failure.
fn judge(answer: &Answer) -> Outcome {
    match answer {
        Answer::Ok => Outcome::Success,
        Answer::BadRequest => Outcome::Ignore,
        Answer::Overloaded { retry_after } => Outcome::Failure(Failure {
            retry_after: *retry_after,
            ..Failure::new("overloaded")
        }),
    }
}

fn config() -> Config {
    Config {
        failures: Some(3),
        within: 10 * SECOND,
        slow: Some(Slow {
            after: 5 * SECOND,
            rate: 0.8,
        }),
        backoff: Backoff::new(3 * SECOND, 30 * SECOND),
        seed: 7,
        ..Config::default()
    }
}

async fn play() -> Result<(), Box<dyn std::error::Error>> {
    let listener = |change: &Transition| println!("{:>6.1}s  {change}", change.at.as_secs_f64());
    let breaker = CircuitBreaker::with_listener("server", config(), Arc::new(listener))?;
    let (begin, mut last) = (Instant::now(), None);
    for nth in 0..120 {
        let up = begin.elapsed();
        if let Err(open) = breaker.call(server(up, nth), judge).await
            && last.replace(open.state) != Some(open.state)
        {
            println!("{:>6.1}s  {open}", up.as_secs_f64());
        }
        sleep(SECOND / 2).await;
    }
    let totals = breaker.snapshot().totals;
    println!("at the end: {}; {totals:?}", breaker.snapshot());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build()?;
    runtime.block_on(play())
}
