//! What both ends of an executor's link over a WebSocket have in common: the version, the codes, the limits, and how frames are carried.
//! The protocol is described in `docs/reference/executor-protocol.md`.

mod carry;
mod close;
mod frame;
mod schema;

use std::time::Duration;

pub(crate) use carry::{Ending, Heard, Said, Written, hear, part, say, trouble};
pub use close::{Close, code};
pub(crate) use frame::{call_for, fitting, greeting, read, said_by_executor};
pub use schema::schema;

/// The WebSocket subprotocol: the protocol's name and version. Both ends must agree on it.
pub const SUBPROTOCOL: &str = "impresario.executor.v1";

/// Where a node takes executors on.
pub const PATH: &str = "/v1/executors/connect";

/// The longest frame in either direction, in bytes of JSON.
pub const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// How many frames wait in each direction before nobody is asked for more.
pub(crate) const FRAMES: usize = 64;

/// How a connection is known to be alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How often the other end is asked whether it is there.
    pub ping_every: Duration,
    /// After how long without a sign of life, or without taking what it is sent, the other end counts as gone.
    pub dead_after: Duration,
    /// How long a goodbye may take.
    pub goodbye: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(20),
            dead_after: Duration::from_secs(45),
            goodbye: Duration::from_secs(1),
        }
    }
}
