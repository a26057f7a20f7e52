//! Impresario: a runtime in which AI agents are supervised actors, and the show goes on whatever crashes.
//!
//! This package is the node and the facade for embedding. The domain is [`actors`], the supervision under it [`supervision`];
//! both are re-exported here. Everything else is an adapter to the outside world and stands behind the feature `node`.

pub use actors;
pub use actors::feed::FeedItem;
pub use actors::model::{AgentSpec, EventBody, TaskDefinition};
pub use actors::provider::Provider;
pub use actors::provider::scripted::Scripted;
pub use actors::store::Memory;
pub use actors::system::{Deps, Settled, System};
pub use actors::tool::Tool;
pub use local::deps;
pub use supervision;

pub mod local;

#[cfg(feature = "node")]
pub mod cli;
#[cfg(feature = "node")]
pub mod client;
#[cfg(feature = "node")]
pub mod config;
#[cfg(feature = "node")]
pub mod executor;
#[cfg(feature = "node")]
pub mod http;
#[cfg(feature = "node")]
pub mod link;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod provider;
#[cfg(feature = "node")]
pub mod retention;
#[cfg(feature = "node")]
pub mod schedule;
#[cfg(feature = "node")]
pub mod settings;
#[cfg(feature = "node")]
mod sse;
#[cfg(feature = "node")]
pub mod store;
#[cfg(feature = "node")]
pub mod telemetry;
#[cfg(feature = "node")]
pub mod tool;
#[cfg(feature = "node")]
pub mod webhook;
