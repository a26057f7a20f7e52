//! A few connections that only read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::Failure;
use super::link::{Access, Link};

/// What a statement is given.
pub(super) type Values = Vec<Box<dyn ToSql + Sync + Send>>;

/// How long to wait before a server that is away is tried again, at first and at most.
pub(super) const PAUSE: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_millis(800));

/// Lends connections; at most as many as it was given permits for are in use, further readers wait.
#[derive(Debug)]
pub(super) struct Readers {
    runtime: Handle,
    pool: Arc<Pool>,
    permits: Arc<Semaphore>,
    size: u32,
}

#[derive(Debug)]
struct Pool {
    access: Access,
    patience: Duration,
    idle: Mutex<Vec<Link>>,
}

impl Readers {
    /// `patience` is how long a read waits for a connection and for a server that is away.
    pub(super) fn new(runtime: Handle, access: Access, size: u16, patience: Duration) -> Self {
        let size = u32::from(size.max(1));
        Self {
            runtime,
            pool: Arc::new(Pool {
                access,
                patience,
                idle: Mutex::default(),
            }),
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
        }
    }

    /// Asks one thing; what comes back is of one state.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        values: Values,
    ) -> Result<Vec<Row>, StoreError> {
        let (pool, permits) = (self.pool.clone(), self.permits.clone());
        let reading = self.runtime.spawn(async move {
            let until = Instant::now() + pool.patience;
            let Ok(permit) = timeout_at(until, permits.acquire()).await else {
                return Err(pool.access.place.io("too much is read at once: try again"));
            };
            let _permit = permit.map_err(|_| StoreError::Closed)?;
            let found = pool.read(sql, &values, until).await;
            found.map_err(|failure| pool.access.place.error(&failure))
        });
        // The runtime ends with the store.
        reading.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What goes wrong with what was read.
    pub(super) fn error(&self, failure: &Failure) -> StoreError {
        self.pool.access.place.error(failure)
    }

    /// Waits for those who read, lets nobody else read, and closes the connections.
    pub(super) async fn close(&self) {
        if let Ok(all) = self.permits.acquire_many(self.size).await {
            self.permits.close();
            drop(all);
        }
        self.pool.idle().clear();
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reading twice does no harm, so it is tried until there is an answer or no time left.
    async fn read(
        &self,
        sql: &'static str,
        values: &Values,
        until: Instant,
    ) -> Result<Vec<Row>, Failure> {
        let values: Vec<_> = values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect();
        let (mut pause, longest) = PAUSE;
        loop {
            let failure = match self.read_once(sql, &values).await {
                Err(failure) if failure.is_away() => failure,
                other => return other,
            };
            // Those that lie idle were broken by the same event.
            self.idle().clear();
            if Instant::now() + pause >= until {
                return Err(failure);
            }
            sleep(pause).await;
            pause = longest.min(pause * 2);
        }
    }

    async fn read_once(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let mut link = self.link().await?;
        let found = link.query(sql, values).await?;
        self.idle().push(link);
        Ok(found)
    }

    async fn link(&self) -> Result<Link, Failure> {
        let idle = {
            let mut idle = self.idle();
            idle.retain(|link| !link.is_closed());
            idle.pop()
        };
        match idle {
            Some(link) => Ok(link),
            None => Link::open(&self.access).await,
        }
    }
}
