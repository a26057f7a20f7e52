//! Asking OTP itself.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::comparable;

/// How many judges work at once. They mostly wait.
const JUDGES: usize = 8;

/// The traces of these scenarios by a judge: a program that takes scenario files and prints for each, in their order, a line that
/// begins with `#`, and the trace.
///
/// # Errors
/// Whatever goes wrong with files and processes, or a judge that leaves out a trace.
pub fn ask_judge(judge: &Path, scenarios: &[String]) -> io::Result<Vec<Vec<String>>> {
    let judge = judge.canonicalize()?;
    let folder = std::env::temp_dir().join(format!("scenarios_{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let traces = write(&folder, scenarios).and_then(|files| ask_about(&judge, &folder, &files));
    std::fs::remove_dir_all(&folder)?;
    let traces = traces?;
    if traces.len() != scenarios.len() {
        let (asked, told) = (scenarios.len(), traces.len());
        let error = format!("{asked} scenarios went to the judge and {told} traces came back");
        return Err(io::Error::other(error));
    }
    Ok(traces)
}

fn write(folder: &Path, scenarios: &[String]) -> io::Result<Vec<PathBuf>> {
    let write = |(n, text): (usize, &String)| {
        let file = folder.join(n.to_string());
        std::fs::write(&file, text)?;
        Ok(file)
    };
    scenarios.iter().enumerate().map(write).collect()
}

fn ask_about(judge: &Path, folder: &Path, files: &[PathBuf]) -> io::Result<Vec<Vec<String>>> {
    // What a judge leaves behind when it crashes goes with the folder.
    let ask = |files: &[PathBuf]| {
        let mut judge = Command::new(judge);
        let judge = judge.args(files).current_dir(folder);
        judge.stdout(Stdio::piped()).spawn()
    };
    let share = files.len().div_ceil(JUDGES).max(1);
    let judges: Vec<_> = files.chunks(share).map(ask).collect::<Result<_, _>>()?;
    let mut traces: Vec<Vec<String>> = Vec::new();
    for judge in judges {
        let output = judge.wait_with_output()?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match traces.last_mut() {
                _ if line.starts_with('#') => traces.push(Vec::new()),
                Some(trace) => trace.push(line.to_owned()),
                None => {}
            }
        }
    }
    Ok(traces.into_iter().map(comparable).collect())
}
