//! What a system is given on this machine: its clock and its random source.

use std::sync::Arc;
use std::time::SystemTime;

use actors::clock::{Clock, Ids};
use actors::model::Timestamp;
use actors::store::Store;
use actors::system::Deps;
use uuid::Uuid;

/// A system over this store, with the machine's clock and random ids. Providers and tools are still to be given.
#[must_use]
pub fn deps<S: Store>(store: Arc<S>) -> Deps {
    Deps::new(store, Arc::new(SystemClock), Arc::new(RandomIds))
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the Clock the rest of the program is given"
        )]
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Identifiers from the machine's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn uuid(&self, at: Timestamp) -> Uuid {
        let mut random = [0; 10];
        fastrand::fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(at.0, &random).into_uuid()
    }
}
