//! Moments, counted; accidents happen at chosen ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// What happens at a chosen moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accident {
    /// Whoever is at work panics.
    Crash,
    /// Nothing moves any more, as if the process had been killed: [`Moments::power_off`] tells when.
    PowerOff,
    /// Something in the tree is killed, chosen by this number: [`Moments::kill`] tells when.
    Kill(u64),
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

    fn kills(&self) -> MutexGuard<'_, Vec<(u64, oneshot::Sender<()>)>> {
        self.0.kills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more moment passes.
    ///
    /// # Panics
    /// At a moment for which a crash was chosen.
    pub async fn pass(&self) {
        let now = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        match self.0.accidents.get(&now) {
            None => {}
            Some(Accident::Crash) => panic!("an accident at moment {now}"),
            Some(Accident::PowerOff) => {
                self.0.off.notify_one();
                std::future::pending::<()>().await;
            }
            Some(Accident::Kill(whom)) => {
                let (done, wait) = oneshot::channel();
                self.kills().push((*whom, done));
                self.0.killing.notify_one();
                let _ = wait.await;
            }
        }
    }

    /// Waits until the power is off.
    pub async fn power_off(&self) {
        self.0.off.notified().await;
    }

    /// Waits until something is to be killed: the number that chooses what, and where to say that it is done.
    pub async fn kill(&self) -> (u64, oneshot::Sender<()>) {
        loop {
            let next = self.kills().pop();
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
