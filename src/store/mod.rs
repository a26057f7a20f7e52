//! Stores, one file each, and the folder a node keeps its data in.
//!
//! Not for sharing: one process writes a data folder at a time. [`DataFolder`] sees to that, [`Sqlite`] remembers.

pub mod folder;
mod migrate;
pub mod sqlite;

pub use folder::DataFolder;
pub use sqlite::{Durability, Options, Sqlite};
