//! What can be set about a node while it runs. It is kept as a record that says only what was changed: the rest is as the file has it.
//!
//! `patch` decides what a change makes of it; [`Settings`] writes it down and puts it in force.

mod patch;

use std::collections::BTreeMap;
use std::sync::Arc;

use actors::model::Timestamp;
use actors::pool::{BreakerLimits, Limits, ProviderLimits, Rate};
use actors::registry::{Registry, RegistryError};
use actors::system::System;
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Count, Problem, ProviderConfig};

pub use patch::{MOST_PERMITS, Patch, PatchError, Standing};

/// What was changed; what is none is as the file has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// Whether new tasks are taken.
    pub enabled: Option<bool>,
    /// Whether unfinished tasks go on when the node starts.
    pub auto_recover: Option<bool>,
    /// Sizes of pools.
    pub pools: BTreeMap<String, u32>,
}

/// What came of loading the file again.
#[derive(Debug, Clone)]
pub struct Reload {
    /// When.
    pub at: Timestamp,
    /// What is wrong with the file; it changed nothing then.
    pub problems: Vec<Problem>,
    /// Why it could not be put in force, although nothing is wrong with it.
    pub error: Option<String>,
    /// What of it takes effect only when the node is started again.
    pub notes: Vec<String>,
}

impl Reload {
    /// Whether the file is in force.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.error.is_none()
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It is not what whoever asks has seen.
    #[error("the settings are not as you have seen them: read them again")]
    Changed,
    /// It makes no sense.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// It could not be kept.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

const KIND: &str = "setting";
const KEY: &str = "node";

/// What was changed in an earlier life, and the version of its record.
///
/// # Errors
/// When it cannot be read.
pub async fn kept(registry: &Registry) -> Result<(Changes, u64), RegistryError> {
    let found = registry.get::<Changes>(KIND, KEY).await?;
    Ok(found.unwrap_or_default())
}

/// The settings of a node. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub struct Settings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    system: System,
    registry: Registry,
    config: Arc<ArcSwap<Config>>,
    changes: ArcSwap<Changes>,
    reload: ArcSwap<Option<Reload>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Settings {
    /// As the file has them.
    #[must_use]
    pub fn new(system: System, registry: Registry, config: Arc<ArcSwap<Config>>) -> Self {
        Self(Arc::new(Shared {
            system,
            registry,
            config,
            changes: ArcSwap::default(),
            reload: ArcSwap::default(),
            changing: tokio::sync::Mutex::new(()),
        }))
    }

    /// How they stand.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing::of(&self.0.config.load(), &self.0.changes.load())
    }

    /// What came of loading the file again the last time; none if it was loaded once.
    #[must_use]
    pub fn last_reload(&self) -> Option<Reload> {
        Option::clone(&self.0.reload.load())
    }

    /// Puts in force what was changed in an earlier life.
    pub fn adopt(&self, changes: Changes) {
        self.0.changes.store(Arc::new(changes));
        self.enforce();
    }

    /// Changes them: kept when this returns, and in force. `seen` says whether whoever asks has seen them as they stand.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub async fn change(
        &self,
        patch: &Patch,
        seen: impl Fn(&Standing) -> bool + Send,
    ) -> Result<Standing, ChangeError> {
        let _alone = self.0.changing.lock().await;
        // Another node on the same store may have changed them.
        let (changes, version) = kept(&self.0.registry).await?;
        let config = self.0.config.load_full();
        if !seen(&Standing::of(&config, &changes)) {
            self.adopt(changes);
            return Err(ChangeError::Changed);
        }
        let changes = patch.applied(changes, &config)?;
        let put = self.0.registry.put(KIND, KEY, Some(version), &changes);
        match put.await {
            Err(RegistryError::Conflict(_)) => return Err(ChangeError::Changed),
            put => put?,
        };
        self.adopt(changes);
        Ok(self.standing())
    }

    /// The file was loaded again and is good: it is in force from now on.
    pub fn renew(&self, config: Config, notes: Vec<String>) {
        self.0.config.store(Arc::new(config));
        self.enforce();
        self.told(Vec::new(), None, notes);
    }

    /// The file was loaded again and changes nothing, for these reasons.
    pub fn refuse(&self, problems: Vec<Problem>, error: Option<String>) {
        self.told(problems, error, Vec::new());
    }

    fn told(&self, problems: Vec<Problem>, error: Option<String>, notes: Vec<String>) {
        let reload = Reload {
            at: self.0.registry.now(),
            problems,
            error,
            notes,
        };
        self.0.reload.store(Arc::new(Some(reload)));
    }

    fn enforce(&self) {
        let limits = pool_limits(&self.0.config.load(), &self.0.changes.load());
        self.0.system.pools().configure(&limits);
    }
}

/// The sizes of the pools and the limits of the providers as the file has them, with what was changed.
#[must_use]
pub fn pool_limits(config: &Config, changes: &Changes) -> Limits {
    let size = |(name, size): (String, u32)| (name, size as usize);
    let provider = |(name, own): (&String, &ProviderConfig)| (name.clone(), provider_limits(own));
    Limits {
        pools: Standing::of(config, changes)
            .pools
            .into_iter()
            .map(size)
            .collect(),
        providers: config.providers.iter().map(provider).collect(),
        waiting: config.node.max_waiting_calls.get() as usize,
        seed: fastrand::u64(..),
    }
}

fn provider_limits(provider: &ProviderConfig) -> ProviderLimits {
    let rates = provider.rate_limits.iter().map(|rate| Rate {
        count: rate.count.get(),
        per: rate.per.get(),
    });
    ProviderLimits {
        max_concurrent: provider.max_concurrent.map(Count::get),
        rates: rates.collect(),
        breaker: provider.breaker.as_ref().map(|breaker| BreakerLimits {
            failures: breaker.failures.get(),
            within: breaker.within.get(),
            reset_after: breaker.reset_after.get(),
        }),
    }
}
