//! Random configurations, and random things that happen to a breaker.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use supervision::breaker::{Abandoned, Config, Failure, Outcome, Slow};
use supervision::{Backoff, Jitter};

use super::TICK;

/// What somebody says of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    Success,
    Failure(Option<u32>),
    Ignore,
    Dropped,
}

/// What happens to a breaker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Pass(u32),
    Acquire,
    /// One of the tickets that are out.
    Settle(usize, Said),
    Record(Said),
    Open,
    Close,
    Automatic,
}

impl Said {
    /// None for a permit that is dropped.
    pub(super) fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Success => Some(Outcome::Success),
            Self::Ignore => Some(Outcome::Ignore),
            Self::Dropped => None,
            Self::Failure(retry_after) => Some(Outcome::Failure(Failure {
                retry_after: retry_after.map(|ticks| ticks * TICK),
                reason: None,
            })),
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => Just(Said::Success),
        5 => option::weighted(0.3, 0..200_u32).prop_map(Said::Failure),
        1 => Just(Said::Ignore),
        1 => Just(Said::Dropped),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => (0..8_u32).prop_map(Deed::Pass),
        2 => (0..90_u32).prop_map(Deed::Pass),
        12 => Just(Deed::Acquire),
        10 => (0..8_usize, said()).prop_map(|(which, said)| Deed::Settle(which, said)),
        1 => said().prop_map(Deed::Record),
        1 => Just(Deed::Open),
        1 => Just(Deed::Close),
        2 => Just(Deed::Automatic),
    ]
}

pub(super) fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    prop::collection::vec(deed(), 0..120)
}

fn ticks(range: std::ops::Range<u32>) -> impl Strategy<Value = Duration> {
    range.prop_map(|ticks| ticks * TICK)
}

/// Quarters are exact, so a model may count with whole numbers.
fn quarter() -> impl Strategy<Value = f64> {
    (1..=4_u8).prop_map(|quarters| f64::from(quarters) / 4.0)
}

fn backoff(jitter: Jitter) -> impl Strategy<Value = Backoff> {
    let times = (ticks(1..20), ticks(0..60), ticks(0..100));
    times.prop_map(move |(base, more, stable)| {
        Backoff::new(base, base + more)
            .reset_after(stable)
            .jitter(jitter)
    })
}

pub(super) fn config(jitter: Jitter) -> impl Strategy<Value = Config> {
    let slow = (ticks(1..10), quarter()).prop_map(|(after, rate)| Slow { after, rate });
    let rules = (
        option::of(1..6_u32),
        option::of(quarter()),
        option::of(slow),
        1..4_u32,
        1..8_u32,
    );
    let opened = (backoff(jitter), ticks(0..100));
    let probing = (1..4_u32, 1..4_u32, ticks(1..40), any::<bool>());
    (rules, opened, probing, any::<u64>()).prop_map(|(rules, opened, probing, seed)| {
        let (failures, failure_rate, slow, widths, minimum_calls) = rules;
        let (backoff, max_retry_after) = opened;
        let (probes, successes, probe_deadline, dropped_is_failure) = probing;
        Config {
            failures,
            failure_rate,
            slow,
            within: widths * 60 * TICK,
            minimum_calls,
            backoff,
            max_retry_after,
            probes,
            successes,
            probe_deadline,
            abandoned: if dropped_is_failure {
                Abandoned::Failed
            } else {
                Abandoned::Ignored
            },
            seed,
        }
    })
}
