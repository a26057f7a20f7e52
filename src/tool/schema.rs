//! JSON Schema of a tool's arguments, from the doc comments of the type they are read into.

use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bad_arguments;

/// The schema of `A`, without what only tells where it came from.
pub(super) fn parameters<A: JsonSchema>() -> Value {
    let mut schema = schemars::SchemaGenerator::default()
        .into_root_schema_for::<A>()
        .to_value();
    if let Some(object) = schema.as_object_mut() {
        for noise in ["$schema", "title", "description"] {
            object.remove(noise);
        }
    }
    schema
}

/// Reads the arguments of a call.
pub(super) fn read<A: DeserializeOwned>(tool: &str, args: Value) -> Result<A, CallError> {
    serde_json::from_value(args)
        .map_err(|error| bad_arguments(format!("the arguments do not fit {tool}: {error}")))
}
