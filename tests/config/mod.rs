//! Tests of `config` through its public boundary.
