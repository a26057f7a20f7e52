//! The schema, the reader and serde know the same keys and take the same values.

use std::path::Path;

use impresario::config::{self, Config, MAX_PROBLEMS};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Values that the schema allows.
struct Generator {
    root: Value,
}

impl Generator {
    fn values(&self, schema: &Value) -> BoxedStrategy<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.values(
                &self
                    .root
                    .pointer(&reference[1..])
                    .expect("a definition")
                    .clone(),
            );
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema[key].as_array() {
                let branches: Vec<_> = branches.iter().map(|branch| self.values(branch)).collect();
                return proptest::strategy::Union::new(branches).boxed();
            }
        }
        if let Some(words) = schema["enum"].as_array().or(schema["examples"].as_array()) {
            return prop::sample::select(words.clone()).boxed();
        }
        match schema.get("const") {
            Some(word) => Just(word.clone()).boxed(),
            None => self.plain(schema),
        }
    }

    fn plain(&self, schema: &Value) -> BoxedStrategy<Value> {
        match schema["type"].as_str() {
            Some("string") => "[a-z]{1,5}".prop_map(Value::from).boxed(),
            Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
            Some("integer") => whole_numbers(schema).prop_map(Value::from).boxed(),
            Some("number") => (1..=100u32)
                .prop_map(|n| Value::from(f64::from(n) / 100.0))
                .boxed(),
            Some("array") => prop::collection::vec(self.values(&schema["items"]), 0..3)
                .prop_map(Value::from)
                .boxed(),
            Some("object") => self.object(schema),
            _ => prop_oneof![
                any::<bool>().prop_map(Value::from),
                any::<i32>().prop_map(Value::from),
                "[a-z]{0,5}".prop_map(Value::from)
            ]
            .boxed(),
        }
    }

    fn object(&self, schema: &Value) -> BoxedStrategy<Value> {
        let Some(properties) = schema["properties"].as_object() else {
            let entries = prop::collection::btree_map(
                "[a-z]{1,6}",
                self.values(&schema["additionalProperties"]),
                0..3,
            );
            return entries
                .prop_map(|entries| Value::Object(entries.into_iter().collect()))
                .boxed();
        };
        let required = |key: &String| {
            schema["required"]
                .as_array()
                .is_some_and(|keys| keys.contains(&key.as_str().into()))
        };
        let settings = properties.iter().map(|(key, value)| {
            let present = self.values(value);
            let value = match required(key) {
                true => present.prop_map(Some).boxed(),
                false => prop::option::of(present).boxed(),
            };
            (Just(key.clone()), value).boxed()
        });
        let settings: Vec<_> = settings.collect();
        settings
            .prop_map(|settings| {
                settings
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?)))
                    .collect::<Map<_, _>>()
                    .into()
            })
            .boxed()
    }
}

/// Some that the schema allows, small ones.
fn whole_numbers(schema: &Value) -> std::ops::RangeInclusive<u64> {
    let least = schema["minimum"].as_u64().unwrap_or(0);
    let most = schema["maximum"].as_u64().unwrap_or(u64::MAX);
    least..=most.min(least + 5_000)
}

fn files() -> BoxedStrategy<Value> {
    let root = config::schema();
    Generator { root: root.clone() }.values(&root)
}

/// The same data as TOML, tables inline.
fn toml(value: &Value) -> String {
    let entry = |(key, value): (&String, &Value)| format!("\"{key}\" = {}", toml(value));
    match value {
        Value::Object(map) => format!(
            "{{ {} }}",
            map.iter().map(entry).collect::<Vec<_>>().join(", ")
        ),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(toml).collect::<Vec<_>>().join(", ")
        ),
        plain => plain.to_string(),
    }
}

fn file(value: &Value) -> String {
    let sections = value.as_object().into_iter().flatten();
    sections
        .map(|(key, value)| format!("{key} = {}\n", toml(value)))
        .collect()
}

/// Complaints about one value alone, not about how values go together.
fn about_shape(message: &str) -> bool {
    message.starts_with("unknown key")
        || [" must be ", " is not a ", " is not an engine", " has no `"]
            .iter()
            .any(|part| message.contains(part))
}

/// Shapes that no JSON Schema of ours expresses.
fn beyond_schema(message: &str) -> bool {
    [
        "is not an address",
        "is not a glob",
        "is not a regular",
        "a provider of kind",
        "has no `base_url`",
        "has no script",
    ]
    .iter()
    .any(|part| message.contains(part))
        || message.contains("`[task]`")
}

fn shape_problems(text: &str) -> Vec<String> {
    let problems = config::parse("f", text, Path::new("")).err();
    let list = problems
        .iter()
        .flat_map(|p| p.list())
        .map(|p| p.message.clone());
    list.filter(|message| about_shape(message) && !beyond_schema(message))
        .collect()
}

/// Calls `change` with every table of a value that the schema says all keys of.
fn tables(
    schema: &Value,
    root: &Value,
    found: &mut Vec<(Vec<String>, Vec<String>)>,
    path: &[String],
) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(&reference[1..]).expect("a definition"),
        None => schema,
    };
    let below = |step: &str| [path, &[step.to_owned()]].concat();
    if let Some(properties) = schema["properties"].as_object() {
        found.push((path.to_vec(), properties.keys().cloned().collect()));
        properties
            .iter()
            .for_each(|(key, value)| tables(value, root, found, &below(key)));
    }
    let branches = schema["anyOf"].as_array().into_iter().flatten();
    branches.for_each(|branch| tables(branch, root, found, path));
    if schema["items"].is_object() {
        tables(&schema["items"], root, found, &below("[]"));
    }
    if schema["additionalProperties"].is_object() {
        tables(&schema["additionalProperties"], root, found, &below("name"));
    }
}

/// A file with one table of these keys at this path.
fn file_with(path: &[String], keys: &[String]) -> String {
    let entries: Map<String, Value> = keys
        .iter()
        .map(|key| (key.clone(), Value::from(true)))
        .collect();
    let wrap = |value: Value, step: &String| match step.as_str() {
        "[]" => Value::Array(vec![value]),
        key => Value::Object(Map::from_iter([(key.to_owned(), value)])),
    };
    file(&path.iter().rev().fold(Value::Object(entries), wrap))
}

/// The keys the reader does not know, of those the file has.
fn unknown_keys(text: &str) -> Vec<String> {
    let problems = config::parse("f", text, Path::new("")).err();
    let messages = problems
        .iter()
        .flat_map(|p| p.list())
        .map(|p| p.message.clone());
    messages
        .filter(|m| m.starts_with("unknown key") || m.starts_with("secrets never"))
        .collect()
}

#[test]
fn the_reader_knows_every_key_of_the_schema_and_refuses_others() {
    let (root, mut found) = (config::schema(), Vec::new());
    tables(&root, &root, &mut found, &[]);
    assert!(found.len() > 15, "the schema has {} tables", found.len());
    for (path, keys) in found {
        assert!(keys.len() < MAX_PROBLEMS);
        assert_eq!(unknown_keys(&file_with(&path, &keys)), [""; 0], "{path:?}");
        let odd = ["zzzzzzzz".to_owned()];
        assert_eq!(unknown_keys(&file_with(&path, &odd)).len(), 1, "{path:?}");
    }
}

#[test]
fn the_schema_is_as_it_was() {
    insta::assert_json_snapshot!(config::schema());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reader_takes_what_the_schema_allows(value in files()) {
        let text = file(&value);
        prop_assert_eq!(shape_problems(&text), [""; 0], "{}", text);
    }

    #[test]
    fn a_config_survives_being_pinned_and_read_back(value in files()) {
        let config: Config = serde_json::from_value(value).expect("what the schema allows");
        let pinned = config.to_json().to_string();
        prop_assert_eq!(serde_json::from_str::<Config>(&pinned).expect("what was written"), config);
    }
}
