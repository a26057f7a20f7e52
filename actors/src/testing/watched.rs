//! A store between the system and its memory, where moments pass, time is lost and things go wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, pending};
use tokio::time::Instant;

use super::moments::{Accident, Moments};
use crate::model::{Event, RunId, TaskId};
use crate::store::{
    Append, Appended, EventQuery, Page, RunRow, Snapshot, Store, StoreError, TaskRow,
};

/// How a store behaves.
#[derive(Debug, Clone, Default)]
pub struct Manners(Arc<Mutex<Rules>>);

#[derive(Debug, Default)]
struct Rules {
    slow: Option<(fastrand::Rng, Duration)>,
    troubles: VecDeque<StoreError>,
    unreadable: bool,
    batches: Vec<usize>,
    reads: usize,
}

impl Manners {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every append takes up to this long, drawn from a seed. What is dropped meanwhile is written all the same, as on a disk.
    pub fn slow(&self, seed: u64, most: Duration) {
        self.rules().slow = Some((fastrand::Rng::with_seed(seed), most));
    }

    /// The next appends fail so, in this order.
    pub fn trouble(&self, errors: impl IntoIterator<Item = StoreError>) {
        self.rules().troubles.extend(errors);
    }

    /// From now on, or no more, events cannot be read.
    pub fn unreadable(&self, is: bool) {
        self.rules().unreadable = is;
    }

    /// How many appends each transaction so far took.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        self.rules().batches.clone()
    }

    /// How often events and rows were read so far.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.rules().reads
    }

    fn delay(&self) -> Duration {
        match &mut self.rules().slow {
            Some((random, most)) => most.mul_f64(random.f64()),
            None => Duration::ZERO,
        }
    }
}

/// A store that lets a moment pass before and after every append.
#[derive(Debug)]
pub struct Watched<S> {
    inner: Arc<S>,
    moments: Moments,
    manners: Manners,
    /// A disk writes in order, whoever still waits for it.
    head: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

/// How it is.
#[derive(Debug, Default)]
struct State {
    full_until: Option<Instant>,
    is_dead: bool,
}

impl<S: Store> Watched<S> {
    /// `inner`, watched.
    #[must_use]
    pub fn new(inner: Arc<S>, moments: Moments, manners: Manners) -> Self {
        Self {
            inner,
            moments,
            manners,
            head: Arc::default(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thing that was asked of it for reading.
    fn read<T>(
        &self,
        what: impl FnOnce(&S) -> BoxFuture<'_, Result<T, StoreError>>,
    ) -> BoxFuture<'_, Result<T, StoreError>>
    where
        T: Send + 'static,
    {
        self.manners.rules().reads += 1;
        match self.state().is_dead {
            true => Box::pin(async { Err(StoreError::Closed) }),
            false => what(&self.inner),
        }
    }

    /// Why the next append cannot be written, if it cannot.
    async fn refusal(&self, batch: &[Append]) -> Option<StoreError> {
        match self.moments.trouble() {
            Some(Accident::Full(time)) => self.state().full_until = Some(Instant::now() + time),
            Some(Accident::FailedSync) => {
                return Some(StoreError::Io {
                    place: "the simulated disk".to_owned(),
                    detail: "it cannot be synced".to_owned(),
                });
            }
            Some(Accident::StoreDies { written }) => {
                self.state().is_dead = true;
                self.moments.store_dies();
                if written {
                    let _ = self.inner.append(batch.to_vec()).await;
                    pending::<()>().await;
                }
            }
            _ => {}
        }
        let state = self.state();
        if state.is_dead {
            return Some(StoreError::Closed);
        }
        let is_full = state.full_until.is_some_and(|until| Instant::now() < until);
        is_full.then(|| StoreError::Full {
            place: "the simulated disk".to_owned(),
            detail: "on purpose".to_owned(),
        })
    }

    async fn write(&self, batch: Vec<Append>) -> Result<Appended, StoreError> {
        let delay = self.manners.delay();
        if delay.is_zero() {
            return self.inner.append(batch).await;
        }
        let (inner, head) = (self.inner.clone(), self.head.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "a disk goes on writing when the process that asked for it no longer waits"
        )]
        let written = tokio::spawn(async move {
            let _in_order = head.lock().await;
            tokio::time::sleep(delay).await;
            inner.append(batch).await
        });
        written.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl<S: Store> Watched<S> {
    fn damage(&self, query: EventQuery) -> Option<StoreError> {
        let place = format!("event {} of {}", query.after + 1, query.task);
        let detail = "it was damaged on purpose".to_owned();
        let is_unreadable = self.manners.rules().unreadable;
        is_unreadable.then_some(StoreError::Corrupt { place, detail })
    }
}

impl<S: Store> Store for Watched<S> {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        async move {
            self.moments.pass().await;
            let trouble = self.manners.rules().troubles.pop_front();
            if let Some(error) = trouble {
                return Err(error);
            }
            if let Some(error) = self.refusal(&batch).await {
                return Err(error);
            }
            self.manners.rules().batches.push(batch.len());
            let appended = self.write(batch).await;
            self.moments.pass().await;
            appended
        }
        .boxed()
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        match self.damage(query) {
            Some(error) => self.read(|_| Box::pin(async { Err(error) })),
            None => self.read(|inner| inner.events(query)),
        }
    }

    fn events_for(&self, query: EventQuery, run: RunId) -> BoxFuture<'_, Result<Page, StoreError>> {
        match self.damage(query) {
            Some(error) => self.read(|_| Box::pin(async { Err(error) })),
            None => self.read(|inner| inner.events_for(query, run)),
        }
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.read(|inner| inner.tasks(unfinished))
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        self.read(|inner| inner.task(id))
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        self.read(|inner| inner.runs(task))
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.read(|inner| inner.blob(hash))
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        match self.state().is_dead {
            true => Box::pin(async { Err(StoreError::Closed) }),
            false => self.inner.put_snapshot(snapshot),
        }
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.read(|inner| inner.snapshot(run))
    }
}
