//! Asking OTP itself.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::comparable;

/// How many judges work at once. They mostly wait.
const JUDGES: usize = 8;

/// The traces of these scenarios by a judge: a program that takes scenario files and prints for each a line with `#` and its name,
/// and the trace. None for those over which it crashed, and those it did not come to any more.
///
/// # Errors
/// Whatever goes wrong with files and processes.
pub fn ask_judge(judge: &Path, scenarios: &[String]) -> io::Result<Vec<Option<Vec<String>>>> {
    let judge = judge.canonicalize()?;
    let folder = std::env::temp_dir().join(format!("scenarios_{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let traces = write(&folder, scenarios).and_then(|files| ask_about(&judge, &folder, &files));
    std::fs::remove_dir_all(&folder)?;
    let mut traces = traces?;
    let names = 0..scenarios.len();
    Ok(names.map(|n| traces.remove(&n.to_string())).collect())
}

fn write(folder: &Path, scenarios: &[String]) -> io::Result<Vec<PathBuf>> {
    let write = |(n, text): (usize, &String)| {
        let file = folder.join(n.to_string());
        std::fs::write(&file, text)?;
        Ok(file)
    };
    scenarios.iter().enumerate().map(write).collect()
}

fn ask_about(
    judge: &Path,
    folder: &Path,
    files: &[PathBuf],
) -> io::Result<HashMap<String, Vec<String>>> {
    // What a judge leaves behind when it crashes goes with the folder.
    let ask = |files: &[PathBuf]| {
        let mut judge = Command::new(judge);
        let judge = judge.args(files).current_dir(folder);
        judge.stdout(Stdio::piped()).spawn()
    };
    let share = files.len().div_ceil(JUDGES).max(1);
    let judges: Vec<_> = files.chunks(share).map(ask).collect::<Result<_, _>>()?;
    let mut traces = HashMap::new();
    for judge in judges {
        let output = judge.wait_with_output()?;
        let mut told = read(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            told.pop();
        }
        traces.extend(told);
    }
    Ok(traces)
}

fn read(output: &str) -> Vec<(String, Vec<String>)> {
    let mut traces: Vec<(String, Vec<String>)> = Vec::new();
    for line in output.lines() {
        match (line.strip_prefix("# "), traces.last_mut()) {
            (Some(name), _) => traces.push((name.to_owned(), Vec::new())),
            (None, Some((_, trace))) => trace.push(line.to_owned()),
            (None, None) => {}
        }
    }
    let comparable = |(name, trace)| (name, comparable(trace));
    traces.into_iter().map(comparable).collect()
}
