//! What became of the calls of late: a ring of buckets.
//!
//! A ring and not a list of calls: its memory is the same at ten calls a minute and at a million, and recording and judging take the
//! same time. The price is a sixtieth of precision: a call counts for at least 59 sixtieths of the window, and never longer than it.

use std::time::Duration;

const BUCKETS: usize = 60;

/// Calls and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that succeeded or failed.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow, whether they succeeded or failed.
    pub slow: u64,
}

impl Tally {
    /// The part that failed; none without calls.
    #[must_use]
    pub fn failure_rate(&self) -> Option<f64> {
        self.part(self.failures)
    }

    /// The part that was slow; none without calls.
    #[must_use]
    pub fn slow_rate(&self) -> Option<f64> {
        self.part(self.slow)
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 calls")]
    fn part(&self, of: u64) -> Option<f64> {
        (self.calls > 0).then(|| of as f64 / self.calls as f64)
    }

    fn add(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failures += u64::from(failed);
        self.slow += u64::from(slow);
    }

    fn remove(&mut self, old: Self) {
        self.calls -= old.calls;
        self.failures -= old.failures;
        self.slow -= old.slow;
    }
}

/// The calls of the last `within`.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// How much time a bucket covers, in nanoseconds.
    width: u64,
    /// The number of the newest bucket since the beginning of time.
    newest: u64,
    buckets: Box<[Tally; BUCKETS]>,
    sum: Tally,
}

impl Window {
    pub(super) fn new(within: Duration) -> Self {
        Self {
            width: (nanoseconds(within) / BUCKETS as u64).max(1),
            newest: 0,
            buckets: Box::new([Tally::default(); BUCKETS]),
            sum: Tally::default(),
        }
    }

    pub(super) fn record(&mut self, now: Duration, failed: bool, slow: bool) {
        self.advance(now);
        let place = self.place(self.newest);
        self.buckets[place].add(failed, slow);
        self.sum.add(failed, slow);
    }

    /// The sum of what is recent.
    pub(super) fn tally(&mut self, now: Duration) -> Tally {
        self.advance(now);
        self.sum
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(Tally::default());
        self.sum = Tally::default();
    }

    /// Drops the buckets that are too old. Time never goes back: the rules see to it.
    fn advance(&mut self, now: Duration) {
        let newest = nanoseconds(now) / self.width;
        let passed = newest.saturating_sub(self.newest).min(BUCKETS as u64);
        for number in newest - passed..newest {
            let place = self.place(number + 1);
            let old = std::mem::take(&mut self.buckets[place]);
            self.sum.remove(old);
        }
        self.newest = newest;
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 60")]
    fn place(&self, number: u64) -> usize {
        (number % BUCKETS as u64) as usize
    }
}

fn nanoseconds(time: Duration) -> u64 {
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(time.subsec_nanos()))
}
