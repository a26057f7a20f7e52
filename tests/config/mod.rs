//! Tests of `config` through its public boundary.

mod catalog;
mod definition;
mod good;
mod include;
mod limits;
mod marked;
mod mistakes;
mod mutation;
mod schema;
mod scripts;
mod unavailable;
