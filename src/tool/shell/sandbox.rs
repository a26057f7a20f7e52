//! What keeps commands in on this machine, found out by trying.

use std::path::{Path, PathBuf};

use super::landlock::{self, SIGNALS_SINCE};
use super::program::{self, Found, Program};
use super::wire::Rules;

/// How commands are to be kept in.
#[derive(Debug, Clone)]
pub struct ShellOptions {
    /// The program that supervises commands: any `impresario`. Without it, the one that `IMPRESARIO_SUPERVISOR` names, or this
    /// program if it called [`main_hook`](super::main_hook).
    pub supervisor: Option<PathBuf>,
    /// Whether commands get a process namespace where one can be had.
    pub namespaces: bool,
    /// Whether the kernel is to confine commands where it can.
    pub landlock: bool,
    /// What commands may read besides the root and the system, like a toolchain in somebody's home.
    pub readable: Vec<PathBuf>,
    /// What they may write besides the root and their own home and temporary folder, like a shared cache.
    pub writable: Vec<PathBuf>,
    /// Names of variables that are passed on besides `PATH`, `USER`, `LANG`, `LC_ALL`, `LC_CTYPE` and `TZ`.
    pub pass_env: Vec<String>,
}

impl Default for ShellOptions {
    fn default() -> Self {
        Self {
            supervisor: None,
            namespaces: true,
            landlock: true,
            readable: Vec::new(),
            writable: Vec::new(),
            pass_env: Vec::new(),
        }
    }
}

impl ShellOptions {
    pub(super) fn rules(&self, own: impl IntoIterator<Item = PathBuf>) -> Rules {
        let home = std::env::home_dir();
        let more = self.readable.iter().cloned();
        Rules {
            writable: own.into_iter().chain(self.writable.clone()).collect(),
            readable: landlock::readable(more.chain(program_folders(home.as_deref()))),
        }
    }
}

/// The folders of `PATH`, but none that holds somebody's home.
fn program_folders(home: Option<&Path>) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .filter(|folder| home.is_none_or(|home| !home.starts_with(folder)))
        .collect()
}

/// What commands run in here.
#[derive(Debug)]
pub struct Sandbox {
    program: Result<Program, String>,
    no_namespace: Option<String>,
    landlock: Option<u32>,
    no_landlock: &'static str,
}

impl Sandbox {
    /// Tries what this machine allows. Starts a few processes and waits for them, at most some seconds.
    #[must_use]
    pub fn probe(options: &ShellOptions) -> Self {
        let found = program::find(options.supervisor.as_deref(), options.namespaces);
        match found {
            Ok(found) => Self::of(found, options.landlock),
            Err(why) => Self {
                program: Err(why),
                no_namespace: None,
                landlock: None,
                no_landlock: "there is no shell",
            },
        }
    }

    fn of(found: Found, wanted: bool) -> Self {
        Self {
            program: Ok(found.program),
            no_namespace: found.no_namespace,
            landlock: found.abilities.landlock.filter(|_| wanted),
            no_landlock: match wanted {
                true => "the kernel does not have it",
                false => "switched off",
            },
        }
    }

    pub(super) fn program(&self) -> Option<&Program> {
        self.program.as_ref().ok()
    }

    /// Whether commands can be run at all. Without somebody to supervise them they could outlive the executor.
    #[must_use]
    pub fn has_shell(&self) -> bool {
        self.program.is_ok()
    }

    /// Whether each command has a process namespace of its own.
    #[must_use]
    pub fn has_namespace(&self) -> bool {
        self.has_shell() && self.no_namespace.is_none()
    }

    /// The version of landlock that confines commands.
    #[must_use]
    pub fn landlock(&self) -> Option<u32> {
        self.landlock
    }

    /// One line for each thing, for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match &self.program {
            Err(why) => vec![format!("shell: not offered: {why}")],
            Ok(program) => vec![
                format!("shell: supervised by {}", program.path.display()),
                self.tree_line(),
                self.landlock_line(),
            ],
        }
    }

    fn tree_line(&self) -> String {
        let kept = self
            .landlock
            .is_some_and(|version| version >= SIGNALS_SINCE);
        match (&self.no_namespace, kept) {
            (None, _) => {
                "process trees: each in a namespace of its own, which the kernel ends".to_owned()
            }
            (Some(why), true) => {
                format!("process trees: ended by their supervisor; no namespace: {why}")
            }
            (Some(why), false) => format!(
                "process trees: ended by their supervisor, but a command that means to can kill it; no namespace: {why}"
            ),
        }
    }

    fn landlock_line(&self) -> String {
        match self.landlock {
            Some(version) => format!(
                "files: landlock {version} keeps commands to the root and the system's folders"
            ),
            None => format!(
                "files: commands may do what this user may; no landlock: {}",
                self.no_landlock
            ),
        }
    }

    pub(super) fn for_the_model(&self) -> &'static str {
        match self.landlock {
            Some(_) => {
                "It can write below the root, in $HOME and in $TMPDIR, and read these and the system's folders; \
                 it cannot become another user."
            }
            None => {
                "Nothing keeps it inside the root here, so stay inside; it cannot become another user."
            }
        }
    }
}
