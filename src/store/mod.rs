//! Stores, one file each, and the folder a node keeps its data in.
//!
//! A data folder is not for sharing: one process writes it at a time. [`DataFolder`] sees to that, [`Sqlite`] remembers. A PostgreSQL
//! database may be shared by several nodes. [`open`] opens either by its URL.

pub mod folder;
mod group;
mod migrate;
mod open;
pub mod postgres;
pub mod sqlite;

pub use folder::DataFolder;
pub use open::{Durable, open};
pub use postgres::Postgres;
pub use sqlite::{Durability, Options, Sqlite};

/// What an error of the system says, without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    let said = text.split(" (os error").next();
    said.unwrap_or_default().to_owned()
}
