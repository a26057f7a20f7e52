//! Model providers, one file each.
//!
//! To add one: write a file with a type that implements [`Provider`] and settings that implement `Deserialize`, and add its
//! line to [`KINDS`]. The conformance suite `actors::testing::conformance::provider` says whether it keeps the contract.

mod endpoint;
pub mod openai;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use actors::provider::Provider;
use actors::provider::scripted::{ScriptErrors, Scripted};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Makes a provider from the settings of its own that stand in a file.
pub type Constructor = fn(Value) -> Result<Arc<dyn Provider>, BuildError>;

/// Every kind of provider there is, as in `kind = "…"`.
pub const KINDS: &[(&str, Constructor)] = &[
    ("openai-compatible", |settings| {
        Ok(Arc::new(openai::OpenAiCompatible::new(read(settings)?)?))
    }),
    ("scripted", |settings| {
        Ok(Arc::new(Scripted::new(&read(settings)?)?))
    }),
];

/// The settings of a provider that are not its own: the node keeps them for every kind.
pub const COMMON: [&str; 5] = ["kind", "max_concurrent", "rate_limits", "retry", "breaker"];

/// Why a provider cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is no such kind.
    #[error("`kind`: there is no provider of kind `{kind}`{}; there are {known}", did_you_mean(.similar))]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// The kinds there are.
        known: String,
        /// The kind that may have been meant.
        similar: Option<&'static str>,
    },
    /// One setting is wrong.
    #[error("`{key}` {problem}")]
    Setting {
        /// Which.
        key: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The settings cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The scripts of a scripted provider are wrong.
    #[error(transparent)]
    Scripts(#[from] ScriptErrors),
}

/// Makes a provider of `kind` from its table in a file; the keys in [`COMMON`] are passed over.
///
/// # Errors
/// The kind or the setting that is wrong.
pub fn build(kind: &str, mut settings: Value) -> Result<Arc<dyn Provider>, BuildError> {
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    let (_, constructor) = found.ok_or_else(|| unknown(kind))?;
    if let Value::Object(table) = &mut settings {
        table.retain(|key, _| !COMMON.contains(&key.as_str()));
    }
    constructor(settings)
}

fn unknown(kind: &str) -> BuildError {
    let names = || KINDS.iter().map(|(name, _)| *name);
    let near = names().map(|name| (strsim::jaro_winkler(name, kind), name));
    let near = near.filter(|(likeness, _)| *likeness > 0.8);
    let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
    BuildError::UnknownKind {
        kind: kind.to_owned(),
        known: known.join(", "),
        similar: near
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name),
    }
}

fn did_you_mean(similar: &Option<&'static str>) -> String {
    similar.map_or_else(String::new, |name| format!(", did you mean `{name}`"))
}

fn read<S: DeserializeOwned>(settings: Value) -> Result<S, BuildError> {
    serde_json::from_value(settings).map_err(|error| BuildError::Unreadable(error.to_string()))
}

/// A duration as files write it: `30s`.
fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("`{text}` is no duration such as `30s` ({error})"))
    })
}
