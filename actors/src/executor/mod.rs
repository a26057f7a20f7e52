//! Executors, seen from the node: [`calls`] keeps what is in flight, [`actor`] speaks over a link, [`tool`] makes of an executor's
//! tools tools like any other, and [`directory`] knows who is connected.

pub mod actor;
pub mod calls;
mod directory;
mod tool;

pub use actor::{Attached, Joining, Link, attach};
pub use directory::Executors;
