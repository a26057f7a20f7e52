//! One suite per contract, run against every implementation. An adapter of your own can run them too.

pub mod provider;
pub mod records;
pub mod store;
