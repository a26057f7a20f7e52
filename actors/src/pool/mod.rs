//! Pools of permits and limits of providers: which model call may be made, and when.
//!
//! A permit is held for one request, never for an agent or a run, so runs that wait for each other cannot wait for permits of each
//! other. The core, which decides, takes the time as an argument; [`Pools`] is the shell around it, on tokio's clock.

mod cool;
mod core;
mod gate;
mod look;
mod rate;
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{RunId, TaskId};

pub use self::core::{AGE, OVERTAKEN, PRIORITIES};
pub use gate::{BreakerLimits, LONGEST_OPEN, ProviderLimits};
pub use look::{Look, PoolLook, ProviderLook, RateLook};
pub use rate::{MOST_REQUESTS, Rate};
pub use shell::{Permit, Pools, Waiting};

/// The pool that agents use unless they say otherwise.
pub const WORKERS: &str = "workers";

/// Permits of [`WORKERS`] unless said otherwise.
pub const DEFAULT_WORKERS: usize = 5;

/// How many calls may wait for one pool unless said otherwise.
pub const DEFAULT_WAITING: usize = 20_000;

/// What pools there are and what providers take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sizes of the pools; [`WORKERS`] is there in any case.
    pub pools: BTreeMap<String, usize>,
    /// What providers take; those that are not here take everything.
    pub providers: BTreeMap<String, ProviderLimits>,
    /// How many calls may wait for one pool; more are refused.
    pub waiting: usize,
    /// What the chance in pauses begins from; processes that share a provider had better differ.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pools: BTreeMap::new(),
            providers: BTreeMap::new(),
            waiting: DEFAULT_WAITING,
            seed: 0,
        }
    }
}

impl Limits {
    /// The sizes of all pools.
    fn sizes(&self) -> BTreeMap<String, usize> {
        let mut sizes = self.pools.clone();
        sizes.entry(WORKERS.to_owned()).or_insert(DEFAULT_WORKERS);
        sizes
    }
}

/// One model call that somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The task it is made for.
    pub task: TaskId,
    /// The run it is made for.
    pub run: RunId,
    /// The pool it needs a permit of; [`WORKERS`] where there is none of that name.
    pub pool: String,
    /// The provider it goes to.
    pub provider: String,
    /// How urgent it is, within [`PRIORITIES`]; beyond these it counts as the nearest.
    pub priority: i32,
}

/// What became of a request that was sent, as far as the limits of its provider are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider answered.
    Answered,
    /// It refused because there are too many requests, and may have said for how long it wants none.
    Refused(Option<Duration>),
    /// It is ill, as far as one call can tell: what happened in a few words, and for how long it wants to be left alone.
    Ill(String, Option<Duration>),
    /// Something else, which says nothing against it.
    Failed,
}

/// A provider that is left alone because it is ill, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The provider.
    pub provider: String,
    /// Why it is left alone, and for how long; none when it is well again.
    pub opened: Option<(String, Option<Duration>)>,
    /// The tasks that have calls under way to it, or waiting for it.
    pub tasks: BTreeSet<TaskId>,
}

/// Why a call may not even wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{waiting} model calls wait for the pool `{pool}` already, and no more may: enlarge the pool, or give it less work at a time"
)]
pub struct Refused {
    /// The pool.
    pub pool: String,
    /// How many wait.
    pub waiting: usize,
}
