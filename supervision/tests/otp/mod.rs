//! Every line of the given/when/then list of OTP's semantics, by letter and number.

mod administration;
mod boot;
mod budget;
mod exits;
mod restarting;
mod scale;
mod shutdown;
mod significant;
mod simultaneous;
mod strategies;
mod validation;

use supervision::testing::scenario::{parse, run, run_core};
use tokio::runtime::Builder;

/// Plays a scenario through the real supervisor and through its rules alone. Both leave this trace, whole.
#[track_caller]
fn plays(scenario: &str, trace: &str) {
    let expected: Vec<_> = trace.lines().map(str::trim).collect();
    let expected: Vec<_> = expected.iter().filter(|line| !line.is_empty()).collect();
    let same = |played: Vec<String>, how: &str| {
        let played: Vec<_> = played.iter().map(|line| line.trim_end()).collect();
        assert!(
            played.iter().eq(expected.iter().copied()),
            "{how}: {played:#?}"
        );
    };
    let scenario = parse(scenario).expect("a scenario");
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    same(runtime.block_on(run(&scenario)), "the real supervisor");
    same(run_core(&scenario), "the rules alone");
}
