//! Whole numbers of a range.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::read::plain::whole_number;
use super::read::{Node, Read, Report};

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Whole<const LEAST: u32, const MOST: u32>(u32);

/// A whole number of at least one.
pub type Count = Whole<1, { u32::MAX }>;

impl<const LEAST: u32, const MOST: u32> Whole<LEAST, MOST> {
    /// The number, or the end of the range that it lies beyond.
    #[must_use]
    pub const fn new(n: u32) -> Self {
        match n {
            n if n < LEAST => Self(LEAST),
            n if n > MOST => Self(MOST),
            n => Self(n),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> Default for Whole<LEAST, MOST> {
    fn default() -> Self {
        Self(LEAST)
    }
}

impl<const LEAST: u32, const MOST: u32> fmt::Display for Whole<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let n = u32::deserialize(d)?;
        match (LEAST..=MOST).contains(&n) {
            true => Ok(Self(n)),
            false => Err(serde::de::Error::custom(format!(
                "{n} is not from {LEAST} to {MOST}"
            ))),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> JsonSchema for Whole<LEAST, MOST> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Whole{LEAST}To{MOST}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        match MOST {
            u32::MAX => json_schema!({ "type": "integer", "minimum": LEAST }),
            _ => json_schema!({ "type": "integer", "minimum": LEAST, "maximum": MOST }),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> Read for Whole<LEAST, MOST> {
    fn read(node: &Node<'_>, report: &mut Report<'_>) -> Self {
        whole_number(node, i64::from(LEAST), i64::from(MOST), report)
            .and_then(|n| u32::try_from(n).ok())
            .map_or_else(Self::default, Self::new)
    }
}
