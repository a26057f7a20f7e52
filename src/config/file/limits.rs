//! `[limits]` and `[executor]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::Budget;
use crate::config::read::table;
use crate::config::values::{Delay, Period};
use crate::config::whole::Whole;

/// From one kilobyte to sixteen megabytes: what a text that a model reads may measure.
pub type TextBytes = Whole<1_024, { 16 << 20 }>;

/// Limits of one task: of the runs it delegates, and of what they hand to each other. They are pinned when the task begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct LimitsConfig {
    /// How deep delegation may go; with 0 nobody delegates.
    pub depth: Whole<0, 64>,
    /// How many delegated runs of one run may be live at a time.
    pub fan_out: Whole<1, 1_000>,
    /// How many runs of the task may be live at a time, the first one included.
    pub live_runs: Whole<1, 10_000>,
    /// How many runs the task may have in all, those that ended included.
    pub total_runs: Whole<1, 100_000>,
    /// How many characters of a delegated run's result its parent is shown.
    pub capsule_chars: Whole<100, 1_000_000>,
    /// Larger tool results are kept beside the journal instead of in it.
    pub inline_bytes: TextBytes,
    /// How much of a tool's result a model is shown.
    pub tool_result_bytes: TextBytes,
    /// How often a delegated run that is still at it says so; at least a second.
    pub progress: Period,
    /// How often a run may crash at one and the same point before it is set aside and a human is asked.
    pub poison_after: Whole<1, 100>,
    /// What all runs of the task together may use up. 10000000 tokens and 5000 turns where it does not say otherwise; no limit of
    /// its own for money.
    pub budget: Budget,
    /// How long the task may take before it is cancelled. Time in which it waits for a human does not count.
    pub wall_time: Period,
    /// After how many times a run is told that it does the same again and again, with the same result; 0 for never.
    pub loop_warn: Whole<0, 100>,
    /// After how many times it is stopped; 0 for never.
    pub loop_stop: Whole<0, 100>,
}

table!(LimitsConfig { ;
    depth, fan_out, live_runs, total_runs, capsule_chars, inline_bytes, tool_result_bytes, progress, poison_after,
    budget, wall_time, loop_warn, loop_stop
});

/// Limits of the tools that work on files and with the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ExecutorConfig {
    /// How many tool calls run at a time.
    pub calls: Whole<1, 256>,
    /// How long the text is that a tool gives back.
    pub result_bytes: TextBytes,
    /// How large a file may be that is written, edited or searched.
    pub file_bytes: Whole<1_024, { 1 << 30 }>,
    /// How many entries `glob` and `grep` look at, and how many a folder may have to be listed.
    pub entries: Whole<100, 10_000_000>,
    /// Limits of the commands.
    pub shell: ShellConfig,
}

table!(ExecutorConfig { ; calls, result_bytes, file_bytes, entries, shell });

/// Limits of a command. That of the agent's `tool_timeout` comes on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ShellConfig {
    /// How long a command may take for which the model asks for no time of its own.
    pub timeout: Period,
    /// How long a time the model may ask for.
    pub max_timeout: Period,
    /// How long the text of a command may be.
    pub command_bytes: Whole<100, 1_000_000>,
    /// How much of a command's output is shown while it runs.
    pub live_bytes: Whole<0, { 16 << 20 }>,
    /// How long a command that is to end may tidy up before it is killed; at most a minute.
    pub grace: Delay,
}

table!(ShellConfig { ; timeout, max_timeout, command_bytes, live_bytes, grace });
