//! Asks OTP's own supervisor for its traces of generated scenarios and prints both, in the form the tests read.
//!
//! `cargo run -p impresario-supervision --example otp_record -- JUDGE FIRST_SEED COUNT > supervision/tests/recorded/seeds.txt`
//!
//! JUDGE is a program that takes scenario files and prints, for each, a line `# NAME` and the trace. It is asked twice; what is
//! not the same both times is left out.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use supervision::testing::scenario::{ask_judge, generate};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [judge, first, count] = &args[..] else {
        eprintln!("usage: otp_record JUDGE FIRST_SEED COUNT");
        return ExitCode::from(2);
    };
    match record(Path::new(judge), first, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn record(judge: &Path, first: &str, count: &str) -> Result<(), Box<dyn Error>> {
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let seeds = first..first + count;
    let scenarios: Vec<_> = seeds.clone().map(generate).collect();
    let (once, again) = (ask_judge(judge, &scenarios)?, ask_judge(judge, &scenarios)?);
    for (((seed, scenario), trace), same) in seeds.zip(&scenarios).zip(&once).zip(&again) {
        match trace {
            Some(trace) if Some(trace) == same.as_ref() => {
                println!("== {seed}\n{scenario}--");
                trace.iter().for_each(|line| println!("{line}"));
            }
            _ => eprintln!("{seed}: the judge was not of one mind"),
        }
    }
    Ok(())
}
