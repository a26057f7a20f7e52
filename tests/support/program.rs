//! Programs of ours, run to their end with a limit.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

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
    command.stdin(Stdio::null());
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

/// How long a program may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a program to its end.
///
/// # Panics
/// When it does not come to an end: then it is killed, and what it had written is shown.
pub(crate) fn run(command: &mut Command) -> Ran {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let (mut out, mut err) = (
        child.stdout.take().expect("stdout"),
        child.stderr.take().expect("stderr"),
    );
    let process = rustix::process::Pid::from_child(&child);
    let (ended, watched) = std::sync::mpsc::channel::<()>();
    let watchman = std::thread::spawn(move || {
        let hangs =
            watched.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if hangs {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        hangs
    });
    let reader = std::thread::spawn(move || text(&mut err));
    let stdout = text(&mut out);
    let stderr = reader.join().expect("stderr is read");
    // It is not waited for before the watchman has let go, so its id cannot be another process's by then.
    drop(ended);
    let hangs = watchman.join().expect("the watchman");
    let status = child.wait().expect("it has ended");
    assert!(
        !hangs,
        "{command:?} hangs: killed after {PATIENCE:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
    );
    Ran {
        status,
        stdout,
        stderr,
    }
}

fn text(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("its output");
    String::from_utf8_lossy(&bytes).into_owned()
}
