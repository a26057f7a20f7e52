//! JSON Schema of a tool's arguments, from the doc comments of the type they are read into.

use actors::model::executor::CallError;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bad_arguments;

/// The schema of `A`, as plain as providers like it: what may be left out is not also allowed to be null, and numbers have no format.
pub(super) fn parameters<A: JsonSchema>() -> Value {
    let mut schema = schemars::SchemaGenerator::default()
        .into_root_schema_for::<A>()
        .to_value();
    if let Some(object) = schema.as_object_mut() {
        for noise in ["$schema", "title", "description"] {
            object.remove(noise);
        }
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    properties
        .into_iter()
        .flatten()
        .for_each(|(_, property)| plain(property));
    schema
}

fn plain(property: &mut Value) {
    let Some(object) = property.as_object_mut() else {
        return;
    };
    object.remove("format");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
}

/// Reads the arguments of a call.
pub(super) fn read<A: DeserializeOwned>(tool: &str, args: Value) -> Result<A, CallError> {
    serde_json::from_value(args)
        .map_err(|error| bad_arguments(format!("the arguments do not fit {tool}: {error}")))
}
