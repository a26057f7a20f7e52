//! A provider whose agents named `thinker` think until they are told to stop.

use std::sync::Arc;

use actors::model::{ModelRequest, Reply};
use actors::provider::scripted::{Scripted, ScriptedSettings};
use actors::provider::{DeltaSink, Provider, ProviderError};
use futures_util::future::BoxFuture;
use serde_json::Value;

pub(crate) struct Slow(Scripted);

/// Plays these scripts, but for the thinkers.
pub(crate) fn slow(scripts: Value) -> Arc<dyn Provider> {
    let settings: ScriptedSettings = serde_json::from_value(scripts).expect("scripts");
    Arc::new(Slow(Scripted::new(&settings).expect("well-formed scripts")))
}

impl Provider for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        match request.agent.as_str() {
            "thinker" => Box::pin(std::future::pending()),
            _ => self.0.call(request, deltas),
        }
    }
}
