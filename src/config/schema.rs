//! The file, described to editors.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::file::Config;
use super::unavailable::unavailable_keys;

/// The JSON Schema (2020-12) of the file. What this version does not do is described as such.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>().to_value();
    without_null(&mut schema);
    for key in unavailable_keys() {
        mark_unavailable(&mut schema, key);
    }
    schema
}

/// TOML has no null: what may be left out is left out.
fn without_null(schema: &mut Value) {
    if let Some([what, Value::String(null)]) = schema["type"].as_array().map(Vec::as_slice)
        && null == "null"
    {
        schema["type"] = what.clone();
    }
    if let Some([what, null]) = schema["anyOf"].as_array().map(Vec::as_slice)
        && *null == json!({ "type": "null" })
    {
        let what = what.clone();
        merge(schema, what);
    }
    let below: Box<dyn Iterator<Item = &mut Value>> = match schema {
        Value::Object(map) => Box::new(map.values_mut()),
        Value::Array(list) => Box::new(list.iter_mut()),
        _ => return,
    };
    below
        .filter(|below| below.is_object() || below.is_array())
        .for_each(without_null);
}

fn merge(schema: &mut Value, what: Value) {
    if let (Value::Object(schema), Value::Object(what)) = (schema, what) {
        schema.remove("anyOf");
        for (key, value) in what {
            schema.entry(key).or_insert(value);
        }
    }
}

fn mark_unavailable(schema: &mut Value, pattern: &str) {
    let Some(setting) = pointer(schema, pattern).and_then(|pointer| schema.pointer_mut(&pointer))
    else {
        return;
    };
    let description = setting["description"].as_str().unwrap_or_default();
    setting["description"] = format!("Not available in this version. {description}").into();
}

/// Where in the schema the settings are described that a pattern such as `agents.*.tools` means.
pub(super) fn pointer(schema: &Value, pattern: &str) -> Option<String> {
    let mut pointer = String::new();
    for step in pattern.split('.') {
        pointer = followed(schema, pointer)?;
        let here = schema.pointer(&pointer)?;
        let next = match step {
            "*" if here.get("items").is_some() => "/items".to_owned(),
            "*" => "/additionalProperties".to_owned(),
            name => format!("/properties/{name}"),
        };
        pointer += &next;
    }
    schema.pointer(&pointer).map(|_| pointer)
}

/// The definition behind a reference, and behind the choice between a word and a table.
fn followed(schema: &Value, pointer: String) -> Option<String> {
    let here = schema.pointer(&pointer)?;
    if let Some(reference) = here["$ref"].as_str() {
        return followed(schema, reference.trim_start_matches('#').to_owned());
    }
    match here["anyOf"].as_array() {
        Some(branches) => followed(schema, format!("{pointer}/anyOf/{}", branches.len() - 1)),
        None => Some(pointer),
    }
}
