//! The timers of one supervisor, and the one task that waits for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::actor::Attached;
use crate::restart::TimerId;

/// Tells of each timer when it runs out.
pub(super) type Ring = Box<dyn Fn(TimerId) + Send>;

/// A timer costs an entry in a list; most are disarmed before anything else comes of them.
#[derive(Clone, Default)]
pub(super) struct Alarms(Arc<Armed>);

#[derive(Default)]
struct Armed {
    list: Mutex<List>,
    /// There is one that comes before what is waited for.
    sooner: Notify,
}

#[derive(Default)]
struct List {
    due: BTreeSet<(Instant, TimerId)>,
    when: BTreeMap<TimerId, Instant>,
    /// Until when the task waits, where there is one.
    waits: Option<Instant>,
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a timer. What waits for it is attached, and ends with that.
    pub(super) fn arm(
        &self,
        timer: TimerId,
        at: Instant,
        attached: &Attached,
        ring: impl FnOnce() -> Ring,
    ) {
        let mut list = self.lock();
        list.due.insert((at, timer));
        list.when.insert(timer, at);
        match list.waits {
            Some(waits) if waits <= at => {}
            Some(_) => self.0.sooner.notify_one(),
            None => {
                list.waits = Some(at);
                drop(attached.spawn(self.clone().wait(at, ring())));
            }
        }
    }

    pub(super) fn disarm(&self, timer: TimerId) {
        let mut list = self.lock();
        if let Some(at) = list.when.remove(&timer) {
            list.due.remove(&(at, timer));
        }
    }

    async fn wait(self, first: Instant, ring: Ring) {
        let mut next = Some(first);
        while let Some(at) = next {
            tokio::select! {
                biased;
                () = self.0.sooner.notified() => {}
                () = sleep_until(at) => {}
            }
            let over;
            (over, next) = self.lock().over(Instant::now());
            over.into_iter().for_each(&ring);
        }
    }
}

impl List {
    /// The timers that have run out, and when the next one does.
    fn over(&mut self, now: Instant) -> (Vec<TimerId>, Option<Instant>) {
        let mut over = Vec::new();
        while let Some(&(at, timer)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            self.when.remove(&timer);
            over.push(timer);
        }
        self.waits = self.due.first().map(|(at, _)| *at);
        (over, self.waits)
    }
}
