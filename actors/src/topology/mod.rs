//! Who hears whom in a room: [`routing`] decides, [`actor`] tells and changes it, [`mail`] shows who was sent what.

pub mod actor;
pub mod mail;
pub mod routing;

pub use actor::{ChangeError, TopologyMessage};
pub use routing::{Company, Route, Said, Wiring};
