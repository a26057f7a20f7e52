//! What is seen of a task: on a terminal, in a pipe, as JSON, and when nobody looks.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{Place, Reading, events, example, output, quick, sheller, text};
use crate::support::terminal::Terminal;

// ---- on a terminal

/// The program on a terminal.
struct OnTerminal {
    child: Child,
    pty: File,
    terminal: Terminal,
    raw: Vec<u8>,
}

impl OnTerminal {
    fn start(command: &mut Command, columns: usize, rows: usize) -> Self {
        let (pty, terminal_side) = pty();
        let mut this = Self {
            child: command
                .env("TERM", "xterm-256color")
                .stdout(Stdio::from(terminal_side.try_clone().expect("a copy")))
                .stderr(Stdio::from(terminal_side))
                .spawn()
                .expect("the program starts"),
            pty: pty.into(),
            terminal: Terminal::new(columns, rows),
            raw: Vec::new(),
        };
        // The command holds copies of the terminal's side, which would keep it open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        this.resize(columns, rows);
        this
    }

    fn resize(&mut self, columns: usize, rows: usize) {
        let size = Winsize {
            ws_col: u16::try_from(columns).expect("columns"),
            ws_row: u16::try_from(rows).expect("rows"),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.pty, size).expect("a size");
        self.terminal.resize(columns, rows);
    }

    /// Reads some of what is written; whether there was anything before its end.
    fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        // The other side's end is an error of this one.
        let Ok(length @ 1..) = self.pty.read(&mut piece) else {
            return false;
        };
        self.terminal.feed(&piece[..length]);
        self.raw.extend_from_slice(&piece[..length]);
        true
    }

    /// Reads on until `what` is on the screen.
    fn until(&mut self, what: &str) {
        while !self.terminal.screen().iter().any(|row| row.contains(what)) {
            assert!(
                self.read(),
                "it ended before {what:?}:\n{}",
                self.terminal.all()
            );
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    fn end(mut self) -> (Option<i32>, Terminal, Vec<u8>) {
        while self.read() {}
        let status = self.child.wait().expect("it ends");
        assert!(
            self.terminal.is_in_order(),
            "the terminal is left in disorder"
        );
        (status.code(), self.terminal, self.raw)
    }
}

fn pty() -> (OwnedFd, File) {
    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&pty).expect("granted");
    unlockpt(&pty).expect("unlocked");
    let name = ptsname(&pty, Vec::new()).expect("a name");
    let path = std::path::Path::new(name.to_str().expect("UTF-8"));
    let terminal_side = File::options().read(true).write(true).open(path);
    (pty, terminal_side.expect("its other side"))
}

/// Slow enough to be drawn while it works.
fn watchable() -> String {
    example(
        "quickstart.toml",
        &[("latency = \"450ms\"", "latency = \"60ms\"")],
    )
}

/// What only a drawing has.
const DRAWN: [&str; 4] = ["Ctrl-C", "restarts used", "├ ○", "⠋"];

#[test]
fn on_a_terminal_the_lines_stay_and_the_drawing_goes() {
    let place = Place::new();
    let team = place.file("team.toml", &watchable());
    let mut on = OnTerminal::start(&mut place.run(&[text(&team)]), 110, 24);
    on.until("Ctrl-C cancels");
    on.until("restarts used");
    let (code, terminal, _) = on.end();
    let all = terminal.all();
    assert_eq!(code, Some(0), "{all}");
    for drawn in DRAWN {
        assert!(!all.contains(drawn), "{drawn:?} is left over:\n{all}");
    }
    let lines: Vec<_> = all.lines().collect();
    assert!(
        lines[0].ends_with("task “roman numerals”, team studio (rest_for_one), scripted"),
        "{all}"
    );
    let (told, summary) = all.split_once("the task is done\n").expect("an end");
    assert!(
        told.lines().skip(1).all(|line| line.starts_with("   0:0")),
        "{told}"
    );
    assert!(summary.starts_with("\nroman.sh is done: "), "{summary}");
    let labels = summary
        .lines()
        .filter_map(|line| line.get(..10)?.split_once(' '));
    let labels: Vec<_> = labels.map(|(label, _)| label).collect();
    let expected = ["files", "work", "restarts", "time", "models", "again"];
    assert_eq!(
        labels[labels.len() - expected.len()..],
        expected,
        "{summary}"
    );
}

#[test]
fn other_sizes_meanwhile_leave_nothing_garbled() {
    let place = Place::new();
    let team = place.file("team.toml", &watchable());
    let mut on = OnTerminal::start(&mut place.run(&[text(&team)]), 110, 40);
    on.until("Ctrl-C cancels");
    for (columns, rows, sign) in [
        (50, 12, "live"),
        (12, 3, "run"),
        (140, 30, "Ctrl-C cancels"),
        (90, 50, "Ctrl-C cancels"),
    ] {
        on.resize(columns, rows);
        on.until(sign);
    }
    let (code, terminal, _) = on.end();
    let screen = terminal.screen().join("\n");
    assert_eq!(code, Some(0), "{screen}");
    for drawn in DRAWN {
        assert!(!screen.contains(drawn), "{drawn:?} is left over:\n{screen}");
    }
    assert!(
        screen.contains("the task is done\n\nroman.sh is done:"),
        "{screen}"
    );
}

#[test]
fn ctrl_c_leaves_the_terminal_in_order() {
    let place = Place::new();
    let team = place.file("team.toml", &watchable());
    let mut on = OnTerminal::start(&mut place.run(&[text(&team)]), 100, 30);
    on.until("“design” for cto");
    on.signal(Signal::INT);
    let (code, terminal, _) = on.end();
    let all = terminal.all();
    assert_eq!(code, Some(130), "{all}");
    assert!(
        all.contains("cancelling the task; Ctrl-C again ends the program at once"),
        "{all}"
    );
    assert!(all.contains("\n\ncancelled: interrupted\n\n"), "{all}");
    assert!(!all.contains("restarts used"), "{all}");
}

#[test]
fn a_kill_leaves_the_terminal_in_order_and_going_on_is_short() {
    let place = Place::new();
    let team = place.file("team.toml", &watchable());
    let mut on = OnTerminal::start(&mut place.run(&[text(&team)]), 100, 30);
    on.until("“tests” for cto");
    on.signal(Signal::KILL);
    let (code, terminal, _) = on.end();
    assert_eq!((code, terminal.cursor().1), (None, 0));
    let (code, terminal, _) = OnTerminal::start(&mut place.go_on(&[]), 120, 30).end();
    let all = terminal.all();
    assert_eq!(code, Some(0), "{all}");
    let first = all.lines().next().expect("a line");
    assert!(
        first.contains("goes on after event ") && first.contains("3 to go on (cto, "),
        "{first}"
    );
    assert!(
        !all.contains("is given “design”"),
        "the history is told again:\n{all}"
    );
}

#[test]
fn without_colours_it_is_drawn_without_colours() {
    let place = Place::new();
    let team = place.file("team.toml", &watchable());
    let (code, _, raw) =
        OnTerminal::start(place.run(&[text(&team)]).env("NO_COLOR", "1"), 80, 24).end();
    let raw = String::from_utf8(raw).expect("UTF-8");
    let sgr = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a regex");
    assert!(
        code == Some(0) && raw.contains("\u{1b}[K") && !sgr.is_match(&raw),
        "{raw:?}"
    );
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_gets_lines() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let (pty, terminal_side) = pty();
    let mut command = place.run(&[text(&team)]);
    let mut child = command
        .env("TERM", "dumb")
        .stdout(Stdio::from(terminal_side))
        .spawn()
        .expect("it starts");
    command.stdout(Stdio::null());
    let mut lines = BufReader::new(File::from(pty)).lines();
    let mut read = Vec::new();
    read.extend(lines.by_ref().map_while(Result::ok));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(
        read[0].starts_with("00:00.000  ") && read.iter().all(|line| !line.contains('\u{1b}')),
        "{read:#?}"
    );
}

// ---- elsewhere

#[test]
fn a_pipe_gets_a_line_for_each_thing() {
    let place = Place::new();
    let team = place.file("team.toml", &sheller("echo one; echo two; exit 3", ""));
    let ran = output(&mut place.run(&[text(&team)]));
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""));
    let times = regex::Regex::new(r"(?m)^00:\d\d\.\d{3}").expect("a regex");
    let took = regex::Regex::new(r"[0-9.]+ s\n").expect("a regex");
    let shown = times.replace_all(&ran.stdout, "00:00.000");
    insta::assert_snapshot!(place.plain(&took.replace(&shown, "N s\n")), @r#"
    00:00.000              task “shelling”, scripted
    00:00.000  hand        is given “shelling”
    00:00.000  hand        shell echo one; echo two; exit 3
    00:00.000  hand        shell ended: exit code 3 … two
    00:00.000  hand        is done with “shelling”: exit code 3
    00:00.000              the task is done

    exit code 3
    one
    two

    hand  “shelling”  2 turns, 533 tokens

    files     PLACE/data/workspace
    work      1 run, 2 turns, 533 tokens
    restarts  none
    time      N s
    models    scripted; no model was asked for these replies, and their tokens are estimates
    again     impresario run --continue --data-dir PLACE/data shows this once more
    "#);
}

#[test]
fn json_is_events_and_nothing_else() {
    let place = Place::new();
    let team = place.file("team.toml", &sheller("true", ""));
    let ran = output(&mut place.run(&[text(&team), "--json"]));
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""));
    let shown = events(&ran.stdout);
    let kinds: Vec<_> = shown
        .iter()
        .map(|event| event["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(
        kinds.first().zip(kinds.last()),
        Some((&"task_created", &"task_completed"))
    );
    let again = output(&mut place.go_on(&["--json"]));
    assert_eq!(
        (again.code(), events(&again.stdout)),
        (Some(0), shown),
        "a task that has ended is shown again"
    );
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    for json in [&[][..], &["--json"]] {
        let _ = std::fs::remove_dir_all(place.data());
        let mut reading = Reading::start(place.run(&[text(&team)]).args(json));
        reading.lines(3);
        let Reading {
            mut child, lines, ..
        } = reading;
        drop(lines);
        let mut said = String::new();
        child
            .stderr
            .take()
            .expect("stderr")
            .read_to_string(&mut said)
            .expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
        assert_eq!(
            said,
            "nobody reads the output any more; the task goes on without being shown\n"
        );
        assert!(place.data().join("workspace/roman.sh").exists());
        assert_eq!(
            output(&mut place.go_on(&[])).code(),
            Some(0),
            "it came to its end"
        );
    }
}

#[test]
fn an_output_that_cannot_be_written_changes_nothing() {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("a full device");
    let child = place
        .run(&[text(&team)])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn();
    let ran = child.and_then(Child::wait_with_output).expect("it ends");
    let said = String::from_utf8(ran.stderr).expect("text");
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(
        said.starts_with("the output cannot be written: ")
            && said.ends_with("; the task goes on without being shown\n"),
        "{said}"
    );
}

// ---- a human is needed

/// Kills it in a command whose outcome only a human may judge.
fn in_doubt() -> Place {
    let place = Place::new();
    let team = place.file(
        "team.toml",
        &sheller("echo posted >> letters; cat pipe", "in_doubt = \"ask\""),
    );
    let workspace = place.data().join("workspace");
    std::fs::create_dir_all(&workspace).expect("a folder");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        workspace.join("pipe"),
        rustix::fs::Mode::from_raw_mode(0o666),
    )
    .expect("a pipe");
    let reading = Reading::start(&mut place.run(&[text(&team)]));
    // Opened for writing when the command reads: it runs.
    let pipe = File::options()
        .write(true)
        .open(workspace.join("pipe"))
        .expect("a pipe");
    reading.signal(Signal::KILL);
    reading.end();
    drop(pipe);
    // Only the next life finds out that nobody knows.
    assert_eq!(output(&mut place.go_on(&["--json"])).code(), Some(1));
    place
}

#[test]
fn a_question_ends_the_program_with_the_command_that_answers_it() {
    let place = in_doubt();
    let took = regex::Regex::new(r"time .*\n").expect("a regex");
    let ran = output(&mut place.go_on(&[]));
    let (_, summary) = ran.stdout.split_once("to go on (hand)\n").expect("an end");
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(1), ""));
    insta::assert_snapshot!(place.plain(took.replace(summary, "").trim()), @r#"
    needs a human: did shell {"command":"echo posted >> letters; cat pipe"} (step 0.0) take effect? the executor stopped while shell ran: whether it took effect is unknown, and it is not run again; look at what is there before going on

    hand  “shelling”  1 turn, 263 tokens  not ended

    answer    impresario run --continue --data-dir PLACE/data --answer TEXT
              TEXT is what the agent is told as the call's result; `retry` makes the call again
    files     PLACE/data/workspace
    work      1 run, 1 turn, 263 tokens
    restarts  a run was taken up again once, 1 call in doubt
    models    scripted; no model was asked for these replies, and their tokens are estimates
    "#);
    // To go on is no answer to it.
    let ran = output(&mut place.go_on(&["--json"]));
    assert_eq!(ran.code(), Some(1));
    insta::assert_snapshot!(place.plain(&ran.stderr), @r#"
    needs a human: did shell {"command":"echo posted >> letters; cat pipe"} (step 0.0) take effect? the executor stopped while shell ran: whether it took effect is unknown, and it is not run again; look at what is there before going on
    answer: impresario run --continue --data-dir PLACE/data --answer TEXT
    "#);
    let ran = output(&mut place.go_on(&["--answer", "it was posted"]));
    assert_eq!(
        (ran.code(), ran.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\nit was posted\n"), "{}", ran.stdout);
    let letters = std::fs::read_to_string(place.data().join("workspace/letters"));
    assert_eq!(letters.expect("letters"), "posted\n");
}

#[test]
fn the_answer_retry_makes_the_call_again() {
    let place = in_doubt();
    let mut reading = Reading::start(&mut place.go_on(&["--answer", "retry"]));
    reading.until("shell echo posted");
    std::fs::write(place.data().join("workspace/pipe"), "at last").expect("it reads");
    let (status, lines, said) = reading.end();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{lines:#?}");
    let letters = std::fs::read_to_string(place.data().join("workspace/letters"));
    assert_eq!(
        letters.expect("letters"),
        "posted\nposted\n",
        "somebody decided so"
    );
}
