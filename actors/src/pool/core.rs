//! Who may make the next model call. Pure: whoever asks says what time it is.
//!
//! A call needs a permit of its pool and the consent of its provider, and takes both at once or waits without either: so a full pool
//! holds up no other pool, and a provider that takes nothing now holds up no other provider. Those who need the same pool and the
//! same provider stand in one line. Of the lines whose first may go, the first of highest rank goes.
//!
//! The rank is the time of asking, moved forward by [`AGE`] for each point of priority. It never changes, so a newcomer can overtake a
//! waiter only within `AGE` times the difference of their priorities: nobody starves. Of equal priority, who came first goes first.
//!
//! A line can be overtaken at its provider by lines of other pools, each time its own pool happens to be full. When that has
//! happened [`OVERTAKEN`] times, the next free place of its pool is kept for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::gate::{Gate, Hold, Pass, ProviderLimits};
use super::look::{self, Look};
use super::{Limits, News, Outcome, Refused, Request, WORKERS};
use crate::model::{RunId, TaskId, WaitReason};

/// What priorities there are; 0 is the usual one, and a higher one goes first.
pub const PRIORITIES: RangeInclusive<i32> = -10..=10;

/// How long a waiter has waited when it is worth one priority more.
pub const AGE: Duration = Duration::from_secs(60);

/// How often a line is overtaken by other pools before a place is kept for it.
pub const OVERTAKEN: u32 = 8;

/// A place is kept for a line only if its provider will take a call within this time.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A pool and a provider, by their numbers.
type Way = (usize, usize);

/// Lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(Duration, u64);

/// A pool of permits.
#[derive(Debug, Clone)]
pub(super) struct Seats {
    pub(super) name: String,
    pub(super) size: usize,
    pub(super) in_use: usize,
    pub(super) waiting: usize,
}

impl Seats {
    fn free(&self) -> usize {
        self.size.saturating_sub(self.in_use)
    }
}

#[derive(Debug, Clone, Default)]
struct Line {
    waiting: BTreeSet<Rank>,
    overtaken: u32,
}

impl Line {
    fn head(&self) -> Option<Rank> {
        self.waiting.first().copied()
    }
}

#[derive(Debug, Clone, Copy)]
struct Waiter {
    task: TaskId,
    run: RunId,
    way: Way,
    rank: Rank,
    since: Duration,
}

/// All pools and providers, who waits for them and who has them.
#[derive(Debug)]
pub(super) struct Core {
    pools: Vec<Seats>,
    gates: Vec<Gate>,
    lines: BTreeMap<Way, Line>,
    waiters: BTreeMap<u64, Waiter>,
    admitted: BTreeMap<u64, (Way, TaskId, Pass)>,
    asked: u64,
    most_waiting: usize,
    seed: u64,
}

impl Core {
    pub(super) fn new(limits: &Limits) -> Self {
        let seats = |(name, size): (&String, &usize)| Seats {
            name: name.clone(),
            size: (*size).max(1),
            in_use: 0,
            waiting: 0,
        };
        let gates = limits.providers.iter();
        Self {
            pools: limits.sizes().iter().map(seats).collect(),
            gates: gates
                .map(|(name, own)| Gate::new(name, own, limits.seed))
                .collect(),
            lines: BTreeMap::new(),
            waiters: BTreeMap::new(),
            admitted: BTreeMap::new(),
            asked: 0,
            most_waiting: limits.waiting,
            seed: limits.seed,
        }
    }

    /// From now on these limits hold. Whoever has a permit keeps it; a pool or provider that is not named keeps what it has.
    pub(super) fn configure(&mut self, limits: &Limits) {
        for (name, size) in limits.sizes() {
            let size = size.max(1);
            match self.pools.iter_mut().find(|pool| pool.name == name) {
                Some(pool) => pool.size = size,
                None => self.pools.push(Seats {
                    name,
                    size,
                    in_use: 0,
                    waiting: 0,
                }),
            }
        }
        for (name, own) in &limits.providers {
            let gate = self.gate(name);
            self.gates[gate].configure(own);
        }
        self.most_waiting = limits.waiting;
    }

    /// Somebody wants to make a call. Whether it may is said by [`Core::admit`].
    pub(super) fn ask(&mut self, now: Duration, request: &Request) -> Result<u64, Refused> {
        let way = (self.pool(&request.pool), self.gate(&request.provider));
        let pool = &mut self.pools[way.0];
        if pool.waiting >= self.most_waiting {
            return Err(Refused {
                pool: pool.name.clone(),
                waiting: pool.waiting,
            });
        }
        pool.waiting += 1;
        let (id, rank) = (self.asked, Rank(due(now, request.priority), self.asked));
        self.asked += 1;
        self.lines.entry(way).or_default().waiting.insert(rank);
        let (task, run, since) = (request.task, request.run, now);
        let waiter = Waiter {
            task,
            run,
            way,
            rank,
            since,
        };
        self.waiters.insert(id, waiter);
        Ok(id)
    }

    /// A pool by its name, or [`WORKERS`] where there is none of that name.
    fn pool(&self, name: &str) -> usize {
        let of = |name: &str| self.pools.iter().position(|pool| pool.name == name);
        of(name).or_else(|| of(WORKERS)).unwrap_or(0)
    }

    fn gate(&mut self, name: &str) -> usize {
        let found = self.gates.iter().position(|gate| gate.name == name);
        found.unwrap_or_else(|| {
            let gate = Gate::new(name, &ProviderLimits::default(), self.seed);
            self.gates.push(gate);
            self.gates.len() - 1
        })
    }

    /// Somebody does not want to wait any more.
    pub(super) fn leave(&mut self, id: u64) {
        if let Some(waiter) = self.waiters.remove(&id) {
            self.leave_line(waiter);
        }
    }

    fn leave_line(&mut self, waiter: Waiter) {
        self.pools[waiter.way.0].waiting -= 1;
        if let Some(line) = self.lines.get_mut(&waiter.way) {
            line.waiting.remove(&waiter.rank);
            if line.waiting.is_empty() {
                self.lines.remove(&waiter.way);
            }
        }
    }

    /// Lets in everybody who may go now.
    pub(super) fn admit(&mut self, now: Duration) -> Vec<u64> {
        let mut admitted = Vec::new();
        self.gates.iter_mut().for_each(|gate| gate.advance(now));
        while let Some(id) = self.next(now) {
            self.let_in(now, id);
            admitted.push(id);
        }
        admitted
    }

    /// The waiter that goes next, if one may.
    fn next(&self, now: Duration) -> Option<u64> {
        let lines = self.lines.iter();
        let mut heads: Vec<_> = lines
            .filter_map(|(way, line)| Some((line.head()?, *way, line.overtaken)))
            .collect();
        heads.sort_unstable();
        let mut kept = BTreeMap::<usize, usize>::new();
        for (rank, way, overtaken) in heads {
            let kept = kept.entry(way.0).or_default();
            if self.pools[way.0].free() <= *kept {
                continue;
            }
            match self.gates[way.1].hold(now) {
                None => return Some(rank.1),
                Some(hold) if overtaken >= OVERTAKEN && is_short(&hold, now) => *kept += 1,
                Some(_) => {}
            }
        }
        None
    }

    fn let_in(&mut self, now: Duration, id: u64) {
        let Some(waiter) = self.waiters.remove(&id) else {
            return;
        };
        let Waiter {
            way, rank, task, ..
        } = waiter;
        self.leave_line(waiter);
        self.pools[way.0].in_use += 1;
        let pass = self.gates[way.1].pass(now);
        self.admitted.insert(id, (way, task, pass));
        for (other, line) in &mut self.lines {
            if *other == way {
                line.overtaken = 0;
            } else if other.1 == way.1 && line.head() < Some(rank) {
                line.overtaken += 1;
            }
        }
    }

    // ---- those who were let in

    /// The request leaves now: from here on it counts for its provider's rates.
    pub(super) fn sent(&mut self, now: Duration, id: u64) {
        if let Some((way, _, pass)) = self.admitted.get_mut(&id) {
            self.gates[way.1].sent(now, pass);
        }
    }

    /// What became of the request.
    pub(super) fn heard(&mut self, now: Duration, id: u64, outcome: Outcome) {
        if let Some((way, _, pass)) = self.admitted.get_mut(&id) {
            self.gates[way.1].heard(now, pass, outcome);
        }
    }

    /// Providers that have fallen ill, or are well again, since this was asked last.
    pub(super) fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for (n, gate) in self.gates.iter_mut().enumerate() {
            while let Some(opened) = gate.news() {
                let waiting = self.waiters.values().map(|it| (it.way, it.task));
                let inside = self.admitted.values().map(|it| (it.0, it.1));
                let here = waiting.chain(inside).filter(|(way, _)| way.1 == n);
                news.push(News {
                    provider: gate.name.clone(),
                    opened,
                    tasks: here.map(|(_, task)| task).collect(),
                });
            }
        }
        news
    }

    /// The permit is given back.
    pub(super) fn release(&mut self, now: Duration, id: u64) {
        if let Some((way, _, pass)) = self.admitted.remove(&id) {
            let pool = &mut self.pools[way.0];
            pool.in_use = pool.in_use.saturating_sub(1);
            self.gates[way.1].end(now, pass);
        }
    }

    // ---- looking

    /// When somebody who waits may go although nothing happens until then.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        let holds = self
            .lines
            .keys()
            .filter_map(|way| self.gates[way.1].hold(now));
        holds.filter_map(|hold| hold.until).min()
    }

    /// Why one who waits does.
    pub(super) fn why(&self, now: Duration, id: u64) -> Option<WaitReason> {
        let waiter = self.waiters.get(&id)?;
        let hold = self.gates[waiter.way.1].hold(now);
        let (pool, gate) = (&self.pools[waiter.way.0], &self.gates[waiter.way.1]);
        let is_full = pool.free() == 0;
        Some(match hold {
            Some(hold) if hold.until.is_some() || !is_full => WaitReason::Provider {
                provider: gate.name.clone(),
                limit: hold.limit,
                wait_ms: hold.until.map(|until| look::ms(until.saturating_sub(now))),
            },
            _ => WaitReason::Permit {
                pool: pool.name.clone(),
            },
        })
    }

    /// Why those runs wait that wait here.
    pub(super) fn waits(&self, now: Duration) -> BTreeMap<RunId, WaitReason> {
        let waiters = self.waiters.iter();
        waiters
            .filter_map(|(id, waiter)| Some((waiter.run, self.why(now, *id)?)))
            .collect()
    }

    pub(super) fn look(&self, now: Duration) -> Look {
        let oldest = |is: &dyn Fn(Way) -> bool| {
            let those = self.waiters.values().filter(|waiter| is(waiter.way));
            let oldest = those.clone().map(|waiter| waiter.since).min();
            (
                those.count(),
                oldest.map(|since| look::ms(now.saturating_sub(since))),
            )
        };
        let pool = |(n, seats)| look::pool(seats, oldest(&|way| way.0 == n));
        let gate = |(n, gate)| look::provider(gate, now, oldest(&|way| way.1 == n));
        Look {
            pools: self.pools.iter().enumerate().map(pool).collect(),
            providers: self.gates.iter().enumerate().map(gate).collect(),
        }
    }
}

/// When a waiter's turn is due, counted from when a waiter of the highest priority would have asked.
fn due(now: Duration, priority: i32) -> Duration {
    let (low, high) = (*PRIORITIES.start(), *PRIORITIES.end());
    let behind = high - priority.clamp(low, high);
    now + AGE * behind.unsigned_abs()
}

fn is_short(hold: &Hold, now: Duration) -> bool {
    hold.until
        .is_none_or(|until| until.saturating_sub(now) <= KEPT_FOR)
}

#[cfg(test)]
mod tests;
