//! Tests of `provider` through its public boundary.
