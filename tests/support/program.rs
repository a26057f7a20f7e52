//! Programs of ours, run to their end. One that falls silent is ended, and that is a failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// The built example of this name. `cargo test` builds them all; `cargo test --test it` does not.
pub(crate) fn example(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_BIN_EXE_impresario")).parent();
    let program: PathBuf = folder.expect("its folder").join("examples").join(name);
    assert!(
        program.exists(),
        "there is no {}: run `cargo build --examples`, or the whole of `cargo test`",
        program.display()
    );
    plain(Command::new(program))
}

/// The program itself.
pub(crate) fn impresario() -> Command {
    plain(Command::new(env!("CARGO_BIN_EXE_impresario")))
}

/// With nothing of this environment that would change what it prints.
fn plain(mut command: Command) -> Command {
    let ours = [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "RUST_BACKTRACE",
        "RUST_LOG",
    ];
    for name in ours {
        command.env_remove(name);
    }
    command
}

/// How a program ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its exit code; none if it was killed.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }
}

/// How long a program may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    Program::start(command).end()
}

/// A program at work. When it is dropped, it is killed, and whatever it has started.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<Line>,
    stdout: String,
    stderr: String,
}

enum Line {
    Out(String),
    Err(String),
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (says, lines) = channel();
        read(
            child.stdout.take().expect("stdout"),
            says.clone(),
            Line::Out,
        );
        read(child.stderr.take().expect("stderr"), says, Line::Err);
        Self {
            child,
            lines,
            stdout: String::new(),
            stderr: String::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has written a line with this in it, to stdout or stderr.
    ///
    /// # Panics
    /// When it ends before that, or says nothing for too long.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.line_with(text);
    }

    /// The same, and the line.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        while let Some(line) = self.next() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("it ended and has never said {text}\n{}", self.said());
    }

    /// The next line it says.
    ///
    /// # Panics
    /// When it ends before that, or says nothing for too long.
    pub(crate) fn line(&mut self) -> String {
        let line = self.next().expect("a line");
        line.trim().to_owned()
    }

    /// Gives it a line to read.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it says nothing for too long.
    pub(crate) fn end(mut self) -> Ran {
        drop(self.child.stdin.take());
        while self.next().is_some() {}
        Ran {
            status: self.child.wait().expect("it has ended"),
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        }
    }

    fn next(&mut self) -> Option<String> {
        let (line, said) = match self.lines.recv_timeout(PATIENCE) {
            Ok(Line::Out(line)) => (line, &mut self.stdout),
            Ok(Line::Err(line)) => (line, &mut self.stderr),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("it hangs: nothing for {PATIENCE:?}\n{}", self.said())
            }
        };
        said.push_str(&line);
        Some(line)
    }

    fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)
    }
}

fn read(from: impl Read + Send + 'static, says: Sender<Line>, of: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            if says.send(of(text)).is_err() {
                return;
            }
            line.clear();
        }
    });
}

impl Drop for Program {
    fn drop(&mut self) {
        // A process that was waited for is gone, and its number may be another's.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
