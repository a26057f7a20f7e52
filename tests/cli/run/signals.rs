//! SIGINT and SIGTERM while a command of an agent runs: how the program ends, and that nothing of the command outlives it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::process::Signal;

use super::{Place, Reading, output, sheller, text};

/// A task whose command tells through a pipe that it runs, and holds the pipe open for as long as anything of it lives.
struct Busy {
    place: Place,
    workspace: PathBuf,
    team: PathBuf,
}

impl Busy {
    fn new(command: &str) -> Self {
        let place = Place::new();
        let workspace = place.path("workspace");
        std::fs::create_dir(&workspace).expect("a folder");
        rustix::fs::mkfifoat(CWD, workspace.join("pipe"), Mode::from_raw_mode(0o666))
            .expect("a pipe");
        let command = format!("exec 9>pipe; echo up >&9; {command}");
        let team = place.file("team.toml", &sheller(&command, ""));
        Self {
            place,
            workspace,
            team,
        }
    }

    /// Starts it, and waits until the command runs.
    fn start(&self) -> (Reading, BufReader<File>) {
        let args = [text(&self.team), "--workspace", text(&self.workspace)];
        let reading = Reading::start(&mut self.place.run(&args));
        let mut pipe = BufReader::new(open(&self.workspace.join("pipe")));
        let mut up = String::new();
        pipe.read_line(&mut up).expect("text");
        assert_eq!(up, "up\n");
        (reading, pipe)
    }
}

/// Blocks until somebody writes.
fn open(pipe: &Path) -> File {
    File::open(pipe).expect("a pipe")
}

/// Returns when the last process that holds the pipe has ended.
fn gone(mut pipe: BufReader<File>) {
    let mut rest = String::new();
    pipe.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
}

/// Children in sessions of their own, in the background, and one that ignores what it can.
const FAMILY: &str = "setsid sleep 600 & (trap '' TERM INT HUP; sleep 600) & sleep 600";

#[test]
fn the_first_interrupt_cancels_the_task() {
    let busy = Busy::new(FAMILY);
    let (reading, pipe) = busy.start();
    reading.signal(Signal::INT);
    let (status, lines, said) = reading.end();
    gone(pipe);
    assert_eq!(status.code(), Some(130), "{lines:#?}");
    assert_eq!(
        said,
        "cancelling the task; Ctrl-C again ends the program at once\n"
    );
    let shown = lines.join("\n");
    for line in [
        "hand        shell failed: cancelled; nothing of it runs any more",
        "stops “shelling”: interrupted",
        "the task was cancelled",
        "\ncancelled: interrupted\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    // It is over: there is nothing to go on with.
    let again = output(&mut busy.place.go_on(&[]));
    assert_eq!(
        (again.code(), again.stderr.as_str()),
        (Some(130), "this task has ended; nothing is left to do\n")
    );
}

#[test]
fn the_second_interrupt_ends_the_program_at_once() {
    // Cancelling waits for what ignores the wish to end.
    let busy = Busy::new("trap '' TERM INT HUP; sleep 600; sleep 600");
    let (mut reading, pipe) = busy.start();
    reading.signal(Signal::INT);
    let stderr = reading.child.stderr.take().expect("stderr");
    let mut said = BufReader::new(stderr);
    let mut line = String::new();
    said.read_line(&mut line).expect("text");
    assert!(line.starts_with("cancelling"), "{line}");
    reading.signal(Signal::INT);
    let status = reading.child.wait().expect("it ends");
    gone(pipe);
    assert_eq!(status.code(), Some(130));
}

#[test]
fn sigterm_stops_and_the_task_can_be_gone_on_with() {
    let busy = Busy::new(FAMILY);
    let (reading, pipe) = busy.start();
    reading.signal(Signal::TERM);
    let (status, lines, said) = reading.end();
    gone(pipe);
    assert_eq!(status.code(), Some(130), "{lines:#?}");
    let said = busy.place.plain(&said);
    assert_eq!(
        said,
        "stopping; go on with impresario run --continue --data-dir PLACE/data\n"
    );
    let ran = output(&mut busy.place.go_on(&["--json"]));
    assert_eq!(
        (ran.code(), ran.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ran.stdout
    );
    assert_eq!(
        ran.stdout.matches("\"tool_call_started\"").count(),
        1,
        "the command ran once: {}",
        ran.stdout
    );
}

#[test]
fn a_kill_leaves_no_process_and_the_task_goes_on() {
    let busy = Busy::new(FAMILY);
    let (reading, pipe) = busy.start();
    reading.signal(Signal::KILL);
    gone(pipe);
    drop(reading.end());
    let ran = output(&mut busy.place.go_on(&[]));
    assert_eq!(
        (ran.code(), ran.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("shell is in doubt: the executor stopped while shell ran"),
        "{}",
        ran.stdout
    );
}
