//! A task: the room in which agents work. [`roster`] knows who works on it, [`budget`] decides what may be delegated,
//! [`questions`] are what people have to decide, [`room`] starts and ends runs, and [`tree`] says what stands under what.

pub mod budget;
pub mod peers;
pub mod questions;
pub mod registry;
pub mod room;
pub mod roster;
pub mod tree;

pub use room::RoomMessage;
pub use tree::{TaskArguments, TaskSeat};
