//! Finding the program that supervises commands, and asking it what it can do on this machine.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::wire::{Abilities, LONGEST, PROBE, SUBCOMMAND, VERSION};

/// The variable that names the program where the host cannot be it.
const NAMED_BY: &str = "IMPRESARIO_SUPERVISOR";

/// How long the program may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `unshare` is told, the better first: with the rights to do so, and without.
const NAMESPACES: [&[&str]; 2] = [
    &["--pid", "--fork", "--kill-child", "--mount-proc"],
    &[
        "--user",
        "--map-current-user",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ],
];

/// Whether this process called the hook: a fact about the program that runs, so it stands by itself.
static HOOKED: AtomicBool = AtomicBool::new(false);

pub(super) fn remember_hook() {
    HOOKED.store(true, Ordering::Relaxed);
}

/// How a supervisor is started: by itself, or in a namespace of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The arguments of `unshare`.
    pub(super) namespace: Option<&'static [&'static str]>,
}

impl Program {
    /// The command line, as far as it does not depend on who runs it.
    pub(super) fn line(&self) -> Vec<&std::ffi::OsStr> {
        let outer = self.namespace.iter().flat_map(|flags| {
            std::iter::once("unshare")
                .chain(flags.iter().copied())
                .map(AsRef::as_ref)
        });
        outer
            .chain([self.path.as_os_str(), SUBCOMMAND.as_ref()])
            .collect()
    }

    /// Asks the program what it can do when it is started like this.
    fn abilities(&self) -> Result<Abilities, String> {
        let line = self.line();
        let mut child = Command::new(line[0])
            .args(&line[1..])
            .arg(PROBE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", line[0].display()))?;
        let (tell, told) = mpsc::channel();
        let answer = child.stderr.take();
        std::thread::spawn(move || tell.send(read(answer)));
        let answer = told.recv_timeout(PATIENCE);
        let _ended_already = child.kill();
        let _collected = child.wait();
        understood(&answer.map_err(|_| "it does not answer".to_owned())?)
    }
}

fn read(from: Option<impl Read>) -> String {
    let mut text = Vec::new();
    // What could be read says more than that the rest could not.
    let _all_or_some = from.map(|from| from.take(LONGEST).read_to_end(&mut text));
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn understood(answer: &str) -> Result<Abilities, String> {
    let abilities: Abilities =
        serde_json::from_str(answer).map_err(|_| format!("it answers `{}`", first_line(answer)))?;
    match abilities.version {
        VERSION => Ok(abilities),
        other => Err(format!("it is of version {other} and not {VERSION}")),
    }
}

fn first_line(text: &str) -> &str {
    super::super::lines::cut(text.lines().next().unwrap_or_default(), 200)
}

/// The program, what it can do, and why it cannot do more.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) program: Program,
    pub(super) abilities: Abilities,
    pub(super) no_namespace: Option<String>,
}

/// Looks for the program: the one that is named, the one the environment names, this one if it can be it.
pub(super) fn find(named: Option<&Path>, namespaces: bool) -> Result<Found, String> {
    let path = named
        .map(|path| Ok(path.to_owned()))
        .or_else(|| std::env::var_os(NAMED_BY).map(|path| Ok(PathBuf::from(path))))
        .unwrap_or_else(this_program)?;
    let plain = Program {
        path,
        namespace: None,
    };
    let abilities = plain.abilities().map_err(|error| {
        format!(
            "{} cannot supervise commands: {error}",
            plain.path.display()
        )
    })?;
    if !namespaces {
        let no_namespace = Some("switched off".to_owned());
        return Ok(Found {
            program: plain,
            abilities,
            no_namespace,
        });
    }
    Ok(in_a_namespace(plain, abilities))
}

fn this_program() -> Result<PathBuf, String> {
    match HOOKED.load(Ordering::Relaxed) {
        true => {
            std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))
        }
        false => Err(format!(
            "there is no program to supervise commands: call impresario::executor::main_hook() first in main, \
             or name an impresario program in {NAMED_BY}"
        )),
    }
}

fn in_a_namespace(plain: Program, abilities: Abilities) -> Found {
    let mut why = String::new();
    for flags in NAMESPACES {
        let program = Program {
            namespace: Some(flags),
            ..plain.clone()
        };
        match program.abilities() {
            Ok(abilities) if abilities.first => {
                return Found {
                    program,
                    abilities,
                    no_namespace: None,
                };
            }
            Ok(_) => why = "unshare made none".to_owned(),
            Err(error) => why = error,
        }
    }
    Found {
        program: plain,
        abilities,
        no_namespace: Some(why),
    }
}
