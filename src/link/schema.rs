//! The frames as a JSON Schema, for those who write an executor in another language.

use actors::model::executor::{FromExecutor, ToExecutor};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::SUBPROTOCOL;

/// The JSON Schema of all frames: `$defs/ToExecutor` is what a node says, `$defs/FromExecutor` what an executor says.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let said = [
        generator.subschema_for::<ToExecutor>(),
        generator.subschema_for::<FromExecutor>(),
    ];
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "description": "The frames between a node and an executor, each one JSON text",
        "oneOf": said,
        "$defs": generator.take_definitions(true),
    });
    plain(&mut schema);
    schema
}

/// Descriptions without the links of the source they come from.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => fields.values_mut().for_each(plain),
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::String(text) => *text = text.replace("[`", "`").replace("`]", "`"),
        _ => {}
    }
}
