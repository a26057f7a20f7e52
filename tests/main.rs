//! All integration tests of the program, in one binary. A file that is not listed here fails `architecture::no_forgotten_file`.

mod api;
mod architecture;
mod cli;
mod client;
mod config;
mod examples;
mod executor;
mod fault;
mod invariants;
mod pages;
mod provider;
mod store;
mod support;
mod webhook;
