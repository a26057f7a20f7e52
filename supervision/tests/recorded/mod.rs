//! What OTP's own supervisor did in generated scenarios, and whether we do the same.
//!
//! The recordings are made by `cargo run -p impresario-supervision --example otp_record`.

use supervision::testing::scenario::{Scenario, comparable, generate, parse, run, run_core};

const RECORDINGS: [&str; 1] = [include_str!("seeds.txt")];

struct Recording {
    seed: &'static str,
    text: &'static str,
    trace: Vec<&'static str>,
}

fn recordings() -> impl Iterator<Item = Recording> {
    RECORDINGS
        .into_iter()
        .flat_map(|file| file.split("== ").skip(1))
        .map(|entry| {
            let (seed, rest) = entry.split_once('\n').expect("a seed");
            let (text, trace) = rest.split_once("--\n").expect("a scenario and a trace");
            Recording {
                seed,
                text,
                trace: trace.lines().collect(),
            }
        })
}

/// Plays all recordings and fails with the first that went differently, in full.
fn compare(play: impl Fn(&Scenario) -> Vec<String>) {
    let mut different = Vec::new();
    for recording in recordings() {
        let scenario = parse(recording.text).expect("a scenario");
        let trace = comparable(play(&scenario));
        if trace != recording.trace {
            different.push((recording, trace));
        }
    }
    if let Some((recording, trace)) = different.first() {
        panic!(
            "{} scenarios differ, the first is seed {}:\n{}\nOTP:\n{}\n\nhere:\n{}",
            different.len(),
            recording.seed,
            recording.text,
            recording.trace.join("\n"),
            trace.join("\n")
        );
    }
}

#[test]
fn the_rules_alone_do_what_otp_does() {
    compare(run_core);
}

#[test]
fn the_real_supervisor_does_what_otp_does() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    compare(|scenario| runtime.block_on(run(scenario)));
}

#[test]
fn a_seed_is_always_the_same_scenario() {
    for recording in recordings() {
        let seed = recording.seed.parse().expect("a number");
        assert_eq!(generate(seed), recording.text, "seed {seed}");
    }
}
