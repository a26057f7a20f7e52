//! The file: what it may say, how it is read, and every mistake in it at once.
//!
//! [`load`] reads a file into a [`Config`] or tells all its [`Problems`]; [`Config::definition`] makes a task of it; [`schema`]
//! describes it to editors. Reading order: `file` (the settings), `defaults`, `read` (how one value is read), `check` (what cannot
//! be seen by looking at one value), `unavailable` (what this version does not do).

mod catalog;
mod check;
mod choice;
mod defaults;
mod definition;
mod faults;
mod file;
mod include;
mod load;
mod nearest;
mod path;
mod priority;
mod problem;
mod read;
mod render;
mod schema;
mod source;
mod unavailable;
mod values;
mod whole;

pub use catalog::{EVENTS, TOOLS};
pub use defaults::PROJECT;
pub use definition::{Addressee, ConfigError, TaskChoice, TaskOrder};
pub use file::*;
pub use load::{Loaded, MAX_FILE_BYTES, load, load_all, parse};
pub use priority::Priority;
pub use problem::{MAX_PROBLEMS, Problem, Problems};
pub use render::Rendering;
pub use schema::schema;
pub(crate) use source::turns_or_hides;
pub use values::{Delay, NotationError, Period, Rate};
pub use whole::{Count, Whole};
