//! Whether a fault strikes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Fault, FaultKind, FaultPlan, Point, Trigger};
use crate::restart::Incarnation;

/// For how many paths occasions are counted; those that come later are not struck.
const PATHS_COUNTED: usize = 100_000;

/// A plan at work in one tree.
#[derive(Debug)]
pub(crate) struct Injector {
    plan: FaultPlan,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// By the fault's place in the plan.
    occasions: HashMap<Arc<str>, HashMap<usize, u64>>,
    strikes: HashMap<usize, (u64, Duration)>,
}

impl Injector {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        let counts = Mutex::default();
        Self { plan, counts }
    }

    /// What may strike one incarnation; none if nothing may.
    pub(crate) fn arm(self: &Arc<Self>, path: &Arc<str>, life: Incarnation) -> Option<Armed> {
        let may = |(_, fault): &(usize, &Fault)| {
            fault.incarnations.contains(&life.0) && fault.target.matches(path)
        };
        let faults = self.plan.faults.iter().enumerate().filter(may);
        let faults: Vec<_> = faults.map(|(n, _)| n).collect();
        (!faults.is_empty()).then(|| Armed {
            injector: self.clone(),
            path: path.clone(),
            faults,
        })
    }
}

/// What may strike one incarnation.
#[derive(Debug)]
pub(crate) struct Armed {
    injector: Arc<Injector>,
    path: Arc<str>,
    faults: Vec<usize>,
}

impl Armed {
    fn faults(&self) -> impl Iterator<Item = (usize, &Fault)> {
        let faults = &self.injector.plan.faults;
        self.faults.iter().map(|n| (*n, &faults[*n]))
    }

    pub(crate) fn duplicates(&self) -> bool {
        self.faults()
            .any(|(_, fault)| fault.kind == FaultKind::Duplicate)
    }

    /// Counts an occasion; what strikes at it.
    pub(crate) fn strike(&self, point: Point, now: Duration) -> Option<FaultKind> {
        let counts = self.injector.counts.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        let is_known = counts.occasions.contains_key(&self.path);
        if !is_known && counts.occasions.len() >= PATHS_COUNTED {
            return None;
        }
        let mut struck = None;
        for (n, fault) in self.faults().filter(|(_, fault)| fault.point == point) {
            let of_path = counts.occasions.entry(self.path.clone()).or_default();
            let occasion = of_path.entry(n).or_default();
            *occasion += 1;
            let occasion = *occasion;
            let before = counts.strikes.get(&n).copied();
            if struck.is_none() && self.is_met(n, fault, occasion, before, now) {
                let times = before.map_or(0, |(times, _)| times);
                counts.strikes.insert(n, (times + 1, now));
                struck = Some(fault.kind);
            }
        }
        struck
    }

    fn is_met(
        &self,
        n: usize,
        fault: &Fault,
        occasion: u64,
        before: Option<(u64, Duration)>,
        now: Duration,
    ) -> bool {
        let when = &fault.when;
        let (times, last) = before.map_or((0, None), |(times, last)| (times, Some(last)));
        when.nth.is_none_or(|nth| nth == occasion)
            && when
                .every
                .is_none_or(|every| occasion.is_multiple_of(every))
            && when.at_most.is_none_or(|most| times < most)
            && now >= when.after
            && last.is_none_or(|last| now.saturating_sub(last) >= when.apart)
            && self.chance(n, fault.seed, occasion) < when.chance
            && when.trigger.as_ref().is_none_or(Trigger::take)
    }

    /// From 0 to below 1, the same for the same seed, fault, path and occasion.
    fn chance(&self, n: usize, seed: u64, occasion: u64) -> f64 {
        let mut hash = self.injector.plan.seed ^ seed ^ 0xcbf2_9ce4_8422_2325;
        let words = [n as u64, occasion].into_iter().flat_map(u64::to_le_bytes);
        for byte in self.path.bytes().chain(words) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut random = fastrand::Rng::with_seed(hash);
        let _ = random.u64(..);
        random.f64()
    }
}
