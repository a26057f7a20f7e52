//! The domain through its public boundary, in virtual time.

mod crash;
mod story;
mod wait;
