//! `impresario run`, the program itself.

mod display;
mod examples;
mod faults;
mod kill;
mod ledger;
mod refusals;
mod signals;
mod waits;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{self, Ran, impresario};

/// A folder with everything of one test in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// `impresario run`, with the data folder of this place.
    fn run(&self, args: &[&str]) -> Command {
        let mut command = impresario();
        command
            .arg("run")
            .args(args)
            .arg("--data-dir")
            .arg(self.data());
        command
    }

    fn go_on(&self, args: &[&str]) -> Command {
        let mut command = self.run(&["--continue"]);
        command.args(args);
        command
    }

    /// A text without what differs from run to run.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(env!("CARGO_BIN_EXE_impresario"), "impresario");
        text.replace(&self.0.path().display().to_string(), "PLACE")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn output(command: &mut Command) -> Ran {
    program::run(command)
}

/// The example of this name, with other settings.
fn example(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/teams")
        .join(name);
    let mut text = fs::read_to_string(path).expect("an example");
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

/// The quickstart without its pauses.
fn quick() -> String {
    example(
        "quickstart.toml",
        &[("latency = \"450ms\"", "latency = \"5ms\"")],
    )
}

/// One agent that calls the shell and says what came of it.
fn sheller(command: &str, more: &str) -> String {
    format!(
        r#"
[task]
name = "shelling"
description = "call the shell"
root_agent = "hand"
[agents.hand]
provider = "stage"
tools = ["shell"]
{more}
[providers.stage]
kind = "scripted"
[providers.stage.scripts]
hand = [ {{ call = "shell", args = {{ command = '''{command}''' }} }}, {{ say = "{{{{last}}}}" }} ]
"#
    )
}

fn events(jsonl: &str) -> Vec<Value> {
    let event = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    jsonl.lines().map(event).collect()
}

/// The program, read line by line.
struct Reading {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    read: Vec<String>,
}

impl Reading {
    fn start(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("stdout");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
            read: Vec::new(),
        }
    }

    /// Reads on to a line that contains `what`.
    fn until(&mut self, what: &str) {
        for line in self.lines.by_ref() {
            let line = line.expect("text");
            let is_it = line.contains(what);
            self.read.push(line);
            if is_it {
                return;
            }
        }
        panic!("it ended before {what:?}: {:#?}", self.read);
    }

    /// Reads so many lines more.
    fn lines(&mut self, count: usize) {
        let more = self.lines.by_ref().take(count);
        self.read.extend(more.map(|line| line.expect("text")));
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Waits for its end; reads what is left.
    fn end(mut self) -> (std::process::ExitStatus, Vec<String>, String) {
        let rest = self.lines.by_ref().map_while(Result::ok);
        self.read.extend(rest);
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr");
        stderr.read_to_string(&mut said).expect("text");
        let status = self.child.wait().expect("it ends");
        (status, self.read, said)
    }
}

/// The files of a folder and what is in them.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let entry = entry.expect("an entry");
            let text = fs::read_to_string(entry.path()).expect("text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}
