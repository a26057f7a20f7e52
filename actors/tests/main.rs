//! The domain through its public boundary, in virtual time.

mod crash;
mod doubt;
mod pool;
mod seeds;
mod story;
mod support;
mod troupes;
mod wait;
