//! `[limits]` and `[executor]`

use std::time::Duration;

use super::agents;
use crate::config::file::{Config, LimitsConfig};
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
    agents::budget(config.limits.budget, &setting!["limits", "budget"], report);
    loops(&config.limits, report);
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

fn loops(limits: &LimitsConfig, report: &mut Report<'_>) {
    let (warn, stop) = (limits.loop_warn.get(), limits.loop_stop.get());
    for (key, times) in [("loop_warn", warn), ("loop_stop", stop)] {
        if times == 1 {
            let complaint = Complaint::new("the first time is no repetition");
            let help = "write 2 or more, or 0 for never";
            report.at(&setting!["limits", key], complaint.help(help));
        }
    }
    if stop > 1 && warn > stop {
        let message = format!("a run is stopped after {stop} times and would be told after {warn}");
        let said = ["loop_warn", "loop_stop"].map(|key| setting!["limits", key]);
        let at = said
            .iter()
            .find(|path| report.says(path))
            .unwrap_or(&said[0]);
        let help = "make `loop_warn` smaller, or 0 for never";
        report.at(at, Complaint::new(message).help(help));
    }
}
