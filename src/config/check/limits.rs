//! `[limits]` and `[executor]`

use std::time::Duration;

use crate::config::file::Config;
use crate::config::path::setting;
use crate::config::problem::Complaint;
use crate::config::read::Report;

/// More often would be noise.
const SHORTEST_PROGRESS: Duration = Duration::from_secs(1);
/// A cancelled task waits for it.
const LONGEST_GRACE: Duration = Duration::from_secs(60);

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    if config.limits.progress.get() < SHORTEST_PROGRESS {
        let complaint = Complaint::new("`progress` is shorter than a second");
        report.at(&setting!["limits", "progress"], complaint);
    }
    let shell = &config.executor.shell;
    let path = setting!["executor", "shell"];
    if shell.grace.get() > LONGEST_GRACE {
        let complaint = Complaint::new("`grace` is longer than a minute");
        report.at(&path.then("grace"), complaint);
    }
    if shell.timeout > shell.max_timeout {
        let (usual, most) = (shell.timeout, shell.max_timeout);
        let message = format!("the usual time, {usual}, is longer than the longest, {most}");
        let said = ["timeout", "max_timeout"].map(|key| path.then(key));
        let at = said.iter().find(|path| report.says(path)).unwrap_or(&path);
        let help = "make `timeout` shorter or `max_timeout` longer";
        report.at(at, Complaint::new(message).help(help));
    }
}
