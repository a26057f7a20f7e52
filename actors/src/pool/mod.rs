//! Pools of permits: how many model calls may be under way at a time. A permit is held for one request, never for an agent or a
//! run, so runs that wait for each other cannot wait for permits of each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The pool that agents use unless they say otherwise.
pub const WORKERS: &str = "workers";

/// Permits of [`WORKERS`] unless said otherwise.
pub const DEFAULT_WORKERS: usize = 5;

/// Named pools.
#[derive(Debug, Clone)]
pub struct Pools(Arc<BTreeMap<String, Arc<Semaphore>>>);

impl Default for Pools {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl Pools {
    /// Pools of these sizes; [`WORKERS`] is there in any case.
    #[must_use]
    pub fn new(sizes: BTreeMap<String, usize>) -> Self {
        let mut sizes = sizes;
        sizes.entry(WORKERS.to_owned()).or_insert(DEFAULT_WORKERS);
        Self(Arc::new(
            sizes
                .into_iter()
                .map(|(name, size)| (name, Arc::new(Semaphore::new(size))))
                .collect(),
        ))
    }

    /// A permit of this pool, or of [`WORKERS`] if there is none of that name. `on_wait` is called if it has to be waited for.
    pub async fn permit(&self, pool: &str, on_wait: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
        let semaphore = self.0.get(pool).or_else(|| self.0.get(WORKERS))?.clone();
        acquire(semaphore, on_wait).await
    }

    /// A permit of this provider's own limit; none if it has no limit.
    pub async fn provider_permit(
        &self,
        provider: &str,
        on_wait: impl FnOnce(),
    ) -> Option<OwnedSemaphorePermit> {
        let semaphore = self.0.get(&provider_pool(provider))?.clone();
        acquire(semaphore, on_wait).await
    }
}

/// The name of the pool that holds a provider's own limit.
#[must_use]
pub fn provider_pool(provider: &str) -> String {
    format!("provider {provider}")
}

async fn acquire(
    semaphore: Arc<Semaphore>,
    on_wait: impl FnOnce(),
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = semaphore.clone().try_acquire_owned() {
        return Some(permit);
    }
    on_wait();
    semaphore.acquire_owned().await.ok()
}
