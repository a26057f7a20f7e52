//! Stores, one file each.
