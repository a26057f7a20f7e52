//! An agent: a persona at work. [`actor`] has its model called, through the [`gate`] of the run that wants it.

pub mod actor;
pub mod gate;

pub use actor::{AgentMessage, Thought};
pub use gate::Gate;
