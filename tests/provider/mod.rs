//! Tests of `provider` through its public boundary.

mod conformance;
mod counterparts;
mod openai;
mod registry;
mod scripted;
