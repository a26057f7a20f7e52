//! The restart intensity: how many restarts were needed lately.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::event::ChildKey;
use crate::strategy::Intensity;

/// From here on an intensity is no limit, and nothing is remembered for it.
pub(super) const NO_LIMIT: u32 = 1_000_000;

/// Restarts within the period, oldest first. Times are since the supervisor's start.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) intensity: Intensity,
    restarts: VecDeque<Restarted>,
}

#[derive(Debug, Clone, Copy)]
struct Restarted {
    at: Duration,
    child: ChildKey,
    /// Until when it does not age.
    held_until: Duration,
}

impl Window {
    pub(super) fn new(intensity: Intensity) -> Self {
        Self {
            intensity,
            restarts: VecDeque::new(),
        }
    }

    /// Charges one restart; whether it is still forgiven.
    pub(super) fn charge(&mut self, now: Duration, child: ChildKey) -> bool {
        if self.intensity.restarts >= NO_LIMIT {
            return true;
        }
        while self
            .restarts
            .front()
            .is_some_and(|oldest| !self.is_recent(now, oldest))
        {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.intensity.restarts as usize {
            return false;
        }
        let place = self.restarts.partition_point(|other| other.at <= now);
        let restarted = Restarted {
            at: now,
            child,
            held_until: now,
        };
        self.restarts.insert(place, restarted);
        true
    }

    /// Keeps the restarts of some children from ageing while these children wait: otherwise any wait longer than the period
    /// would forgive everything, and a child that always crashes would be restarted for ever.
    pub(super) fn hold(&mut self, now: Duration, wait: Duration, waits: impl Fn(ChildKey) -> bool) {
        let until = now.saturating_add(wait);
        for restarted in &mut self.restarts {
            if waits(restarted.child) {
                let longer = until.saturating_sub(restarted.held_until.max(now));
                restarted.at = restarted.at.saturating_add(longer);
                restarted.held_until = restarted.held_until.max(until);
            }
        }
        self.restarts
            .make_contiguous()
            .sort_by_key(|restarted| restarted.at);
    }

    /// How many restarts of each child are in the window.
    pub(super) fn counts(&self, now: Duration) -> HashMap<ChildKey, usize> {
        let mut counts = HashMap::new();
        for restarted in self.restarts.iter().filter(|one| self.is_recent(now, one)) {
            *counts.entry(restarted.child).or_default() += 1;
        }
        counts
    }

    fn is_recent(&self, now: Duration, restarted: &Restarted) -> bool {
        restarted.at.saturating_add(self.intensity.within) >= now
    }
}
