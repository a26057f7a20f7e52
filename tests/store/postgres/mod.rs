//! PostgreSQL, where a variable names a server.

mod away;
mod conformance;
mod nodes;
mod refusals;

use std::time::Duration;

use impresario::store::postgres::Options;
use impresario::store::{Durability, Postgres};

/// Fast, and with limits that a test can reach.
fn options(url: &str) -> Options {
    Options {
        durability: Durability::Process,
        statement_timeout: Duration::from_secs(5),
        ..Options::new(url.parse().expect("a URL"))
    }
}

async fn open(url: &str) -> Postgres {
    let opened = Postgres::open(options(url)).await;
    opened.unwrap_or_else(|error| panic!("the store opens: {error}"))
}
