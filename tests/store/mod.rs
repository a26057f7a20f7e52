//! Tests of `store` through its public boundary.

mod child;
mod conformance;
mod crash;
mod damage;
mod folder;
mod full;
mod limits;
mod locked;
mod postgres;
mod records;
mod schema;
mod size;
