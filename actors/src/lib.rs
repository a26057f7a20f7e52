//! The domain: tasks, runs, agents, executors and teams, as supervised actors.
//!
//! Knows no HTTP, no SQL, no vendor, no file and no environment variable: all of these are handed in through the traits
//! [`provider::Provider`], [`store::Store`], [`tool::Tool`], [`clock::Clock`] and [`clock::Ids`].

pub mod agent;
pub mod budget;
pub mod clock;
pub mod executor;
pub mod fault;
pub mod feed;
pub mod journal;
pub mod model;
pub mod pool;
pub mod provider;
pub mod recipient;
pub mod registry;
pub mod run;
pub mod store;
pub mod system;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tool;
pub mod topology;
