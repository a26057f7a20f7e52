//! Tests of `executor` through its public boundary.

mod confinement;
mod crash;
mod gone;
mod host;
mod ledger;
mod link;
mod net;
mod sandbox;
mod shell;
pub(crate) mod stage;
mod tools;
mod trees;
