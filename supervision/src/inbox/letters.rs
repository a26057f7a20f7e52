//! Messages that were not handled: which go to the next incarnation, and which are given up and kept.

use std::collections::VecDeque;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::report::{About, DeadLetterReason, Decision};
use crate::restart::Availability;

/// How many dead letters an inbox keeps for looking at; older ones are dropped.
pub const DEAD_LETTERS_KEPT: usize = 64;

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter<M> {
    /// Its number in its inbox, for [`Handle::resend`](crate::Handle::resend).
    pub number: u64,
    /// The message.
    pub message: M,
    /// Why it was given up.
    pub reason: DeadLetterReason,
    /// How many incarnations crashed over it.
    pub crashes: u32,
    /// When it was given up.
    pub at: Instant,
}

/// What whoever asked is told when the question is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Buried {
    /// It waited when its receiver ended.
    Ended(Availability),
    /// Its receiver crashed over it as often as is allowed.
    Crashed,
}

/// A message that waits, or is being handled.
pub(crate) struct Queued<M> {
    pub(crate) message: M,
    /// Who is told if it becomes a dead letter.
    pub(crate) caller: Option<oneshot::Sender<Buried>>,
    /// How many incarnations crashed over it.
    pub(super) crashes: u32,
    /// Whether a fault made it, which then leaves it alone.
    pub(super) is_double: bool,
}

impl<M> Queued<M> {
    pub(crate) fn new(message: M, caller: Option<oneshot::Sender<Buried>>) -> Self {
        Self {
            message,
            caller,
            crashes: 0,
            is_double: false,
        }
    }
}

/// What becomes of a message whose handling did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no copy of it.
    Lost,
    /// The next incarnation handles it, unless it is not to be.
    Again { crashes: u32, allowed: u32 },
    /// It is a dead letter.
    Dead { crashes: u32 },
}

impl Verdict {
    pub(crate) fn decision(self, about: About) -> Decision {
        let (count, reason) = match self {
            Self::Again { crashes, allowed } => {
                return Decision::Redelivering {
                    about,
                    crashes,
                    allowed,
                };
            }
            Self::Lost => (1, DeadLetterReason::InFlight),
            Self::Dead { crashes } => (1, DeadLetterReason::Crashes(crashes)),
        };
        Decision::DeadLetters {
            about,
            count,
            reason,
        }
    }
}

/// The newest messages that were given up.
pub(super) struct DeadLetters<M> {
    kept: VecDeque<DeadLetter<M>>,
    next: u64,
}

impl<M> Default for DeadLetters<M> {
    fn default() -> Self {
        let (kept, next) = (VecDeque::new(), 1);
        Self { kept, next }
    }
}

impl<M> DeadLetters<M> {
    pub(super) fn bury(&mut self, queued: Queued<M>, reason: DeadLetterReason, told: Buried) {
        queued.caller.map(|caller| caller.send(told));
        let letter = DeadLetter {
            number: self.next,
            message: queued.message,
            reason,
            crashes: queued.crashes,
            at: Instant::now(),
        };
        self.next += 1;
        if self.kept.len() >= DEAD_LETTERS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(letter);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &DeadLetter<M>> {
        self.kept.iter()
    }

    pub(super) fn take_all(&mut self) -> Vec<M> {
        self.kept.drain(..).map(|letter| letter.message).collect()
    }

    pub(super) fn take(&mut self, number: u64) -> Option<DeadLetter<M>> {
        let place = self.kept.iter().position(|one| one.number == number)?;
        self.kept.remove(place)
    }

    /// Puts one back where it was.
    pub(super) fn put_back(&mut self, letter: DeadLetter<M>) {
        let place = self.kept.partition_point(|one| one.number < letter.number);
        self.kept.insert(place, letter);
    }
}
