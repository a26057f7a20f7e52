//! Prints the trace that scenario files leave when the real supervisor goes through them, or, with `--core`, its rules alone.
//!
//! `cargo run -p impresario-supervision --example otp_trace -- [--core] FILE…`
//!
//! The format of files and traces is described in `supervision::testing::scenario`; it is that of a judge which runs the same
//! files through Erlang/OTP's own supervisor, so the two can be compared line by line.

use std::path::Path;
use std::process::ExitCode;

use supervision::testing::scenario::{Scenario, parse, run, run_core};

fn main() -> ExitCode {
    let (flags, files): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|word| word.starts_with("--"));
    if files.is_empty() || flags.iter().any(|flag| flag != "--core") {
        eprintln!("usage: otp_trace [--core] FILE...");
        return ExitCode::from(2);
    }
    for file in &files {
        let scenario = match std::fs::read_to_string(file)
            .map_err(|e| e.to_string())
            .and_then(read)
        {
            Ok(scenario) => scenario,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        };
        println!(
            "# {}",
            Path::new(file).file_name().unwrap_or_default().display()
        );
        let trace = if flags.is_empty() {
            through_actors(&scenario)
        } else {
            run_core(&scenario)
        };
        trace.iter().for_each(|line| println!("{line}"));
    }
    ExitCode::SUCCESS
}

fn read(text: String) -> Result<Scenario, String> {
    parse(&text).map_err(|error| error.to_string())
}

/// Real actors on a clock that jumps ahead when everybody waits.
fn through_actors(scenario: &Scenario) -> Vec<String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(run(scenario))
}
