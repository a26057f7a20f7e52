//! The description of the interface, as a client reads it.

use reqwest::Method;
use serde_json::Value;

/// One thing that can be asked.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// With `{name}` where a value is to stand.
    pub(crate) path: String,
    pub(crate) described: Value,
}

/// The whole description.
pub(crate) struct Description(pub(crate) Value);

impl Description {
    pub(crate) fn read() -> Self {
        let described = serde_json::to_value(impresario::http::openapi()).expect("JSON");
        Self(described)
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().expect("paths");
        let of_path = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().expect("methods").clone();
            let path = path.clone();
            methods
                .into_iter()
                .map(move |(method, described)| Operation {
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    described,
                })
        };
        paths.iter().flat_map(of_path).collect()
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            None => schema,
            Some(place) => {
                let found = self.0.pointer(place.trim_start_matches('#'));
                self.resolved(found.unwrap_or_else(|| panic!("{place} is not described")))
            }
        }
    }

    /// What of a value is not as it is described.
    pub(crate) fn wrong(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        let schema = self.resolved(schema);
        if let Some(all) = schema["allOf"].as_array() {
            let wrong = all.iter().flat_map(|part| self.wrong(part, value, place));
            return wrong.collect();
        }
        let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if let Some(choices) = choices {
            let fits = |part: &Value| self.wrong(part, value, place).is_empty();
            return match choices.iter().any(fits) {
                true => Vec::new(),
                false => vec![format!("{place} fits none of its forms: {value}")],
            };
        }
        if !is_of_type(&schema["type"], value) {
            return vec![format!("{place} is not {}: {value}", schema["type"])];
        }
        let mut wrong = Vec::new();
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            if value.is_object() && value.get(name).is_none() {
                wrong.push(format!("{place}/{name} is missing"));
            }
        }
        for (name, part) in value.as_object().into_iter().flatten() {
            if let Some(described) = schema["properties"].get(name) {
                wrong.extend(self.wrong(described, part, &format!("{place}/{name}")));
            }
        }
        for (n, part) in value.as_array().into_iter().flatten().enumerate() {
            wrong.extend(self.wrong(&schema["items"], part, &format!("{place}/{n}")));
        }
        wrong
    }

    /// A value that fits a schema, or nearly: `pick(n)` chooses from 0 to n - 1, and now and then something else is put in its place.
    pub(crate) fn value(&self, schema: &Value, pick: &mut dyn FnMut(usize) -> usize) -> Value {
        let schema = self.resolved(schema);
        if pick(8) == 0 {
            return odd(pick);
        }
        let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if let Some(choices) = choices {
            let choice = pick(choices.len());
            return self.value(&choices[choice], pick);
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        match kinds.get(pick(kinds.len().max(1))).copied() {
            Some("object") => self.object(schema, pick),
            Some("array") => {
                let items = (0..pick(3)).map(|_| self.value(&schema["items"], pick));
                Value::Array(items.collect())
            }
            Some("integer" | "number") => Value::from(pick(40) as i64 - 20),
            Some("boolean") => Value::Bool(pick(2) == 0),
            Some("string") => Value::String(text(pick)),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, pick: &mut dyn FnMut(usize) -> usize) -> Value {
        let mut object = serde_json::Map::new();
        for (name, part) in schema["properties"].as_object().into_iter().flatten() {
            let required = schema["required"].as_array().into_iter().flatten();
            if required.into_iter().any(|it| it == name.as_str()) || pick(3) > 0 {
                object.insert(name.clone(), self.value(part, pick));
            }
        }
        Value::Object(object)
    }
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    match kind {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

/// Texts that fit, and texts that somebody might send.
pub(crate) fn text(pick: &mut dyn FnMut(usize) -> usize) -> String {
    let texts = [
        "lead",
        "stuck",
        "pair",
        "default",
        "ours",
        "hello",
        "",
        " ",
        "api",
        "completed",
        "running",
        "tasks:read",
        "../../etc/passwd",
        "'; DROP TABLE tasks; --",
        "é\u{202e}\u{0}",
        "%00",
        "null",
        "2026-01-01T00:00:00Z",
        "task_00000000000070008000000000000000",
        "-1",
        "1e309",
    ];
    match pick(texts.len() + 1) {
        n if n < texts.len() => texts[n].to_owned(),
        _ => "x".repeat(5_000),
    }
}

fn odd(pick: &mut dyn FnMut(usize) -> usize) -> Value {
    let deep = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    match pick(8) {
        0 => Value::Null,
        1 => Value::from(u64::MAX),
        2 => Value::from(-1.5e300),
        3 => Value::Bool(true),
        4 => serde_json::json!([]),
        5 => serde_json::json!({ "": {} }),
        6 => deep(100),
        _ => Value::String(text(pick)),
    }
}
