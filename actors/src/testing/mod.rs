//! For tests of this crate and of everything that implements its traits: conformance suites and the simulation.

pub mod census;
pub mod conformance;
pub mod machine;
pub mod moments;
pub mod outside;
pub mod recorder;
#[cfg(feature = "testing")]
pub mod seeds;
pub mod sim;
pub mod watched;
