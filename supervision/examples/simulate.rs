//! Drives both cores through random schedules, with every invariant checked after every event, and says how many events a second
//! that makes. A seed that fails is printed with its history; given as an argument it is played again, alone:
//!
//! ```text
//! cargo run --release -p impresario-supervision --example simulate -- 4711
//! ```

#[path = "../tests/simulation/cores/mod.rs"]
mod cores;

use std::time::Duration;

use tokio::time::Instant;

/// How long each core is driven.
const TIME: Duration = Duration::from_secs(3);

fn main() {
    let seed = std::env::args().nth(1);
    let seed = seed.map(|seed| seed.parse::<u64>().expect("a seed is a number"));
    for (name, play) in [
        (
            "declared children",
            cores::declared_children as fn(u64) -> usize,
        ),
        ("instances", cores::instances),
    ] {
        match seed {
            Some(seed) => println!("{name}, seed {seed}: {} events", play(seed)),
            None => measure(name, play),
        }
    }
}

fn measure(name: &str, play: fn(u64) -> usize) {
    let begun = Instant::now();
    let (mut seeds, mut events) = (0, 0);
    while begun.elapsed() < TIME {
        for _ in 0..100 {
            events += play(seeds);
            seeds += 1;
        }
    }
    let time = begun.elapsed().as_secs_f64();
    println!(
        "{name}: {seeds} seeds, {events} events, {:.0} events a second",
        events as f64 / time
    );
}
