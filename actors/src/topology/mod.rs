//! Who hears whom in a room: [`routing`] decides, [`actor`] tells.

pub mod actor;
pub mod routing;

pub use actor::TopologyMessage;
