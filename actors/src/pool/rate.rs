//! So many requests in a time. Pure.
//!
//! A log of the newest requests, not a leaking bucket: a bucket that lets a burst of `n` through and fills up again meanwhile lets
//! nearly `2n` through in one window, and a provider counts every window. The log of a rate of `n` holds `n` times at most.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The most requests a rate may name: so many times are kept for it.
pub const MOST_REQUESTS: u32 = 1_000_000;

/// So many requests in a time, whenever that time begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many, from 1 to [`MOST_REQUESTS`].
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = humantime::format_duration(self.per).to_string();
        write!(f, "{}/{}", self.count, per.replace(' ', ""))
    }
}

/// Whether a rate has room for one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// Not before this time.
    At(Duration),
    /// Requests that are about to be sent fill it: it is known when they are, or are not.
    Unknown,
}

/// A rate and the requests that count for it.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) rate: Rate,
    /// When the newest requests were sent, the oldest first.
    sent: VecDeque<Duration>,
    /// Those that may be sent at any moment.
    reserved: usize,
}

impl Window {
    pub(super) fn new(rate: Rate) -> Self {
        let count = rate.count.clamp(1, MOST_REQUESTS);
        Self {
            rate: Rate { count, ..rate },
            sent: VecDeque::new(),
            reserved: 0,
        }
    }

    pub(super) fn room(&self, now: Duration) -> Room {
        let count = self.rate.count as usize;
        let Some(open) = count.checked_sub(self.reserved).filter(|open| *open > 0) else {
            return Room::Unknown;
        };
        // With the one that is asked for, so many of the newest must not be in one window.
        let Some(oldest) = self.sent.len().checked_sub(open) else {
            return Room::Free;
        };
        match self.sent[oldest].saturating_add(self.length()) {
            at if at <= now => Room::Free,
            at => Room::At(at),
        }
    }

    /// A little longer than the rate says: requests do not travel equally fast, and a provider counts when they arrive.
    fn length(&self) -> Duration {
        let margin = self.rate.per / 100;
        self.rate.per + margin.clamp(LEAST_MARGIN, MOST_MARGIN)
    }

    pub(super) fn reserve(&mut self) {
        self.reserved += 1;
    }

    /// A reserved request will not be sent.
    pub(super) fn refund(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// A reserved request is sent.
    pub(super) fn sent(&mut self, now: Duration) {
        self.refund();
        self.sent.push_back(now);
        if self.sent.len() > self.rate.count as usize {
            self.sent.pop_front();
        }
    }
}

const LEAST_MARGIN: Duration = Duration::from_millis(10);
const MOST_MARGIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// How many of these times lie in the fullest window of that length, by looking at all of them.
    fn fullest(times: &[Duration], per: Duration) -> usize {
        let in_window = |from: &Duration| {
            let inside = |at: &&Duration| *at >= from && **at < *from + per;
            times.iter().filter(inside).count()
        };
        times.iter().map(in_window).max().unwrap_or(0)
    }

    /// What happens to a window: time passes, one asks, one that has a place is sent or is not.
    #[derive(Debug, Clone)]
    enum Move {
        Passes(u64),
        Asks,
        Sends,
        GivesUp,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            2 => (0..400_u64).prop_map(Move::Passes),
            6 => Just(Move::Asks),
            5 => Just(Move::Sends),
            1 => Just(Move::GivesUp),
        ];
        proptest::collection::vec(one, 1..300)
    }

    proptest! {
        #[test]
        fn a_rate_is_never_exceeded_and_nobody_waits_in_vain(
            count in 1..12_u32,
            per in 1..1_000_u64,
            moves in moves(),
        ) {
            let mut window = Window::new(Rate { count, per: ms(per) });
            let (mut now, mut reserved, mut sent) = (Duration::ZERO, 0_usize, Vec::new());
            for step in moves {
                match step {
                    Move::Passes(time) => now += ms(time),
                    Move::Asks => {
                        let room = window.room(now);
                        let recent = |at: &&Duration| **at + window.length() > now;
                        let full = sent.iter().filter(recent).count() + reserved >= count as usize;
                        prop_assert_eq!(room != Room::Free, full);
                        if let Room::At(at) = room {
                            prop_assert_eq!(window.room(at), Room::Free, "the time that it names is the time");
                            prop_assert!(window.room(at - ms(1)) != Room::Free);
                        }
                        if room == Room::Free {
                            window.reserve();
                            reserved += 1;
                        }
                    }
                    Move::Sends if reserved > 0 => {
                        window.sent(now);
                        (reserved, ()) = (reserved - 1, sent.push(now));
                    }
                    Move::GivesUp if reserved > 0 => {
                        window.refund();
                        reserved -= 1;
                    }
                    Move::Sends | Move::GivesUp => {}
                }
            }
            prop_assert!(fullest(&sent, ms(per)) <= count as usize);
        }
    }

    #[test]
    fn rates_are_written_as_files_write_them() {
        let rate = |count, per| {
            Rate {
                count,
                per: ms(per),
            }
            .to_string()
        };
        assert_eq!(rate(60, 30_000), "60/30s");
        assert_eq!(rate(5, 90_500), "5/1m30s500ms");
    }
}
