//! Everything that may be wrong outside: the disk, the data folder, the model, the workspace. Each ends with an exit code that scripts
//! can rely on and a sentence that says what to do, and what was done before is not lost.

mod damage;
mod disk;
mod folder;
mod model;
mod workspace;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use actors::model::TaskStatus;
use tempfile::TempDir;

use super::record::Record;
use crate::support::program::{Ran, impresario, run};

/// A team that writes two files, slowly enough to be met in the middle of it.
const NOTES: &str = r#"
[task]
name = "notes"
description = "write two notes"
root_agent = "writer"
available_agents = ["writer"]

[agents.writer]
provider = "stage"
tools = ["write_file"]

[providers.stage]
kind = "scripted"
latency = "100ms"

[providers.stage.scripts]
writer = [
  { say = "One.", call = "write_file", args = { path = "one.txt", content = "1" } },
  { say = "Two.", call = "write_file", args = { path = "two.txt", content = "2" } },
  { say = "Both are written." },
]
"#;

/// A folder with a team file, a data folder and a workspace.
struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new(team: &str) -> Self {
        let dir = TempDir::new().expect("a folder");
        std::fs::write(dir.path().join("team.toml"), team).expect("a file");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// `impresario run` of the team.
    fn command(&self) -> Command {
        let mut command = impresario();
        command.arg("run").arg(self.path("team.toml"));
        command.arg("--data-dir").arg(self.data());
        command.arg("--workspace").arg(self.path("workspace"));
        command
    }

    fn run(&self) -> Ran {
        ran(&mut self.command())
    }

    /// `impresario run --continue` on the data folder alone.
    fn go_on(&self) -> Ran {
        let mut command = impresario();
        command.args(["run", "--continue", "--data-dir"]);
        ran(command.arg(self.data()))
    }

    /// The team at work, up to the first event of this type.
    fn at_work(&self, until: &str) -> AtWork {
        let mut command = self.command();
        command.arg("--json").stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let stdout = child.stdout.take().expect("its output");
        let mut work = AtWork(child, BufReader::new(stdout));
        work.wait_for(until);
        work
    }

    /// Killed at its work.
    fn interrupted() -> Self {
        let stage = Self::new(NOTES);
        drop(stage.at_work("tool_call_completed"));
        stage
    }

    /// Nothing was lost: the notes go on and come to their end.
    fn comes_to_its_end(&self) {
        let ran = self.go_on();
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let record = Record::read(&self.data());
        record.check();
        assert_eq!(record.status, TaskStatus::Completed);
        let note = |name: &str| std::fs::read_to_string(self.path("workspace").join(name)).ok();
        assert_eq!(note("one.txt").as_deref(), Some("1"));
        assert_eq!(note("two.txt").as_deref(), Some("2"));
    }

    /// The messages, with the stage's own folder and all numbers of processes and times left out.
    fn told(&self, ran: &Ran) -> String {
        self.plain(&ran.stderr)
    }

    fn plain(&self, text: &str) -> String {
        let dir = self.dir.path().display().to_string();
        text.replace(&dir, "DIR").replace("DIR//", "DIR/")
    }
}

/// A program at work; killed when dropped.
struct AtWork(Child, BufReader<ChildStdout>);

impl AtWork {
    fn wait_for(&mut self, event: &str) {
        let wanted = format!("\"type\":\"{event}\"");
        let mut line = String::new();
        while !line.contains(&wanted) {
            line.clear();
            let read = self.1.read_line(&mut line).expect("its output");
            assert!(read > 0, "it ended before {event}");
        }
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    /// What it comes to. It has little to say on stderr until then.
    fn end(mut self) -> Ran {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.1.read_to_string(&mut stdout).expect("its output");
        let mut from = self.0.stderr.take().expect("its output");
        from.read_to_string(&mut stderr).expect("its output");
        let status = self.0.wait().expect("its end");
        Ran {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to the end; whatever happens, nothing panics.
fn ran(command: &mut Command) -> Ran {
    let ran = run(command);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

/// Whether a file holds `from`; wherever it did, it holds `to` then. Both are as long.
fn overwrite(path: &Path, from: &[u8], to: &[u8]) -> bool {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(path).expect("a file");
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(from))
        .collect();
    for at in &places {
        bytes[*at..at + to.len()].copy_from_slice(to);
    }
    std::fs::write(path, bytes).expect("a file");
    !places.is_empty()
}
