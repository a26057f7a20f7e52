//! For tests of this crate and of everything that implements its traits: conformance suites and the simulation.

pub mod conformance;
pub mod machine;
pub mod moments;
pub mod outside;
pub mod recorder;
pub mod sim;
pub mod watched;
