//! Tests of `executor` through its public boundary.
