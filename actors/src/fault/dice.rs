//! Whether a fault strikes at an occasion, and which event makes one due. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::event::Seq;
use crate::model::{Event, EventBody, TaskId};

use super::plan::{FaultPlan, When};

/// For how many names occasions are counted; those that come later are not struck.
const NAMES_COUNTED: usize = 10_000;

/// Occasions and strikes so far, at places that a fault waits for to be passed.
#[derive(Debug, Default)]
pub struct Dice {
    occasions: BTreeMap<(usize, String), u64>,
    last: BTreeMap<usize, Duration>,
    /// Strikes that an event has called for and that have not happened.
    owed: BTreeMap<usize, u64>,
}

impl Dice {
    /// An event calls for a strike.
    pub fn owe(&mut self, fault: usize) {
        *self.owed.entry(fault).or_default() += 1;
    }

    /// Counts an occasion of this fault at this name; whether it strikes. `now` is the time since the start.
    pub fn strikes(&mut self, plan: &FaultPlan, n: usize, name: &str, now: Duration) -> bool {
        let Some(fault) = plan.0.get(n) else {
            return false;
        };
        let last = self.last.get(&n).copied();
        let strikes = match &fault.when {
            When::At(at) => last.is_none() && now >= *at,
            When::Every(every) => now >= last.unwrap_or_default() + *every,
            When::Chance(chance) => match self.occasion(n, name) {
                Some(occasion) => draw(fault.seed, &format!("{n} {name} {occasion}")) < *chance,
                None => false,
            },
            When::On { .. } => self.owed.get_mut(&n).is_some_and(|owed| {
                let is_owed = *owed > 0;
                *owed = owed.saturating_sub(1);
                is_owed
            }),
        };
        if strikes {
            self.last.insert(n, now);
        }
        strikes
    }

    fn occasion(&mut self, n: usize, name: &str) -> Option<u64> {
        let key = (n, name.to_owned());
        let is_new = !self.occasions.contains_key(&key);
        if is_new && self.occasions.len() >= NAMES_COUNTED {
            return None;
        }
        let occasion = self.occasions.entry(key).or_default();
        *occasion += 1;
        Some(*occasion)
    }
}

/// From 0 to below 1, the same for the same seed and words.
#[must_use]
pub fn draw(seed: u64, words: &str) -> f64 {
    let mut hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xcbf2_9ce4_8422_2325;
    for byte in words.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let mut random = fastrand::Rng::with_seed(hash);
    let _ = random.u64(..);
    random.f64()
}

/// How many tasks are counted for; the events of those that come later call for nothing.
const TASKS_HEARD: usize = 10_000;

/// What was heard of each task. Its whole journal counts, so a fault of a third event is that of the third one ever.
#[derive(Debug, Default)]
pub struct Ears(BTreeMap<TaskId, Heard>);

#[derive(Debug, Default)]
struct Heard {
    last: Seq,
    counts: BTreeMap<&'static str, u64>,
}

/// What is to be done about an event that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It can be heard.
    Hear,
    /// It was heard before.
    Known,
    /// Those before it, from after this one, are history: they only count.
    Remember(Seq),
    /// Those from after this one were missed.
    Missed(Seq),
}

impl Ears {
    /// What is to be done about an event of this task with this number.
    #[must_use]
    pub fn next(&self, task: TaskId, id: Seq) -> Next {
        match self.0.get(&task).map(|heard| heard.last) {
            None if id == 1 => Next::Hear,
            None => Next::Remember(0),
            Some(last) if id == last + 1 => Next::Hear,
            Some(last) if id <= last => Next::Known,
            Some(last) => Next::Missed(last),
        }
    }

    /// The tasks that are known, with their last event.
    pub fn known(&self) -> Vec<(TaskId, Seq)> {
        let known = self.0.iter().map(|(task, heard)| (*task, heard.last));
        known.collect()
    }

    /// Counts an event; the faults of the plan that it makes due.
    pub fn hear(&mut self, plan: &FaultPlan, event: &Event) -> Vec<usize> {
        if matches!(event.body, EventBody::FaultInjected { .. }) {
            return self.only_count(event);
        }
        let kind = event.body.kind();
        let Some(count) = self.count(event, kind) else {
            return Vec::new();
        };
        let is_due = |n: usize, when: &When, seed: u64, is_active: bool| match when {
            When::On { event, nth } => event == kind && nth.is_none_or(|nth| nth == count),
            When::Chance(chance) if is_active => {
                draw(seed, &format!("{n} event {}", event.id)) < *chance
            }
            _ => false,
        };
        let faults = plan.0.iter().enumerate();
        let due = faults
            .filter(|(n, fault)| is_due(*n, &fault.when, fault.seed, fault.is_active()))
            .map(|(n, _)| n);
        due.collect()
    }

    fn only_count(&mut self, event: &Event) -> Vec<usize> {
        self.count(event, event.body.kind());
        Vec::new()
    }

    fn count(&mut self, event: &Event, kind: &'static str) -> Option<u64> {
        if !self.0.contains_key(&event.task_id) && self.0.len() >= TASKS_HEARD {
            return None;
        }
        let heard = self.0.entry(event.task_id).or_default();
        heard.last = event.id;
        let count = heard.counts.entry(kind).or_default();
        *count += 1;
        let count = *count;
        if event.body.is_task_end() {
            self.0.remove(&event.task_id);
        }
        Some(count)
    }
}
