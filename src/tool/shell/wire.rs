//! What the executor and a command's supervisor say to each other: one line of JSON each way.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of these lines; program and supervisor are usually the same file, but need not be.
pub(super) const VERSION: u32 = 1;

/// The argument that makes the program a supervisor, and the one that only asks what it could do.
pub(super) const SUBCOMMAND: &str = "shell-supervisor";
pub(super) const PROBE: &str = "--probe";

/// The variable that marks everything a command starts, so that it can be found when its supervisor is gone.
pub(super) const MARK: &str = "IMPRESARIO_SHELL";

/// The longest line.
pub(super) const LONGEST: u64 = 1024 * 1024;

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) version: u32,
    pub(super) command: String,
    pub(super) cwd: PathBuf,
    pub(super) grace_ms: u64,
    /// Where it may write and read; anywhere without.
    pub(super) rules: Option<Rules>,
}

/// What the kernel is to allow a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rules {
    pub(super) writable: Vec<PathBuf>,
    pub(super) readable: Vec<PathBuf>,
}

/// How it went, told when nothing of it is left.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) end: End,
    /// How many processes were still there when the command itself had ended.
    pub(super) left_behind: usize,
    /// How many could not be ended.
    pub(super) stuck: usize,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// By itself.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Because the supervisor was told so.
    Told,
    /// It did not begin.
    NotStarted(String),
}

/// What a supervisor can do here.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Abilities {
    pub(super) version: u32,
    /// Whether it is the first process of a namespace, whose end the kernel makes the end of all others.
    pub(super) first: bool,
    /// The version of landlock, where the kernel has it.
    pub(super) landlock: Option<u32>,
}
