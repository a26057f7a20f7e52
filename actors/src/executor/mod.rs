//! Executors, seen from the node: [`calls`] keeps what is in flight, [`actor`] speaks over a link, [`tool`] makes of an executor's
//! tools tools like any other.

pub mod actor;
pub mod calls;
pub mod tool;

pub use actor::{Link, attach};
pub use tool::Executors;
