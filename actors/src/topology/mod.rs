//! Who hears whom in a room: [`routing`] decides, [`actor`] tells and changes it.

pub mod actor;
pub mod routing;

pub use actor::{ChangeError, TopologyMessage};
pub use routing::{Company, Route, Said, Wiring};
