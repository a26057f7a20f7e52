//! Faults on purpose, played in a running system: [`plan`] says what may be brought about where, [`dice`] decides whether one strikes
//! and [`victims`] whom, and everything else lets it strike.
//!
//! | target | kinds | an occasion is | how |
//! |---|---|---|---|
//! | an agent, a run | panic, error, hang, delay | each message it handles | [`tree`]: a fault point of its supervisor |
//! | an agent, a run | kill | the moment itself; with a chance, each message it handles | [`player`], [`tree`] |
//! | a supervisor | kill | the moment itself; with a chance, each event | [`player`] |
//! | the node | kill, panic | the moment itself; with a chance, each event | [`player`] |
//! | a provider | error, hang, delay, corrupt, disconnect, panic | each model call | [`provider`]: around the real one |
//! | an executor | error, hang, delay, drop, duplicate, disconnect | each tool call | [`executor`]: between it and the node |
//! | a link | delay, drop, duplicate | each message that one agent is told of | [`link`]: where the topology tells it |
//!
//! Each fault that strikes is written into the journal of the task it concerns, as `fault_injected`. Without a plan nothing of this
//! is there.

pub mod dice;
pub mod executor;
pub mod link;
pub mod plan;
pub mod player;
pub mod provider;
pub mod shared;
pub mod tree;
pub mod victims;

pub use plan::{Fault, FaultPlan, Kind, PlanError, Target, When};
pub use shared::Faults;
