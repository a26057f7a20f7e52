//! The domain: tasks, runs, agents, executors and teams, as supervised actors.
//!
//! Knows no HTTP, no SQL, no vendor, no file and no environment variable: all of these are handed in through the traits
//! [`provider::Provider`], [`store::Store`], [`tool::Tool`], [`clock::Clock`] and [`clock::Ids`].

pub mod clock;
pub mod model;
pub mod provider;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tool;
