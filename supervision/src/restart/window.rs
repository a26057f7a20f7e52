//! The restart intensity: how many restarts were needed lately.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::ChildKey;
use crate::strategy::Intensity;

/// Restarts within the period. Times are since the supervisor's start.
#[derive(Debug, Clone)]
pub(super) struct Window {
    intensity: Intensity,
    restarts: VecDeque<(Duration, ChildKey)>,
    held_until: Duration,
}

impl Window {
    pub(super) fn new(intensity: Intensity) -> Self {
        Self {
            intensity,
            restarts: VecDeque::new(),
            held_until: Duration::ZERO,
        }
    }

    /// Charges one restart; whether it is still forgiven.
    pub(super) fn charge(&mut self, now: Duration, child: ChildKey) -> bool {
        self.forget(now);
        self.restarts.push_back((now, child));
        self.restarts.len() <= self.intensity.restarts as usize
    }

    /// Keeps the period from running during a wait: otherwise any wait longer than the period would forgive everything,
    /// and a child that always crashes would be restarted for ever.
    pub(super) fn hold(&mut self, now: Duration, wait: Duration) {
        let until = now + wait;
        let longer = until.saturating_sub(self.held_until.max(now));
        for (at, _) in &mut self.restarts {
            *at += longer;
        }
        self.held_until = self.held_until.max(until);
    }

    /// How many restarts of `child` are in the window.
    pub(super) fn count(&self, now: Duration, child: ChildKey) -> usize {
        self.restarts
            .iter()
            .filter(|(at, of)| *of == child && self.is_recent(now, *at))
            .count()
    }

    fn is_recent(&self, now: Duration, at: Duration) -> bool {
        at + self.intensity.within >= now
    }

    fn forget(&mut self, now: Duration) {
        let within = self.intensity.within;
        self.restarts.retain(|(at, _)| *at + within >= now);
    }
}
