//! The pulse of one incarnation: what it declares of itself, and what its supervisor reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Vitals;

/// One incarnation's pulse. Cheap to clone; whatever does its work holds one. Without [`HangLimits`](super::HangLimits) nobody
/// looks at it, and it costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    origin: Instant,
    /// Microseconds from the origin.
    progress: AtomicU64,
    /// The same for the handler that runs, plus one; 0 for none.
    handling: AtomicU64,
    under_way: Mutex<UnderWay>,
    nudges: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    activities: BTreeMap<u64, (Arc<str>, u64, CancellationToken)>,
    zone: Option<(Arc<str>, u64, u64)>,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    pub(crate) fn watched() -> Self {
        Self(Some(Arc::new(Shared {
            origin: Instant::now(),
            progress: AtomicU64::new(0),
            handling: AtomicU64::new(0),
            under_way: Mutex::default(),
            nudges: watch::Sender::new(0),
        })))
    }

    /// Declares progress: a token came, a tool began or ended, a file changed. Not that something merely still turns, or that a message
    /// was heard.
    pub fn beat(&self) {
        if let Some(shared) = &self.0 {
            shared.progress.store(shared.now(), Ordering::Relaxed);
        }
    }

    /// Declares that something is under way, until the returned guard is dropped. Its begin and its end are progress.
    #[must_use]
    pub fn activity(&self, name: impl Into<Arc<str>>) -> Activity {
        self.beat();
        let cancel = CancellationToken::new();
        let id = self.0.as_ref().map_or(0, |shared| {
            let now = shared.now();
            let mut under_way = shared.lock();
            let id = under_way.next;
            under_way.next += 1;
            let activity = (name.into(), now, cancel.clone());
            under_way.activities.insert(id, activity);
            id
        });
        Activity {
            pulse: self.clone(),
            id,
            cancel,
        }
    }

    /// Protects the incarnation from every limit, in the name of `owner` and for `most` at most, until the guard is dropped: for
    /// what is slow on purpose. A second zone takes the place of the first.
    #[must_use]
    pub fn zone(&self, owner: impl Into<Arc<str>>, most: Duration) -> Zone {
        let mut id = 0;
        if let Some(shared) = &self.0 {
            let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
            let until = shared.now().saturating_add(most);
            let mut under_way = shared.lock();
            (id, under_way.next) = (under_way.next, under_way.next + 1);
            under_way.zone = Some((owner.into(), until, id));
        }
        let pulse = self.clone();
        Zone { pulse, id }
    }

    /// Counts the nudges: each is the supervisor's question whether the child is still there, and the answer is a [`Pulse::beat`].
    #[must_use]
    pub fn nudges(&self) -> watch::Receiver<u64> {
        match &self.0 {
            Some(shared) => shared.nudges.subscribe(),
            None => watch::channel(0).1,
        }
    }

    pub(crate) fn handling(&self, is_handling: bool) {
        if let Some(shared) = &self.0 {
            let since = if is_handling { shared.now() + 1 } else { 0 };
            shared.handling.store(since, Ordering::Relaxed);
        }
    }

    pub(crate) fn nudge(&self) {
        if let Some(shared) = &self.0 {
            shared.nudges.send_modify(|nudges| *nudges += 1);
        }
    }

    /// Tells everything under way to end.
    pub(crate) fn cancel(&self) {
        if let Some(shared) = &self.0 {
            for (_, _, cancel) in shared.lock().activities.values() {
                cancel.cancel();
            }
        }
    }

    pub(crate) fn under_way(&self) -> Vec<Arc<str>> {
        let Some(shared) = &self.0 else {
            return Vec::new();
        };
        let under_way = shared.lock();
        let activities = under_way.activities.values().map(|(name, ..)| name.clone());
        let zone = under_way.zone.iter();
        let zone = zone.map(|(owner, ..)| format!("protected by {owner}").into());
        activities.chain(zone).collect()
    }

    pub(crate) fn vitals(&self) -> Vitals {
        let Some(shared) = &self.0 else {
            return Vitals::default();
        };
        let now = shared.now();
        let age = |since: u64| Duration::from_micros(now.saturating_sub(since));
        let handling = shared.handling.load(Ordering::Relaxed).checked_sub(1);
        let under_way = shared.lock();
        let working = under_way
            .activities
            .values()
            .map(|(_, since, _)| *since)
            .min();
        let progress = shared.progress.load(Ordering::Relaxed);
        // A message is a beginning for its handler alone: what is under way beside it gets no further by what the child hears.
        let begun = working.map_or(handling, |_| Some(progress));
        let silent = begun.map(|begun| age(begun.max(progress)));
        let protected = under_way.zone.as_ref();
        let protected =
            protected.map(|(_, until, _)| Duration::from_micros(until.saturating_sub(now)));
        drop(under_way);
        Vitals {
            under_way: self.under_way(),
            silent,
            handling: handling.map(age),
            working: working.map(age),
            protected,
        }
    }
}

/// Something under way; ends when it is dropped.
#[derive(Debug)]
pub struct Activity {
    pulse: Pulse,
    id: u64,
    cancel: CancellationToken,
}

impl Activity {
    /// Completes when it is to end because it hangs. Whoever does the work decides how it ends.
    pub fn cancelled(&self) -> WaitForCancellationFutureOwned {
        self.cancel.clone().cancelled_owned()
    }

    /// Declares progress.
    pub fn beat(&self) {
        self.pulse.beat();
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.pulse.beat();
        if let Some(shared) = &self.pulse.0 {
            shared.lock().activities.remove(&self.id);
        }
    }
}

/// A protected zone; ends when it is dropped.
#[derive(Debug)]
pub struct Zone {
    pulse: Pulse,
    id: u64,
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.pulse.beat();
        if let Some(shared) = &self.pulse.0 {
            let mut under_way = shared.lock();
            under_way.zone.take_if(|(.., id)| *id == self.id);
        }
    }
}
