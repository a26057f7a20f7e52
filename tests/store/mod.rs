//! Tests of `store` through its public boundary.
