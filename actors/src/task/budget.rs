//! What may be delegated: how many runs there may be. What they may use up is the business of [`crate::budget`]. Pure.

use std::collections::BTreeMap;

use crate::model::{Limits, RunId};

/// A run as the budget counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Who delegated it.
    pub parent: Option<RunId>,
    /// Whether it has not ended.
    pub is_live: bool,
}

const ALONE: &str = "do it yourself";
const LATER: &str = "wait until one of them has ended, or do it yourself";

/// Checks whether `parent` may delegate one more run at this depth.
///
/// # Errors
/// The limit that forbids it, with its value and its name in the file, and what to do instead, for the model.
pub fn may_delegate(
    limits: &Limits,
    max_workers: Option<u32>,
    runs: &BTreeMap<RunId, Counted>,
    parent: RunId,
    depth: u32,
) -> Result<(), String> {
    let count = |of: &dyn Fn(&Counted) -> bool| {
        u32::try_from(runs.values().filter(|run| of(run)).count()).unwrap_or(u32::MAX)
    };
    let live = count(&|run| run.is_live);
    let checks = [
        (
            depth,
            limits.depth.saturating_add(1),
            format!("delegation deeper than {} levels (depth)", limits.depth),
            ALONE,
        ),
        (
            count(&|run| run.is_live && run.parent == Some(parent)),
            limits.fan_out,
            format!("{} live runs of one parent (fan_out)", limits.fan_out),
            LATER,
        ),
        (
            live,
            limits.live_runs,
            format!("{} live runs of the task (live_runs)", limits.live_runs),
            LATER,
        ),
        (
            count(&|_| true),
            limits.total_runs,
            format!("{} runs of the task in all (total_runs)", limits.total_runs),
            ALONE,
        ),
    ];
    let reached = |(now, most, ..): &(u32, u32, String, &str)| now >= most;
    if let Some((.., limit, advice)) = checks.into_iter().find(reached) {
        return Err(format!("the limit of {limit} is reached; {advice}"));
    }
    match max_workers {
        // The lead itself is no worker.
        Some(most) if live.saturating_sub(1) >= most => Err(format!(
            "the limit of {most} workers at a time (max_workers) is reached; {LATER}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u128) -> RunId {
        RunId(uuid::Uuid::from_u128(n))
    }

    fn tree(live: u128, ended: u128) -> BTreeMap<RunId, Counted> {
        let child = |n: u128| {
            (
                run(n),
                Counted {
                    parent: (n > 0).then(|| run(0)),
                    is_live: n < live,
                },
            )
        };
        (0..live + ended).map(child).collect()
    }

    fn refusal(
        limits: &Limits,
        workers: Option<u32>,
        runs: &BTreeMap<RunId, Counted>,
        depth: u32,
    ) -> String {
        may_delegate(limits, workers, runs, run(0), depth)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn each_limit_refuses_by_name_at_its_value_and_not_before() {
        let limits = Limits {
            depth: 2,
            fan_out: 3,
            live_runs: 5,
            total_runs: 8,
            ..Limits::default()
        };
        assert_eq!(refusal(&limits, None, &tree(1, 0), 2), "");
        assert!(refusal(&limits, None, &tree(1, 0), 3).contains("(depth)"));
        assert_eq!(refusal(&limits, None, &tree(3, 0), 1), "");
        assert!(refusal(&limits, None, &tree(4, 0), 1).contains("(fan_out)"));
        let wide = Limits {
            fan_out: 100,
            ..limits.clone()
        };
        assert!(refusal(&wide, None, &tree(5, 0), 1).contains("(live_runs)"));
        assert_eq!(refusal(&wide, None, &tree(1, 6), 1), "");
        assert!(refusal(&wide, None, &tree(1, 7), 1).contains("(total_runs)"));
        assert_eq!(refusal(&wide, Some(2), &tree(2, 0), 1), "");
        assert!(refusal(&wide, Some(2), &tree(3, 0), 1).contains("(max_workers)"));
    }
}
