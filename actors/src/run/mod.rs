//! A run: one agent's work on one brief, as a fold and a function.
//!
//! [`state::RunState`] is folded from the run's events, [`next::next`] says what is to be done in a state, and [`actor`] does it and
//! writes down what came of it. Nothing is replayed: a run that crashed is folded again and asked for its next effects.
//!
//! The lifecycle is a table of arrows in `docs/lifecycles/run.md`.

mod accounts;
pub mod actor;
pub mod cause;
pub mod context;
mod effects;
mod fold;
pub mod fork;
mod load;
pub mod next;
mod notes;
pub mod read;
pub mod recover;
pub mod snapshot;
pub mod state;
pub mod stuck;
pub mod tools;
pub mod why;

pub use actor::{Queued, RunArguments, RunMessage, RunReport};
pub use next::{Effect, next};
pub use state::RunState;
