//! Stores, one file each, and the folder a node keeps its data in.
//!
//! Not for sharing: one process writes a data folder at a time. [`DataFolder`] sees to that, [`Sqlite`] remembers.

pub mod folder;
mod migrate;
pub mod sqlite;

pub use folder::DataFolder;
pub use sqlite::{Durability, Options, Sqlite};

/// What an error of the system says, without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    let said = text.split(" (os error").next();
    said.unwrap_or_default().to_owned()
}
