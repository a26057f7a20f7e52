//! Tests of `cli` through its public boundary.
