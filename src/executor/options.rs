//! What an executor is given.

use std::path::PathBuf;
use std::sync::Arc;

use actors::model::CallId;

use super::ledger::LedgerLimits;
use crate::tool::{self, shell::ShellOptions};

/// A moment in a call, for tests that end the process there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// That it begins is durable; nothing has happened yet.
    BegunRecorded,
    /// The tool has returned; its result is not durable yet.
    EffectDone,
    /// The result is durable; it has not been sent yet.
    ResultRecorded,
}

/// Told when a call comes to a [`Point`].
pub type Observer = Arc<dyn Fn(Point, &CallId) + Send + Sync>;

/// What [`Executor::open`](super::Executor::open) takes.
#[derive(Clone)]
pub struct Options {
    /// The folder to work in.
    pub root: PathBuf,
    /// Where the executor keeps its ledger, and the shell's home and temporary folders; outside of the root.
    pub state_dir: PathBuf,
    /// A file outside of the state folder that knows which ledger there is and how long it has become: with it a ledger that was lost or
    /// cut short is noticed, see [`Executor::vouches`](super::Executor::vouches). Without it such a ledger is taken for what it says.
    pub witness: Option<PathBuf>,
    /// A name for people.
    pub name: String,
    /// How much it takes on.
    pub limits: Limits,
    /// How commands are kept in.
    pub shell: ShellOptions,
    /// Told of the moments of each call.
    pub observer: Option<Observer>,
}

impl Options {
    /// An executor on `root` that keeps its own things in `state_dir`; the rest as usual.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            state_dir: state_dir.into(),
            witness: None,
            name: "executor".to_owned(),
            limits: Limits::default(),
            shell: ShellOptions::default(),
            observer: None,
        }
    }
}

/// How much an executor takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many calls run at once.
    pub calls: usize,
    /// How many calls may wait to be acknowledged before new ones are refused.
    pub unacknowledged: usize,
    /// How large the ledger may grow before new calls are refused, in bytes.
    pub ledger_bytes: u64,
    /// How much of the ledger may be acknowledged calls before it is written anew, in bytes.
    pub compact_bytes: u64,
    /// The tools' own limits.
    pub tools: tool::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 8,
            unacknowledged: 10_000,
            ledger_bytes: 256 * 1024 * 1024,
            compact_bytes: 1024 * 1024,
            tools: tool::Limits::default(),
        }
    }
}

impl Limits {
    pub(super) fn ledger(&self) -> LedgerLimits {
        LedgerLimits {
            entries: self.unacknowledged,
            bytes: self.ledger_bytes,
            compact: self.compact_bytes,
        }
    }
}
