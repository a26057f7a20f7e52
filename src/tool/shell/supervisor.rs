//! The process that stands between the executor and a command. It is this same program, started anew.
//!
//! It makes itself the one to whom orphans of its tree fall (a subreaper), or is the first process of a namespace of its own, starts
//! the command in a thread that has given up its rights before, and waits: for the command's end, or for the executor's, which it
//! notices because its standard input ends. Either way it ends everything below it, and itself only when the kernel says that it has
//! no children any more.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, set_child_subreaper, setsid};
use serde::Serialize;

use super::landlock;
use super::tree::Which;
use super::wire::{Abilities, End, LONGEST, Order, PROBE, Report, SUBCOMMAND, VERSION};

/// How long what is left of a command may need to go by itself.
const STRAGGLE: Duration = Duration::from_millis(20);

/// To be called first of all in a program that is to supervise the commands of its own executor: where the program was started as a
/// supervisor, it is one and does not return. Remembers that this program can be.
pub fn main_hook() {
    super::program::remember_hook();
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|arg| arg != SUBCOMMAND) {
        return;
    }
    let probe = args.next().is_some_and(|arg| arg == PROBE);
    let code = if probe {
        tell(&abilities())
    } else {
        tell(&supervise())
    };
    std::process::exit(code);
}

fn tell(what: &impl Serialize) -> i32 {
    let line = serde_json::to_string(what).unwrap_or_default();
    match writeln!(io::stderr(), "{line}") {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn abilities() -> Abilities {
    Abilities {
        version: VERSION,
        first: is_first(),
        landlock: std::thread::spawn(landlock::version).join().unwrap_or(None),
    }
}

fn is_first() -> bool {
    getpid().is_init()
}

/// What the threads of a supervisor see.
enum Seen {
    /// The command has ended.
    Ended(End),
    /// The executor wants it to end, or is gone.
    Told,
    /// Nothing is left below.
    Empty,
}

fn supervise() -> Report {
    let begun = order().and_then(|(order, control)| {
        stand_apart()?;
        let command = start(&order)?;
        Ok((order, control, command))
    });
    let (order, control, command) = match begun {
        Ok(begun) => begun,
        Err(why) => return report(End::NotStarted(why)),
    };
    let (tell, told) = mpsc::channel();
    let reaper = tell.clone();
    std::thread::spawn(move || listen(control, &tell));
    std::thread::spawn(move || reap(command, &reaper));
    wind_down(&told, Duration::from_millis(order.grace_ms))
}

fn report(end: End) -> Report {
    Report {
        end,
        left_behind: 0,
        stuck: 0,
    }
}

fn order() -> Result<(Order, BufReader<io::Stdin>), String> {
    let mut control = BufReader::new(io::stdin());
    let mut line = Vec::new();
    control
        .by_ref()
        .take(LONGEST)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("cannot read the order: {error}"))?;
    let order: Order = serde_json::from_slice(&line)
        .map_err(|error| format!("cannot understand the order: {error}"))?;
    match order.version {
        VERSION => Ok((order, control)),
        other => Err(format!(
            "the supervisor program is of another version ({VERSION}) than the executor ({other})"
        )),
    }
}

/// Out of the executor's terminal and group, under a name of its own, and the one to whom orphans fall.
fn stand_apart() -> Result<(), String> {
    // It fails where this is the first of its group already, which serves as well.
    let _own_session = setsid();
    let _name = rustix::thread::set_name(c"shell-guard");
    set_child_subreaper(Some(getpid())).map_err(|error| format!("cannot adopt orphans: {error}"))
}

/// Starts the command from a thread that has no more rights than it is to have: a child has those of the thread that made it.
fn start(order: &Order) -> Result<Pid, String> {
    let started = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                rustix::thread::set_no_new_privs(true)
                    .map_err(|error| format!("cannot give up privileges: {error}"))?;
                if let Some(rules) = &order.rules {
                    landlock::enforce(rules)?;
                }
                spawn(order).map_err(|error| {
                    format!("cannot start /bin/sh in {}: {error}", order.cwd.display())
                })
            })
            .join()
    });
    started.unwrap_or_else(|_| Err("the thread that starts the command broke down".to_owned()))
}

fn spawn(order: &Order) -> io::Result<Pid> {
    let output = || io::stdout().as_fd().try_clone_to_owned();
    let child = Command::new("/bin/sh")
        .args(["-c", "--", &order.command])
        .current_dir(&order.cwd)
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .process_group(0)
        .spawn()?;
    Ok(Pid::from_child(&child))
}

fn listen(mut control: BufReader<io::Stdin>, tell: &Sender<Seen>) {
    let _ended_either_way = io::copy(&mut control, &mut io::sink());
    let _nobody_cares_later = tell.send(Seen::Told);
}

/// Collects the dead until there are no children, alive or dead. Every process below has a chain of living parents up to this one,
/// and one whose parent dies becomes this one's child in that moment: so no children means that nothing is left.
fn reap(command: Pid, tell: &Sender<Seen>) {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => {
                let _nobody_cares_later = tell.send(Seen::Ended(end(status)));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _nobody_cares_later = tell.send(Seen::Empty);
}

fn end(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Signalled(signal.unwrap_or_default()),
    }
}

fn wind_down(told: &Receiver<Seen>, grace: Duration) -> Report {
    let end = match told.recv() {
        Ok(Seen::Ended(end)) => end,
        Ok(Seen::Told | Seen::Empty) | Err(_) => End::Told,
    };
    let mut report = report(end);
    if report.end != End::Told {
        if is_empty(told, STRAGGLE) {
            return report;
        }
        report.left_behind = everything().now().len();
    }
    everything().signal(Signal::TERM);
    everything().signal(Signal::CONT);
    // The kernel ends a namespace with its first process, and better than anybody could.
    if !is_empty(told, grace) && !is_first() {
        report.stuck = everything().end(|| is_empty(told, Duration::ZERO));
    }
    report
}

fn everything() -> Which {
    Which::Below(getpid().as_raw_nonzero().get())
}

/// Whether nothing is left, or will not be before long.
fn is_empty(told: &Receiver<Seen>, wait: Duration) -> bool {
    loop {
        match told.recv_timeout(wait) {
            Ok(Seen::Empty) => return true,
            Ok(Seen::Ended(_) | Seen::Told) => {}
            Err(_) => return false,
        }
    }
}
