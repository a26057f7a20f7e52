//! What becomes of a call that is asked for.

use actors::model::executor::{CallError, CallErrorCode, CallOutcome};

use super::ledger::{Entry, State, interrupted};

/// What is known when a call is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The epoch that asks.
    pub(super) epoch: u64,
    /// The highest epoch that asked before, if the call is running.
    pub(super) running: Option<u64>,
    /// What the ledger knows.
    pub(super) entry: Option<Entry>,
    /// How many calls are running, and how many may.
    pub(super) calls: usize,
    pub(super) most: usize,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Do it.
    Run,
    /// It is being done: its result will come.
    Join,
    /// It has been done: this was the result.
    Replay(CallOutcome),
    /// It was begun with this tool, by somebody who is gone.
    Interrupted(String),
    /// Say no; nothing is recorded.
    Refuse(CallError),
}

pub(super) fn decide(asked: Asked) -> Verdict {
    let known = asked
        .entry
        .as_ref()
        .map(|entry| entry.epoch)
        .max(asked.running);
    if let Some(known) = known.filter(|known| *known > asked.epoch) {
        return Verdict::Refuse(stale(asked.epoch, known));
    }
    if asked.running.is_some() {
        return Verdict::Join;
    }
    match asked.entry.map(|entry| entry.state) {
        Some(State::Done(outcome)) => Verdict::Replay(outcome),
        Some(State::Begun(tool)) => Verdict::Interrupted(tool),
        Some(State::Pure) | None if asked.calls >= asked.most => Verdict::Refuse(busy(asked.most)),
        Some(State::Pure) | None => Verdict::Run,
    }
}

/// What a call came to that is to be stopped and does not run.
pub(super) fn not_running(entry: Option<Entry>) -> CallOutcome {
    match entry.map(|entry| entry.state) {
        Some(State::Done(outcome)) => outcome,
        Some(State::Begun(tool)) => interrupted(&tool),
        Some(State::Pure) | None => CallOutcome::Error(CallError {
            code: CallErrorCode::Cancelled,
            message: "it does not run on this executor".to_owned(),
        }),
    }
}

fn stale(epoch: u64, known: u64) -> CallError {
    CallError {
        code: CallErrorCode::StaleEpoch,
        message: format!("epoch {epoch} is over: epoch {known} has asked for this call"),
    }
}

fn busy(most: usize) -> CallError {
    CallError {
        code: CallErrorCode::Failed,
        message: format!(
            "this executor already runs {most} calls and may not run more; nothing was done, ask again when one has ended"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(
        epoch: u64,
        running: Option<u64>,
        entry: Option<(u64, State)>,
        calls: usize,
    ) -> String {
        let entry = entry.map(|(epoch, state)| Entry { epoch, state });
        match decide(Asked {
            epoch,
            running,
            entry,
            calls,
            most: 2,
        }) {
            Verdict::Refuse(error) => format!("{:?}", error.code),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_rule() {
        let done = || State::Done(CallOutcome::Ok("x".into()));
        let begun = || State::Begun("shell".into());
        assert_eq!(verdict(1, None, None, 0), "Run");
        assert_eq!(verdict(1, None, None, 2), "Failed");
        assert_eq!(verdict(1, Some(1), Some((1, begun())), 2), "Join");
        assert_eq!(verdict(2, Some(1), None, 2), "Join");
        assert_eq!(verdict(1, Some(2), Some((1, begun())), 1), "StaleEpoch");
        assert_eq!(verdict(1, None, Some((1, done())), 2), "Replay(Ok(\"x\"))");
        assert_eq!(verdict(1, None, Some((2, done())), 0), "StaleEpoch");
        assert_eq!(
            verdict(3, None, Some((1, begun())), 2),
            "Interrupted(\"shell\")"
        );
        assert_eq!(verdict(1, None, Some((1, State::Pure)), 0), "Run");
        assert_eq!(verdict(1, None, Some((2, State::Pure)), 0), "StaleEpoch");
    }
}
