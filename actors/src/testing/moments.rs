//! Moments, counted; accidents happen at chosen ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::census::Census;

/// What happens at a chosen moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accident {
    /// Whoever is at work panics.
    Crash,
    /// Nothing moves any more, as if the process had been killed: [`Moments::power_off`] tells when.
    PowerOff,
    /// Something in the tree is killed, chosen by this number: [`Moments::kill`] tells when.
    Kill(u64),
    /// The disk is full from the next append on, for so long.
    Full(Duration),
    /// The next append cannot be synced: nothing of it was written.
    FailedSync,
    /// The store dies in the next append and answers nothing any more: [`Moments::store_died`] tells when.
    StoreDies {
        /// Whether that append is there when the store is opened again.
        written: bool,
    },
    /// A machine loses its connection in the middle of what it does; it goes on, and is back after so long, or never.
    Unplug(Option<Duration>),
}

impl Accident {
    /// What it is called in a [`Census`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::PowerOff => "power failure",
            Self::Kill(_) => "kill",
            Self::Full(_) => "disk full",
            Self::FailedSync => "failed sync",
            Self::StoreDies { written: true } => "store died, the append was written",
            Self::StoreDies { written: false } => "store died, the append was lost",
            Self::Unplug(Some(_)) => "executor lost, and back",
            Self::Unplug(None) => "executor lost for ever",
        }
    }
}

/// Counts the moments before and after every append and every effect; accidents happen at the chosen ones.
#[derive(Debug, Clone, Default)]
pub struct Moments(Arc<Plan>);

#[derive(Debug, Default)]
struct Plan {
    passed: AtomicU64,
    accidents: BTreeMap<u64, Accident>,
    off: Notify,
    kills: Mutex<Vec<(u64, oneshot::Sender<()>)>>,
    killing: Notify,
    /// What the next appends meet.
    troubles: Mutex<VecDeque<Accident>>,
    is_dead: AtomicBool,
    died: Notify,
    unplugs: Mutex<Vec<Option<Duration>>>,
    unplugging: Notify,
    census: Census,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Moments {
    /// Nothing happens.
    #[must_use]
    pub fn calm() -> Self {
        Self::default()
    }

    /// These accidents happen at these moments, from 1.
    pub fn with(accidents: impl IntoIterator<Item = (u64, Accident)>) -> Self {
        Self(Arc::new(Plan {
            accidents: accidents.into_iter().collect(),
            ..Plan::default()
        }))
    }

    /// One more moment passes.
    ///
    /// # Panics
    /// At a moment for which a crash was chosen.
    pub async fn pass(&self) {
        let now = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        let Some(accident) = self.0.accidents.get(&now).copied() else {
            return;
        };
        match accident {
            Accident::Crash => {
                self.0.census.note(accident.word());
                panic!("an accident at moment {now}");
            }
            Accident::PowerOff => {
                self.cut_power();
                std::future::pending::<()>().await;
            }
            Accident::Kill(whom) => {
                let (done, wait) = oneshot::channel();
                lock(&self.0.kills).push((whom, done));
                self.0.killing.notify_one();
                let _ = wait.await;
            }
            Accident::Full(_) | Accident::FailedSync | Accident::StoreDies { .. } => {
                lock(&self.0.troubles).push_back(accident);
            }
            Accident::Unplug(back) => {
                lock(&self.0.unplugs).push(back);
                self.0.unplugging.notify_one();
            }
        }
    }

    /// What befell so far.
    #[must_use]
    pub fn census(&self) -> &Census {
        &self.0.census
    }

    /// Nothing moves any more from now on.
    pub fn cut_power(&self) {
        self.0.census.note(Accident::PowerOff.word());
        self.0.off.notify_one();
    }

    /// What an append meets that comes now.
    pub(super) fn trouble(&self) -> Option<Accident> {
        let trouble = lock(&self.0.troubles).pop_front()?;
        self.0.census.note(trouble.word());
        Some(trouble)
    }

    /// The store is dead.
    pub(super) fn store_dies(&self) {
        self.0.is_dead.store(true, Ordering::SeqCst);
        self.0.died.notify_one();
    }

    /// Whether the store is dead.
    #[must_use]
    pub fn is_store_dead(&self) -> bool {
        self.0.is_dead.load(Ordering::SeqCst)
    }

    /// Waits until the store is dead.
    pub async fn store_died(&self) {
        self.0.died.notified().await;
    }

    /// Waits until a machine is to lose its connection: for how long.
    pub async fn unplugged(&self) -> Option<Duration> {
        loop {
            let next = lock(&self.0.unplugs).pop();
            if let Some(back) = next {
                self.0.census.note(Accident::Unplug(back).word());
                return back;
            }
            self.0.unplugging.notified().await;
        }
    }

    /// Waits until the power is off.
    pub async fn power_off(&self) {
        self.0.off.notified().await;
    }

    /// Waits until something is to be killed: the number that chooses what, and where to say that it is done.
    pub async fn kill(&self) -> (u64, oneshot::Sender<()>) {
        loop {
            let next = lock(&self.0.kills).pop();
            if let Some(kill) = next {
                return kill;
            }
            self.0.killing.notified().await;
        }
    }

    /// How many have passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::SeqCst)
    }
}
