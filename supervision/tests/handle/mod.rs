//! What a handle promises: waiting, refusal, order, and what a restart does to messages.

mod calling;
mod flood;
mod restarts;
mod sending;

use std::time::Duration;

use supervision::report::{DeadLetterReason, Decision, Report};
use supervision::{AtRestart, Strategy, SupervisorHandle};

use crate::bed::{Bed, Cue, Player, patient};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn note(word: impl ToString) -> Cue {
    Cue::Note(word.to_string())
}

/// A child with an inbox for three, restarted at once.
pub(super) async fn carrying(bed: &Bed) -> (SupervisorHandle, Player) {
    let a = bed.player("a").inbox(3, AtRestart::Carry);
    let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
    (root, a)
}

/// A child with an inbox for three that waits a second before it is restarted.
pub(super) async fn down_for_a_second(
    bed: &Bed,
    at_restart: AtRestart,
) -> (SupervisorHandle, Player) {
    use supervision::{Backoff, Jitter};
    let wait = Backoff::new(SECOND, SECOND).jitter(Jitter::None);
    let a = bed.player("a").inbox(3, at_restart);
    let a = a.with(move |spec| spec.backoff(wait.clone()));
    let root = bed.start(patient(Strategy::OneForOne), &[&a]).await;
    a.fail().await;
    bed.expect("start a\nstop a failed: boom\nstopped a");
    (root, a)
}

/// The reports of given-up messages.
pub(super) fn given_up(bed: &Bed) -> Vec<(usize, DeadLetterReason)> {
    let reports = bed.reports();
    let of = |report: &Report| match report.decision {
        Decision::DeadLetters { count, reason, .. } => Some((count, reason)),
        _ => None,
    };
    reports.iter().filter_map(of).collect()
}
