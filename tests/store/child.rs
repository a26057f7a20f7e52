//! This test binary once more, as a process that can be killed: an ignored test that is told where to work.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

const PLACE: &str = "IMPRESARIO_TEST_PLACE";
const SAID: &str = "child: ";

/// A running child; killed when dropped.
pub(super) struct Child {
    process: std::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts the test called `name` on `place`.
    pub(super) fn start(name: &str, place: &Path) -> Self {
        Self::spawn(Command::new(program()), name, place)
    }

    /// Starts it as the command that `wrapper` runs.
    pub(super) fn start_in(mut wrapper: Command, name: &str, place: &Path) -> Self {
        wrapper.arg(program());
        Self::spawn(wrapper, name, place)
    }

    fn spawn(mut command: Command, name: &str, place: &Path) -> Self {
        let mut process = command
            .args([
                "--exact",
                name,
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PLACE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let stdout = process.stdout.take().expect("its output");
        let lines = BufReader::new(stdout).lines();
        Self { process, lines }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next thing it says; nothing once it has ended.
    pub(super) fn next_line(&mut self) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(SAID).map(str::to_owned))
    }

    /// SIGKILL; when it returns, the process is gone.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it is gone");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this program has a path")
}

/// A command that runs another one with a small disk of its own in `folder`, mounted with `options`; nothing, and a word about it,
/// where that is not allowed.
pub(super) fn with_disk(folder: &Path, options: &str) -> Option<Command> {
    const MOUNT: &str = "mount -t tmpfs -o \"$1\" tmpfs \"$0\" && shift && exec \"$@\"";
    let command = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT]);
        unshare.arg(folder).arg(options);
        unshare
    };
    let tried = command().arg("true").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        eprintln!("skipped: this machine does not let a test mount a disk of its own");
        return None;
    }
    Some(command())
}

/// In the child: where to work. Nothing when somebody runs the ignored tests by hand.
pub(super) fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).map(PathBuf::from)
}

/// In the child: says something to the parent.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // Below the line that libtest has begun.
    writeln!(out, "\n{SAID}{text}").expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// In the child: until the parent is gone.
pub(super) fn wait_for_the_end() {
    let _ = std::io::stdin().lock().lines().count();
}
