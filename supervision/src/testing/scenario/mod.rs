//! Line-based scenarios, and the trace a supervisor leaves when it goes through one.
//!
//! The format is that of a judge which runs the same file through Erlang/OTP's supervisor: `sup STRATEGY INTENSITY PERIOD_S AUTO`,
//! `child ID RESTART SHUTDOWN SIGNIFICANT START STOP_MS`, then `go` and what happens to them. [`run`] plays it through the real
//! supervisor, [`run_core`] through the rules alone; both print what OTP prints.

mod core;
mod generate;
mod judge;
mod live;
mod parse;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::exit::Exit;
use crate::restart::{AdminError, ChildState};
use crate::spec::{Plan, SpecError};
use crate::strategy::Flags;

pub use self::core::run_core;
pub use self::generate::generate;
pub use self::judge::ask_judge;
pub use self::live::run;
pub use self::parse::{Scenario, ScenarioError, parse};

/// One line of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Start the supervisor with the children so far.
    Go,
    /// Add a child.
    Add(Box<Player>),
    /// `terminate_child`.
    Terminate(String),
    /// `restart_child`.
    Restart(String),
    /// `delete_child`.
    Delete(String),
    /// These befall children one after another, before the supervisor looks.
    Together(Vec<Fault>),
    /// This befalls a child.
    Fault(Fault),
    /// A child's handler takes so long.
    Block(String, Duration),
    /// Time passes.
    Sleep(Duration),
    /// `which_children`.
    Which,
    /// `count_children`.
    Count,
    /// The supervisor is told to stop.
    Stop,
    /// The supervisor is killed.
    KillSupervisor,
}

/// What befalls a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It ends by itself, for this reason.
    Exit(String, String),
    /// It is killed.
    Kill(String),
}

impl Fault {
    fn child(&self) -> &str {
        match self {
            Self::Exit(child, _) | Self::Kill(child) => child,
        }
    }
}

/// A child of a scenario: what is said about it, and how it plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Player {
    /// What is said about it.
    pub plan: Plan,
    /// How its starts go.
    pub start: StartPlay,
    /// How long its clean-up takes.
    pub stop: Duration,
}

/// How the starts of a child go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPlay {
    /// Well.
    Ok,
    /// Well, then not this many times, then well.
    Fail(u32),
    /// Never well.
    FailNow,
    /// It declines.
    Ignore,
    /// Well, after a while.
    Slow(Duration),
}

impl StartPlay {
    /// Whether this start fails. `counted` are the earlier starts of this id while it was told to fail a number of times: the
    /// count belongs to the id, as it does in the judge, and outlives the child's spec.
    fn fails(self, counted: &mut HashMap<String, u32>, id: &str) -> bool {
        match self {
            Self::Fail(times) => {
                let before = counted.entry(id.to_owned()).or_default();
                *before += 1;
                (2..=times.saturating_add(1)).contains(before)
            }
            Self::FailNow => true,
            _ => false,
        }
    }
}

/// The class of an exit for a reason as a scenario writes it.
fn exit_for(reason: &str) -> Exit {
    match reason {
        "normal" => Exit::Normal,
        "shutdown" => Exit::SHUTDOWN,
        "{shutdown}" => Exit::Shutdown(Some("x".into())),
        other => Exit::failed(other),
    }
}

/// The reason as a trace writes it.
fn shown(reason: &str) -> &str {
    if reason == "{shutdown}" {
        "shutdown"
    } else {
        reason
    }
}

fn shown_exit(exit: &Exit) -> String {
    match exit {
        Exit::Shutdown(_) => "shutdown".to_owned(),
        Exit::Failed(reason) => reason.to_string(),
        other => other.to_string(),
    }
}

fn shown_state(state: ChildState) -> &'static str {
    match state {
        ChildState::Stopped => "stopped",
        ChildState::Restarting => "restarting",
        _ => "running",
    }
}

fn shown_refusal(error: &AdminError) -> String {
    match error {
        AdminError::AlreadyStarted(..) => "already_started".to_owned(),
        AdminError::AlreadyPresent => "already_present".to_owned(),
        AdminError::NotFound => "not_found".to_owned(),
        AdminError::Running => "running".to_owned(),
        AdminError::Restarting => "restarting".to_owned(),
        AdminError::StartFailed(reason) => reason.to_string(),
        AdminError::Invalid(error) => shown_spec_error(error).to_owned(),
        AdminError::Dynamic => "simple_one_for_one".to_owned(),
        AdminError::Stopping | AdminError::Busy => "noproc".to_owned(),
    }
}

fn shown_spec_error(error: &SpecError) -> &'static str {
    match error {
        SpecError::Duplicate(_) => "duplicate_child_name",
        SpecError::Significant { .. } => "bad_combination",
        SpecError::Invalid {
            field: "restart", ..
        } => "invalid_restart_type",
        SpecError::Invalid {
            field: "shutdown", ..
        } => "invalid_shutdown",
        SpecError::Invalid {
            field: "period", ..
        } => "invalid_period",
        SpecError::Invalid { .. } => "invalid",
        SpecError::Templates(_) | SpecError::TooMany { .. } => "too_many",
    }
}

fn shown_boot_error(flags: &Flags, error: &SpecError) -> String {
    let kind = if flags.check().is_err() {
        "bad_flags"
    } else {
        "bad_spec"
    };
    format!("boot error {kind} {}", shown_spec_error(error))
}

fn shown_children<'a>(children: impl IntoIterator<Item = (&'a str, ChildState)>) -> String {
    let mut line = "children ".to_owned();
    for (n, (id, state)) in children.into_iter().enumerate() {
        let gap = if n == 0 { "" } else { " " };
        let _ = write!(line, "{gap}{id}:{}", shown_state(state));
    }
    line
}

/// The trace with the one thing put in order that has none: how children end when their supervisor is killed.
#[must_use]
pub fn comparable(mut trace: Vec<String>) -> Vec<String> {
    if let Some((last, before)) = trace.split_last_mut()
        && last.starts_with("sup_exit killed")
    {
        let is_end = |line: &String| line.starts_with("stopped ") || line.ends_with(" killed");
        let from = before
            .iter()
            .rposition(|line| !is_end(line))
            .map_or(0, |n| n + 1);
        before[from..].sort();
    }
    trace
}

/// How long the trace must be quiet before the next line is played.
const QUIET: Duration = Duration::from_millis(15);

/// How long a fault is given to show its consequences.
const SETTLE: Duration = Duration::from_millis(40);

/// How long one waits for a child to die of a fault.
const DEATH: Duration = Duration::from_secs(3);
