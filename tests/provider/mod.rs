//! Tests of `provider` through its public boundary.

mod scripted;
