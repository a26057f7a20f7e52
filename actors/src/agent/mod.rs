//! An agent: a persona at work. [`actor`] has its model called.

pub mod actor;

pub use actor::{AgentMessage, Thought};
