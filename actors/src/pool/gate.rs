//! What one provider takes: so many calls at a time, so many in each time, none for a while after it refused one. Pure.

use std::time::Duration;

use super::Outcome;
use super::cool::{self, Cooling};
use super::rate::{Rate, Room, Window};
use crate::model::ProviderLimit;

/// What a provider takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// So many calls at a time; any number when there is none.
    pub max_concurrent: Option<u32>,
    /// So many calls in each of these times.
    pub rates: Vec<Rate>,
}

/// A provider's limits and what counts for them.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) name: String,
    pub(super) most: Option<u32>,
    pub(super) under_way: u32,
    pub(super) windows: Vec<Window>,
    pub(super) cooling: Cooling,
}

/// Why nobody may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) limit: ProviderLimit,
    /// When it will be over; none where that depends on calls that are under way.
    pub(super) until: Option<Duration>,
}

impl Hold {
    fn until_a_call_ends(limit: ProviderLimit) -> Self {
        Self { limit, until: None }
    }
}

/// A call that was let through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    generation: u64,
    is_sent: bool,
}

impl Gate {
    pub(super) fn new(name: &str, limits: &ProviderLimits, seed: u64) -> Self {
        let own = name.bytes().fold(seed, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            name: name.to_owned(),
            most: limits.max_concurrent,
            under_way: 0,
            windows: limits.rates.iter().copied().map(Window::new).collect(),
            cooling: Cooling::new(own),
        }
    }

    /// Why nobody may call it now; of several reasons the one that lasts longest.
    pub(super) fn hold(&self, now: Duration) -> Option<Hold> {
        let pause = match self.cooling.hold(now) {
            Some(cool::Hold::Pause(until)) => Some((ProviderLimit::Refused, until)),
            _ => None,
        };
        let full = |window: &Window| match window.room(now) {
            Room::At(at) => Some((rate(window), at)),
            Room::Free | Room::Unknown => None,
        };
        let timed = self.windows.iter().filter_map(full).chain(pause);
        let longest = timed.max_by_key(|(_, until)| *until);
        longest
            .map(|(limit, until)| Hold {
                limit,
                until: Some(until),
            })
            .or_else(|| self.busy(now).map(Hold::until_a_call_ends))
    }

    /// What calls that are under way leave no room in.
    fn busy(&self, now: Duration) -> Option<ProviderLimit> {
        if let Some(calls) = self.most.filter(|most| self.under_way >= *most) {
            return Some(ProviderLimit::Concurrent { calls });
        }
        if self.cooling.hold(now).is_some() {
            return Some(ProviderLimit::SlowStart);
        }
        let is_reserved = |window: &&Window| window.room(now) == Room::Unknown;
        self.windows.iter().find(is_reserved).map(rate)
    }

    pub(super) fn pass(&mut self) -> Pass {
        self.under_way += 1;
        self.windows.iter_mut().for_each(Window::reserve);
        Pass {
            generation: self.cooling.begin(),
            is_sent: false,
        }
    }

    pub(super) fn sent(&mut self, now: Duration, pass: &mut Pass) {
        if !std::mem::replace(&mut pass.is_sent, true) {
            self.windows.iter_mut().for_each(|window| window.sent(now));
        }
    }

    /// What became of a call that was sent.
    pub(super) fn heard(&mut self, now: Duration, pass: Pass, outcome: Outcome) {
        match outcome {
            Outcome::Answered => self.cooling.answered(now, pass.generation),
            Outcome::Refused(asked) => {
                self.cooling
                    .refused(now, pass.generation, asked, self.under_way);
            }
            Outcome::Failed => {}
        }
    }

    /// A call is over. One that was never sent leaves nothing behind.
    pub(super) fn end(&mut self, pass: Pass) {
        self.under_way = self.under_way.saturating_sub(1);
        self.cooling.end(pass.generation);
        if !pass.is_sent {
            self.windows.iter_mut().for_each(Window::refund);
        }
    }
}

fn rate(window: &Window) -> ProviderLimit {
    let rate = window.rate.to_string();
    ProviderLimit::Rate { rate }
}
