//! How pools and providers stand, for whoever looks. Pure.

use std::time::Duration;

use serde::Serialize;

use super::core::Seats;
use super::gate::Gate;
use super::rate::{Room, Window};
use crate::model::ProviderLimit;

/// All pools and providers at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// The pools.
    pub pools: Vec<PoolLook>,
    /// The providers.
    pub providers: Vec<ProviderLook>,
}

/// A pool at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolLook {
    /// Its name.
    pub name: String,
    /// How many permits it has.
    pub size: usize,
    /// How many of them are taken.
    pub in_use: usize,
    /// How many calls wait that need one of them.
    pub waiting: usize,
    /// For how long the oldest of these has waited.
    pub oldest_wait_ms: Option<u64>,
}

/// A provider at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderLook {
    /// Its name.
    pub name: String,
    /// How many calls are under way.
    pub in_use: u32,
    /// How many may be.
    pub max_concurrent: Option<u32>,
    /// How many calls to it wait, for whatever.
    pub waiting: usize,
    /// For how long the oldest of these has waited.
    pub oldest_wait_ms: Option<u64>,
    /// Its rates.
    pub rates: Vec<RateLook>,
    /// Why it takes no call now.
    pub held: Option<ProviderLimit>,
    /// For how long, where that is known.
    pub held_ms: Option<u64>,
}

/// A rate at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateLook {
    /// The rate, as files write it.
    pub rate: String,
    /// When it has room for one more call; none while calls that are about to be sent fill it.
    pub free_in_ms: Option<u64>,
}

pub(super) fn pool(seats: &Seats, (waiting, oldest_wait_ms): (usize, Option<u64>)) -> PoolLook {
    PoolLook {
        name: seats.name.clone(),
        size: seats.size,
        in_use: seats.in_use,
        waiting,
        oldest_wait_ms,
    }
}

pub(super) fn provider(
    gate: &Gate,
    now: Duration,
    (waiting, oldest_wait_ms): (usize, Option<u64>),
) -> ProviderLook {
    let hold = gate.hold(now);
    let until = hold.as_ref().and_then(|hold| hold.until);
    ProviderLook {
        name: gate.name.clone(),
        in_use: gate.under_way,
        max_concurrent: gate.most,
        waiting,
        oldest_wait_ms,
        rates: gate.windows.iter().map(|it| rate(it, now)).collect(),
        held: hold.map(|hold| hold.limit),
        held_ms: until.map(|until| ms(until.saturating_sub(now))),
    }
}

fn rate(window: &Window, now: Duration) -> RateLook {
    let free_in_ms = match window.room(now) {
        Room::Free => Some(0),
        Room::At(at) => Some(ms(at.saturating_sub(now))),
        Room::Unknown => None,
    };
    RateLook {
        rate: window.rate.to_string(),
        free_in_ms,
    }
}

/// Whole milliseconds, never less than it is.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
