//! Asks OTP's own supervisor for its traces of generated scenarios and prints both, in the form the tests read.
//!
//! `cargo run -p impresario-supervision --example otp_record -- JUDGE FIRST_SEED COUNT > supervision/tests/recorded/FILE.txt`
//!
//! JUDGE is a program that takes scenario files and prints, for each, a line `# NAME` and the trace. It is asked twice; what is
//! not the same both times is left out.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use supervision::testing::scenario::{comparable, generate};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [judge, first, count] = &args[..] else {
        eprintln!("usage: otp_record JUDGE FIRST_SEED COUNT");
        return ExitCode::from(2);
    };
    match record(judge, first, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn record(judge: &str, first: &str, count: &str) -> Result<(), Box<dyn Error>> {
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let folder = std::env::temp_dir().join(format!("otp_record_{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut files = Vec::new();
    for seed in first..first + count {
        let file = folder.join(seed.to_string());
        std::fs::write(&file, generate(seed))?;
        files.push(file);
    }
    let (once, again) = (traces(judge, &files)?, traces(judge, &files)?);
    for seed in first..first + count {
        let name = seed.to_string();
        match (once.get(&name), again.get(&name)) {
            (Some(trace), Some(same)) if trace == same => {
                println!("== {seed}\n{}--", generate(seed));
                trace.iter().for_each(|line| println!("{line}"));
            }
            _ => eprintln!("{seed}: the judge was not of one mind"),
        }
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn traces(judge: &str, files: &[PathBuf]) -> Result<HashMap<String, Vec<String>>, Box<dyn Error>> {
    let ask = |files: &[PathBuf]| {
        Command::new(judge)
            .args(files)
            .stdout(Stdio::piped())
            .spawn()
    };
    let judges: Vec<_> = files
        .chunks(files.len().div_ceil(8).max(1))
        .map(ask)
        .collect::<Result<_, _>>()?;
    let mut output = String::new();
    for judge in judges {
        output += &String::from_utf8(judge.wait_with_output()?.stdout)?;
    }
    let mut traces: Vec<(String, Vec<String>)> = Vec::new();
    for line in output.lines() {
        match (line.strip_prefix("# "), traces.last_mut()) {
            (Some(name), _) => traces.push((name.to_owned(), Vec::new())),
            (None, Some((_, trace))) => trace.push(line.to_owned()),
            (None, None) => {}
        }
    }
    let comparable = |(name, trace)| (name, comparable(trace));
    Ok(traces.into_iter().map(comparable).collect())
}
