//! What a change makes of the settings. Pure.

use std::collections::BTreeMap;

use actors::pool::WORKERS;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::config::Config;

use super::Changes;

/// The largest size that a pool can be given at run time.
pub const MOST_PERMITS: u32 = 100_000;

const CLAUDE_CODE: &str = "claude_code";

/// The settings of a node, in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Standing {
    /// Whether new tasks are taken. Those that have begun go on in any case.
    pub enabled: bool,
    /// The size of the pool `workers`.
    pub max_concurrent_workers: u32,
    /// The size of the pool `claude_code`.
    pub max_concurrent_cc: u32,
    /// Whether unfinished tasks go on when the node starts.
    pub auto_recover: bool,
    /// The sizes of all pools.
    pub pools: BTreeMap<String, u32>,
}

impl Standing {
    /// What the file says, and what was changed.
    #[must_use]
    pub fn of(config: &Config, changes: &Changes) -> Self {
        let file = config
            .pools
            .iter()
            .map(|(name, size)| (name.clone(), size.get()));
        let mut pools: BTreeMap<_, _> = file.collect();
        for (name, size) in &changes.pools {
            // A pool that the file does not have any more is nobody's.
            if let Some(own) = pools.get_mut(name) {
                *own = *size;
            }
        }
        let size = |name: &str| pools.get(name).copied().unwrap_or_default();
        Self {
            enabled: changes.enabled.unwrap_or(true),
            max_concurrent_workers: size(WORKERS),
            max_concurrent_cc: size(CLAUDE_CODE),
            auto_recover: changes.auto_recover.unwrap_or(config.node.auto_recover),
            pools,
        }
    }
}

/// A JSON merge patch of the settings: `null` takes a change back, and the file's value is in force again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patch {
    /// Whether new tasks are taken.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<bool>)]
    enabled: Option<Option<bool>>,
    /// The size of the pool `workers`.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    max_concurrent_workers: Option<Option<u32>>,
    /// The size of the pool `claude_code`.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    max_concurrent_cc: Option<Option<u32>>,
    /// Whether unfinished tasks go on when the node starts.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<bool>)]
    auto_recover: Option<Option<bool>>,
    /// Sizes of pools that the file declares.
    #[schema(value_type = Option<BTreeMap<String, Option<u32>>>)]
    pools: Option<BTreeMap<String, Option<u32>>>,
}

/// Tells what was left out from what is null.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

/// Why a change makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PatchError {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl Patch {
    pub(super) fn applied(
        &self,
        mut changes: Changes,
        config: &Config,
    ) -> Result<Changes, PatchError> {
        if let Some(enabled) = self.enabled {
            changes.enabled = enabled;
        }
        if let Some(auto_recover) = self.auto_recover {
            changes.auto_recover = auto_recover;
        }
        for (name, (pointer, size)) in self.sizes()? {
            if !config.pools.contains_key(&name) {
                let known: Vec<_> = config.pools.keys().map(String::as_str).collect();
                let detail = format!(
                    "there is no pool `{name}`: the file has {}",
                    known.join(", ")
                );
                return Err(PatchError { pointer, detail });
            }
            match size {
                None => drop(changes.pools.remove(&name)),
                Some(1..=MOST_PERMITS) => drop(changes.pools.insert(name, size.unwrap_or(1))),
                Some(other) => {
                    let detail = format!("{other} is not from 1 to {MOST_PERMITS}");
                    return Err(PatchError { pointer, detail });
                }
            }
        }
        Ok(changes)
    }

    /// Pools by name, with where they stand. Two that say different things of one pool contradict each other.
    fn sizes(&self) -> Result<BTreeMap<String, (String, Option<u32>)>, PatchError> {
        let named = [
            (
                WORKERS,
                "max_concurrent_workers",
                self.max_concurrent_workers,
            ),
            (CLAUDE_CODE, "max_concurrent_cc", self.max_concurrent_cc),
        ];
        let named = named.into_iter().filter_map(|(pool, field, size)| {
            Some((pool.to_owned(), (format!("/{field}"), size?)))
        });
        let mut sizes: BTreeMap<_, _> = named.collect();
        for (name, size) in self.pools.iter().flatten() {
            let pointer = format!("/pools/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some((other, _)) = sizes.get(name).filter(|(_, other)| other != size) {
                let detail = format!("this contradicts `{}`", other.trim_start_matches('/'));
                return Err(PatchError { pointer, detail });
            }
            sizes.insert(name.clone(), (pointer, *size));
        }
        Ok(sizes)
    }
}
