//! The domain through its public boundary, in virtual time.

mod crash;
mod doubt;
mod story;
mod wait;
