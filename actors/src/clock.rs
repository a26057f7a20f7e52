//! What a system is given instead of ambient time and chance, so that a simulation repeats.

use std::sync::Mutex;

use uuid::Uuid;

use crate::model::Timestamp;

/// Wall time for records. Waiting is tokio's business, which has a paused clock of its own.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Where new identifiers come from.
pub trait Ids: Send + Sync + 'static {
    /// A UUIDv7 of the time `at`, never given out before.
    fn uuid(&self, at: Timestamp) -> Uuid;
}

/// A clock that starts at a given time and follows tokio's, so that it stands still where tokio's does.
#[derive(Debug)]
pub struct TokioClock {
    start: Timestamp,
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self {
            start,
            origin: tokio::time::Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.start.0.saturating_add(passed))
    }
}

/// Identifiers from a seeded generator: the same seed gives the same ids in the same order.
#[derive(Debug)]
pub struct SeededIds(Mutex<fastrand::Rng>);

impl SeededIds {
    /// Identifiers from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Ids for SeededIds {
    fn uuid(&self, at: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(at.0, &random).into_uuid()
    }
}
