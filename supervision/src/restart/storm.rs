//! The limit on restarts of a whole tree. Pure.
//!
//! When something that everybody depends on goes down, everybody crashes at once and every supervisor restarts within its own
//! limits: together that is a storm. Restarts beyond the limit are not refused but spaced out.

use std::time::Duration;

use crate::strategy::Intensity;

/// Spaces restarts out: `restarts` at once, and after that one each `within / restarts` (the generic cell rate algorithm).
#[derive(Debug, Clone)]
pub struct Storm {
    every: Duration,
    burst: Duration,
    /// When the next restart would be due if they came evenly.
    due: Duration,
}

impl Storm {
    /// A limit; at least one restart in its period.
    #[must_use]
    pub fn new(limit: Intensity) -> Self {
        let every = limit.within / limit.restarts.max(1);
        Self {
            every,
            burst: limit.within.saturating_sub(every),
            due: Duration::ZERO,
        }
    }

    /// Takes leave for one restart: how long it has to wait.
    pub fn take(&mut self, now: Duration) -> Duration {
        let due = self.due.max(now);
        self.due = due.saturating_add(self.every);
        due.saturating_sub(now).saturating_sub(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_are_allowed_go_at_once_and_the_others_one_after_another() {
        let mut storm = Storm::new(Intensity::new(3, Duration::from_secs(30)));
        let waits = |now: u64, n: usize, storm: &mut Storm| -> Vec<u64> {
            let now = Duration::from_secs(now);
            (0..n).map(|_| storm.take(now).as_secs()).collect()
        };
        assert_eq!(waits(0, 6, &mut storm), [0, 0, 0, 10, 20, 30]);
        assert_eq!(waits(60, 1, &mut storm), [0]);
        assert_eq!(waits(100, 4, &mut storm), [0, 0, 0, 10]);
    }

    proptest::proptest! {
        #[test]
        fn no_period_ever_holds_more_than_twice_as_many(gaps in proptest::collection::vec(0_u64..20, 1..200), most in 1_u32..20) {
            let limit = Intensity::new(most, Duration::from_secs(10));
            let mut storm = Storm::new(limit);
            let mut now = Duration::ZERO;
            let mut begun = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap * 100);
                begun.push(now + storm.take(now));
            }
            for (n, at) in begun.iter().enumerate() {
                let within = begun[n..].iter().filter(|other| **other < *at + limit.within).count();
                proptest::prop_assert!(within <= 2 * most as usize, "{within} within the period after {at:?}");
            }
        }
    }
}
