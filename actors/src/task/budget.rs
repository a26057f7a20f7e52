//! What may be delegated: how many runs there may be. What they may use up is the business of [`crate::budget`]. Pure.

use crate::model::Limits;

/// The runs of a task as its limits count them, those included that were promised and are not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Those of whoever asks that have not ended.
    pub of_parent: u32,
    /// Those that have not ended.
    pub live: u32,
    /// All.
    pub total: u32,
}

const ALONE: &str = "do it yourself";
const LATER: &str = "wait until one of them has ended, or do it yourself";

/// Checks whether one more run may be delegated, at this depth.
///
/// # Errors
/// The limit that forbids it, with its value and its name in the file, and what to do instead, for the model.
pub fn may_delegate(
    limits: &Limits,
    max_workers: Option<u32>,
    counted: Counted,
    depth: u32,
) -> Result<(), String> {
    let live = counted.live;
    let checks = [
        (
            depth,
            limits.depth.saturating_add(1),
            format!("delegation deeper than {} levels (depth)", limits.depth),
            ALONE,
        ),
        (
            counted.of_parent,
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
            counted.total,
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

    /// A root run, and what it has delegated: so many of the whole are live.
    fn tree(live: u32, ended: u32) -> Counted {
        Counted {
            of_parent: live - 1,
            live,
            total: live + ended,
        }
    }

    fn refusal(limits: &Limits, workers: Option<u32>, counted: Counted, depth: u32) -> String {
        may_delegate(limits, workers, counted, depth)
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
        assert_eq!(refusal(&limits, None, tree(1, 0), 2), "");
        assert!(refusal(&limits, None, tree(1, 0), 3).contains("(depth)"));
        assert_eq!(refusal(&limits, None, tree(3, 0), 1), "");
        assert!(refusal(&limits, None, tree(4, 0), 1).contains("(fan_out)"));
        let wide = Limits {
            fan_out: 100,
            ..limits.clone()
        };
        assert!(refusal(&wide, None, tree(5, 0), 1).contains("(live_runs)"));
        assert_eq!(refusal(&wide, None, tree(1, 6), 1), "");
        assert!(refusal(&wide, None, tree(1, 7), 1).contains("(total_runs)"));
        assert_eq!(refusal(&wide, Some(2), tree(2, 0), 1), "");
        assert!(refusal(&wide, Some(2), tree(3, 0), 1).contains("(max_workers)"));
    }
}
