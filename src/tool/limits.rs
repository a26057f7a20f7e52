//! How much a tool may read, write, look at and say.

use std::time::Duration;

/// Limits of the tools of one executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest text a model gets from one call, in bytes.
    pub result_bytes: usize,
    /// The largest file that is written, edited or searched, in bytes.
    pub file_bytes: u64,
    /// How many entries `glob` and `grep` look at before they stop, and how many a folder may have to be listed.
    pub entries: usize,
    /// The shell's.
    pub shell: ShellLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            result_bytes: 64 * 1024,
            file_bytes: 16 * 1024 * 1024,
            entries: 200_000,
            shell: ShellLimits::default(),
        }
    }
}

/// Limits of the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellLimits {
    /// How long a command may take that does not say.
    pub default_timeout: Duration,
    /// How long a command may ask for.
    pub max_timeout: Duration,
    /// The longest command, in bytes.
    pub command_bytes: usize,
    /// How much of a command's output is shown while it runs, in bytes.
    pub live_bytes: usize,
    /// How long what is to end may take to tidy up, between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// How long a supervisor may take to do what it is told, before the tree is ended without it.
    pub patience: Duration,
}

impl Default for ShellLimits {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(120),
            max_timeout: Duration::from_secs(600),
            command_bytes: 100_000,
            live_bytes: 256 * 1024,
            grace: Duration::from_millis(300),
            patience: Duration::from_secs(10),
        }
    }
}
