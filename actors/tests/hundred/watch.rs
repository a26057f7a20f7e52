//! What is seen from outside: who hung since when, when that was noticed, who blocked a thread, and when nothing ran at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use supervision::health::Step;
use supervision::{Decision, Report};
use tokio::time::Instant;

use super::cast::Manner;

/// The notes of everybody.
#[derive(Clone)]
pub(crate) struct Watch(Arc<(Duration, Mutex<Notes>)>);

/// What was noted.
#[derive(Default)]
pub(crate) struct Notes {
    /// The manners of runs, by their ids.
    manners: BTreeMap<String, Manner>,
    open: BTreeMap<String, Hang>,
    /// Each hang that has ended or was noticed.
    pub(crate) hangs: Vec<Hang>,
    /// The strongest step against those who were well, with the silence that was seen.
    pub(crate) wrong: Vec<(Manner, Step, Duration)>,
    /// Steps in which the supervisor saw less silence than is allowed.
    pub(crate) early: usize,
    pub(crate) blocks: Vec<Block>,
    /// Whom the watchdog named, and when.
    pub(crate) named: Vec<(String, Instant)>,
    /// How many incarnations were declared lost.
    pub(crate) lost: usize,
    /// When something was to run and did not.
    pub(crate) stalls: Vec<(Instant, Instant)>,
    attempts: BTreeMap<(String, usize), usize>,
}

/// Somebody who makes no progress.
#[derive(Debug, Clone)]
pub(crate) struct Hang {
    pub(crate) manner: Manner,
    /// Its last sign of progress.
    pub(crate) since: Instant,
    pub(crate) noticed: Option<Instant>,
}

/// Somebody who blocked a thread.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The actor whose thread it was.
    pub(crate) child: String,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// A hang that ends when it is dropped.
pub(crate) struct Hanging(Watch, String);

impl Drop for Hanging {
    fn drop(&mut self) {
        let mut notes = self.0.notes();
        if let Some(hang) = notes.open.remove(&self.1) {
            notes.hangs.push(hang);
        }
    }
}

impl Watch {
    pub(crate) fn new(limit: Duration) -> Self {
        Self(Arc::new((limit, Mutex::default())))
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limit(&self) -> Duration {
        self.0.0
    }

    /// A run of this manner asks for this turn; how often it has, with this one.
    pub(crate) fn attempt(&self, run: &str, manner: Manner, turn: usize) -> usize {
        let mut notes = self.notes();
        notes.manners.insert(run.to_owned(), manner);
        let attempt = notes.attempts.entry((run.to_owned(), turn)).or_default();
        *attempt += 1;
        *attempt
    }

    /// From now on this one makes no progress.
    pub(crate) fn hangs(&self, child: &str, manner: Manner) -> Hanging {
        let hang = Hang {
            manner,
            since: Instant::now(),
            noticed: None,
        };
        self.notes().open.insert(child.to_owned(), hang);
        Hanging(self.clone(), child.to_owned())
    }

    /// Blocks the thread.
    pub(crate) fn block(&self, child: &str, time: Duration) {
        let from = Instant::now();
        std::thread::sleep(time);
        let (child, to) = (child.to_owned(), Instant::now());
        self.notes().blocks.push(Block { child, from, to });
    }

    /// Looks whether what is due runs.
    pub(crate) async fn probe(self) {
        const PAUSE: Duration = Duration::from_millis(2);
        loop {
            let due = Instant::now() + PAUSE;
            tokio::time::sleep_until(due).await;
            let now = Instant::now();
            if now - due > PAUSE {
                self.notes().stalls.push((due, now));
            }
        }
    }

    /// What a supervisor decided.
    pub(crate) fn hear(&self, report: &Report) {
        let child = report.decision.about().child.as_str();
        let mut notes = self.notes();
        match &report.decision {
            Decision::Injected { fault, .. } if *fault == supervision::FaultKind::Hang => {
                let hang = Hang {
                    manner: Manner::ActorHangs,
                    since: Instant::now(),
                    noticed: None,
                };
                notes.open.insert(child.to_owned(), hang);
            }
            Decision::Hung { symptom, step, .. } => {
                notes.early += usize::from(symptom.seen < symptom.allowed);
                notes.hung(child, *step, symptom.seen);
            }
            // It ends with the incarnation that was struck.
            Decision::Terminated(..) => {
                let is_actor = |hang: &Hang| hang.manner == Manner::ActorHangs;
                if notes.open.get(child).is_some_and(is_actor) {
                    let hang = notes.open.remove(child);
                    notes.hangs.extend(hang);
                }
            }
            Decision::Blocked { .. } => notes.named.push((child.to_owned(), Instant::now())),
            Decision::Lost(_) => notes.lost += 1,
            _ => {}
        }
    }
}

impl Notes {
    fn hung(&mut self, child: &str, step: Step, seen: Duration) {
        if let Some(hang) = self.open.get_mut(child) {
            hang.noticed.get_or_insert_with(Instant::now);
            return;
        }
        let by_name = || child.contains('-').then(|| Manner::of(child));
        let manner = self.manners.get(child).copied().or_else(by_name);
        if let Some(manner) = manner.filter(|manner| manner.is_well()) {
            self.wrong.push((manner, step, seen));
        }
    }

    /// For how much of this time nothing ran that was to run.
    pub(crate) fn stalled(&self, from: Instant, to: Instant) -> Duration {
        let within =
            |(a, b): &(Instant, Instant)| (*b).min(to).saturating_duration_since((*a).max(from));
        self.stalls.iter().map(within).sum()
    }

    /// Whether a thread was blocked at some moment of this time.
    pub(crate) fn is_blocked(&self, from: Instant, to: Instant) -> bool {
        let meets = |block: &Block| block.from < to && from < block.to;
        self.blocks.iter().any(meets)
    }
}
