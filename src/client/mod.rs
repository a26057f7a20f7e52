//! A client of a running node: tasks are created, watched and acted on from another program.
//!
//! ```no_run
//! use impresario::client::{Client, NewTask, Update};
//!
//! # async fn example() -> Result<(), impresario::client::Error> {
//! let client = Client::from_env()?;
//! let task = client.create_task(&NewTask::new("count the chairs").agent("lead")).await?;
//! let mut events = client.events(task.id());
//! while let Some(update) = events.next().await? {
//!     if let Update::Event(event) = update {
//!         println!("{} {}", event.id, event.body.kind());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Whatever makes or changes something carries an `Idempotency-Key` that is made for it, so a request whose answer was lost is sent again
//! and makes nothing twice. [`Events`] connects again by itself, without a gap and without a repeat.
//!
//! Not for it: to connect as an executor, and to run a task without a node, which [`System`](crate::System) does.

mod access;
mod ask;
mod connect;
mod error;
mod events;
mod options;
mod problem;
mod runs;
mod supervision;
mod tasks;
mod view;

pub use access::{Key, MadeKey, NewKey, Project};
pub use connect::Client;
pub use error::Error;
pub use events::{Events, Update};
pub use options::Options;
pub use problem::{FieldError, Problem, ProblemKind};
pub use supervision::Node;
pub use tasks::{NewTask, TaskFilter};
pub use view::{Message, Page, Paging, Run, RunDetail, Task, TaskDetail, Why};
