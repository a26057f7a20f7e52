//! The domain through its public boundary, in virtual time.

mod budget;
mod crash;
mod doubt;
mod durability;
mod privacy;
mod seeds;
mod story;
mod support;
mod wait;
