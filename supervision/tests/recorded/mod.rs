//! What OTP's own supervisor did in generated scenarios, and whether we do the same.
//!
//! The recordings are made by `cargo run -p impresario-supervision --example otp_record`.

use supervision::testing::scenario::{
    Scenario, ask_judge, comparable, generate, parse, run, run_core,
};

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
    compare(in_virtual_time);
}

fn in_virtual_time(scenario: &Scenario) -> Vec<String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(run(scenario))
}

#[test]
fn a_seed_is_always_the_same_scenario() {
    for recording in recordings() {
        let seed = recording.seed.parse().expect("a number");
        assert_eq!(generate(seed), recording.text, "seed {seed}");
    }
}

/// `IMPRESARIO_TEST_OTP` names the judge, a program that runs scenario files through Erlang's supervisor;
/// `IMPRESARIO_TEST_SCENARIOS` says how many to make up for it, `IMPRESARIO_TEST_SEED` from which seed on.
#[test]
fn fresh_scenarios_go_as_in_otp() {
    let Ok(judge) = std::env::var("IMPRESARIO_TEST_OTP") else {
        eprintln!("skipped: IMPRESARIO_TEST_OTP names no judge to ask");
        return;
    };
    let number = |name: &str, default| {
        let given = std::env::var(name);
        given.map_or(default, |given| given.parse().expect("a number"))
    };
    let count = number("IMPRESARIO_TEST_SCENARIOS", 32);
    let first = number("IMPRESARIO_TEST_SEED", 1_000_000);
    let scenarios: Vec<_> = (first..first + count).map(generate).collect();
    let traces = ask_judge(judge.as_ref(), &scenarios).expect("the judge answers");
    let judged = (first..).zip(&scenarios).zip(traces);
    let judged: Vec<_> = judged
        .filter_map(|(asked, trace)| Some((asked, trace?)))
        .collect();
    for ((seed, text), trace) in &judged {
        let scenario = parse(text).expect("a scenario");
        let ruled = comparable(run_core(&scenario));
        assert_eq!(ruled, *trace, "the rules, seed {seed}:\n{text}");
        let played = comparable(in_virtual_time(&scenario));
        assert_eq!(played, *trace, "the real supervisor, seed {seed}:\n{text}");
    }
    eprintln!("{} of {count} scenarios were judged", judged.len());
    assert!(judged.len() as u64 * 10 >= count * 9, "too few");
}
