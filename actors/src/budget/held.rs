//! For how long work was held up, which counts for no limit of time. Pure.

use crate::model::Timestamp;

/// A clock that runs while there is any reason to wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    asks: bool,
    paused: bool,
    since: Option<Timestamp>,
    ms: u64,
}

/// Why somebody is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// The task waits for a person.
    Asks,
    /// Somebody paused it.
    Paused,
}

impl Held {
    /// From now on it is held up for this reason, or is not any more.
    pub(super) fn set(&mut self, because: Because, is_so: bool, now: Timestamp) {
        match because {
            Because::Asks => self.asks = is_so,
            Because::Paused => self.paused = is_so,
        }
        if self.asks || self.paused {
            self.since.get_or_insert(now);
        } else {
            self.ms = self.until(now);
            self.since = None;
        }
    }

    /// The same for one that begins only now: it is held up by what the task waits for.
    pub(super) fn of_new(self, now: Timestamp) -> Self {
        let mut new = Self::default();
        new.set(Because::Asks, self.asks, now);
        new
    }

    /// How long it was held up until now, in milliseconds.
    pub(super) fn until(self, now: Timestamp) -> u64 {
        let since = self.since.map_or(0, |since| now.0.saturating_sub(since.0));
        self.ms.saturating_add(since)
    }
}
