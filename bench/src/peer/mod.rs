//! The actor libraries.

pub mod by_hand;
pub mod kameo;
pub mod ours;
pub mod topology;
