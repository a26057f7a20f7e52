//! Everything that may be wrong outside: the disk, the data folder, the model, the workspace. Each ends with an exit code that scripts
//! can rely on and a sentence that says what to do, and what was done before is not lost.

mod damage;
mod disk;
mod folder;
mod model;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::Command;

use actors::model::TaskStatus;
use tempfile::TempDir;

use super::record::Record;
use crate::support::program::{Program, Ran, impresario, run};

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
    fn at_work(&self, until: &str) -> Program {
        let mut command = self.command();
        let mut work = Program::start(command.arg("--json"));
        work.wait_for(&format!("\"type\":\"{until}\""));
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

    /// What it told the person, without the stage's own folder.
    fn told(&self, ran: &Ran) -> String {
        self.plain(&ran.stderr)
    }

    fn plain(&self, text: &str) -> String {
        let dir = self.dir.path().display().to_string();
        text.replace(&dir, "DIR").replace("DIR//", "DIR/")
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
