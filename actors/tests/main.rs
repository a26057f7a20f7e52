//! The domain through its public boundary, in virtual time.

mod crash;
mod doubt;
mod durability;
mod pool;
mod privacy;
mod seeds;
mod story;
mod support;
mod topology;
mod wait;
