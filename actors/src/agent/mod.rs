//! An agent: a persona at work. [`context`] makes of a run's state what its model is shown, [`actor`] has the model called.

pub mod actor;
pub mod context;

pub use actor::{AgentMessage, Thought};
