//! A task: the room in which agents work. [`roster`] knows who works on it, [`budget`] decides what may be delegated, [`room`]
//! starts and ends runs, and [`tree`] says what stands under what.

pub mod budget;
pub mod registry;
pub mod room;
pub mod roster;
pub mod tree;

pub use room::RoomMessage;
pub use tree::{TaskArguments, TaskSeat};
