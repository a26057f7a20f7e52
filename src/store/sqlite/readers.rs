//! A few connections that only read.

use std::sync::{Arc, Mutex, PoisonError};

use actors::store::StoreError;
use rusqlite::{Connection, Transaction};
use tokio::sync::Semaphore;

use super::connect::{Access, connect};
use super::error::{Failure, Place};

/// Lends connections; at most as many as it was given permits for are in use, further readers wait.
#[derive(Debug)]
pub(super) struct Readers {
    pool: Arc<Pool>,
    permits: Arc<Semaphore>,
    size: u32,
}

#[derive(Debug)]
struct Pool {
    place: Place,
    access: Access,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(place: Place, access: Access, size: u16) -> Self {
        let size = u32::from(size.max(1));
        Self {
            pool: Arc::new(Pool {
                place,
                access,
                idle: Mutex::default(),
            }),
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
        }
    }

    /// Asks `query` of one consistent state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let pool = self.pool.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let answer = pool.read(query);
            drop(permit);
            answer
        });
        match reading.await {
            Ok(answer) => answer.map_err(|failure| self.pool.place.error(failure)),
            Err(stopped) => Err(self
                .pool
                .place
                .io(format!("reading was broken off: {stopped}"))),
        }
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
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that failed is not used again.
    fn read<T>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.idle().pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => connect(self.place.path(), self.access)?,
        };
        let tx = conn.transaction()?;
        let answer = query(&tx)?;
        tx.finish()?;
        self.idle().push(conn);
        Ok(answer)
    }
}
