//! How urgent a task is.

use actors::pool::PRIORITIES;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::read::plain::whole_number;
use super::read::{Node, Read, Report};

/// How urgent a task is, within [`PRIORITIES`]; 0 is the usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Priority(i32);

impl Priority {
    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let n = i32::deserialize(d)?;
        let (low, high) = (PRIORITIES.start(), PRIORITIES.end());
        match PRIORITIES.contains(&n) {
            true => Ok(Self(n)),
            false => Err(serde::de::Error::custom(format!(
                "{n} is not from {low} to {high}"
            ))),
        }
    }
}

impl JsonSchema for Priority {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Priority".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let (low, high) = (PRIORITIES.start(), PRIORITIES.end());
        json_schema!({ "type": "integer", "minimum": low, "maximum": high })
    }
}

impl Read for Priority {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        let (low, high) = (i64::from(*PRIORITIES.start()), i64::from(*PRIORITIES.end()));
        let number = whole_number(node, low, high, report);
        number
            .and_then(|n| i32::try_from(n).ok())
            .map_or_else(Self::default, Self)
    }
}
