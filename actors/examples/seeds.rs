//! Plays teams drawn from seeds through whatever goes wrong, each twice, on all processors:
//! `cargo run --release -p impresario-actors --example seeds -- [COUNT] [FIRST]`
//!
//! Says how many seeds an hour that makes and what befell them; the work has failed when a promise was broken, and says in which
//! seed.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::testing::census::Census;
use actors::testing::seeds::examine::examine;
use actors::testing::seeds::plays::each;
use actors::testing::seeds::trial::Trial;

/// How many seeds are played when nobody says how many.
const COUNT: u64 = 1_000;

/// How often it is said how far it is.
const STEP: u64 = 500;

/// How much is shown of what went wrong in one seed.
const SHOWN: usize = 2_000;

fn argument(nth: usize, default: u64) -> Result<u64, String> {
    match std::env::args().nth(nth) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("`{text}` is no number: seeds [COUNT] [FIRST]")),
    }
}

fn begun() -> impl Fn() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the pace is one of real time")]
    let begin = std::time::Instant::now();
    move || begin.elapsed()
}

fn pace(count: u64, time: Duration) -> u64 {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(3_600_000) / ms
}

/// Plays these seeds; those in which a promise was broken.
fn play(first: u64, count: u64) -> Vec<u64> {
    let (census, done, time) = (Census::default(), AtomicU64::new(0), begun());
    let last = first.saturating_add(count);
    if count == 1 {
        println!("{:#?}", Trial::of(first));
    }
    let failed = each(first..last, |seed| {
        let verdict = examine(&Trial::of(seed));
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(STEP) {
            eprintln!("{done} of {count}, {} an hour", pace(done, time()));
        }
        match verdict {
            Ok(befell) => {
                census.add(&befell);
                None
            }
            Err(why) => {
                let why: String = why.chars().take(SHOWN).collect();
                println!("seed {seed} failed: {why}\nplay it again: {AGAIN} 1 {seed}");
                Some(seed)
            }
        }
    });
    println!("{census}");
    let (time, count) = (time(), done.into_inner());
    println!("{count} seeds in {time:.1?}: {} an hour", pace(count, time));
    failed.into_iter().flatten().collect()
}

const AGAIN: &str = "cargo run --release -p impresario-actors --example seeds --";

fn main() -> ExitCode {
    let arguments = argument(1, COUNT).and_then(|count| Ok((count, argument(2, 0)?)));
    let (count, first) = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    // What breaks a promise is told once, with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let failed = play(first, count);
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{} failed: {failed:?}", failed.len());
    ExitCode::FAILURE
}
