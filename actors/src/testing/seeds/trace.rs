//! What a system did and what was durable at that instant, noted from outside.
//!
//! Events of a task are numbered without gaps and become durable in order, so the number of the newest that the store holds says of
//! every event whether it was durable.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{CallId, Event, ModelRequest, Reply, RunId, Seq, TaskId};
use crate::provider::{DeltaSink, Provider, ProviderError};
use crate::store::{
    Append, Appended, EventQuery, Memory, RunRow, Snapshot, Store, StoreError, TaskRow,
};
use crate::system::Deps;
use crate::testing::outside::Witness;
use crate::testing::sim::Stage;
use futures_util::future::{BoxFuture, FutureExt};

/// Something a system did.
#[derive(Debug, Clone)]
pub enum Did {
    /// A model was asked this.
    Asked(Box<ModelRequest>),
    /// A tool was called, in the node or on an executor, by a run of this epoch.
    Called(CallId, u64),
    /// An append was sent to the store.
    Wrote(Append),
}

/// Something a system did, and the newest event that was durable then.
#[derive(Debug, Clone)]
pub struct Fact {
    /// The newest event that was durable.
    pub head: Seq,
    /// What was done.
    pub did: Did,
}

/// What becomes of the snapshots that are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// They are as they were written.
    #[default]
    Kept,
    /// There are none.
    Lost,
    /// They are not what was written, and nobody notices.
    Garbled,
    /// They are cut off.
    Cut,
    /// The store notices that they are not what was written.
    Corrupt,
}

/// Notes what the systems on one stage do.
#[derive(Clone)]
pub struct Trace {
    store: Arc<Memory>,
    facts: Arc<Mutex<Vec<Fact>>>,
    fate: Fate,
    /// How many snapshots were asked for and were there.
    served: Arc<AtomicUsize>,
}

impl Trace {
    /// Notes what happens on this stage.
    pub fn of(stage: &Stage) -> Self {
        let trace = Self {
            store: stage.store.clone(),
            facts: Arc::default(),
            fate: Fate::Kept,
            served: Arc::default(),
        };
        let witness = trace.clone();
        let tell = move |call: &CallId, epoch| witness.note(Did::Called(call.clone(), epoch));
        stage.outside.watched_by(Witness(Arc::new(tell)));
        trace
    }

    /// With another fate of the snapshots.
    pub fn snapshots(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }

    /// How many snapshots were asked for and were there.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Stands between a system and what it is given.
    pub fn watch(&self, deps: &mut Deps) {
        let (inner, trace) = (deps.store.clone(), self.clone());
        deps.store = Arc::new(Noted { inner, trace });
        for (provider, _) in deps.providers.values_mut() {
            let (inner, trace) = (provider.clone(), self.clone());
            *provider = Arc::new(Noted { inner, trace });
        }
    }

    fn facts(&self) -> MutexGuard<'_, Vec<Fact>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Fact> {
        self.facts().clone()
    }

    /// How often a model was asked and a tool was called.
    #[must_use]
    pub fn begun(&self) -> (usize, usize) {
        let facts = self.facts();
        let asked = facts.iter().filter(|it| matches!(it.did, Did::Asked(_)));
        let called = facts.iter().filter(|it| matches!(it.did, Did::Called(..)));
        (asked.count(), called.count())
    }

    /// The newest event that is durable now.
    pub fn head(&self) -> Seq {
        let tasks = self.store.tasks(false).now_or_never();
        let tasks = tasks
            .expect("memory answers at once")
            .expect("memory can be read");
        tasks.first().map_or(0, |task| task.head)
    }

    fn note(&self, did: Did) {
        let head = self.head();
        self.facts().push(Fact { head, did });
    }
}

/// What models were asked, in order.
pub fn requests(facts: &[Fact]) -> impl Iterator<Item = (Seq, &ModelRequest)> {
    facts.iter().filter_map(|fact| match &fact.did {
        Did::Asked(request) => Some((fact.head, &**request)),
        _ => None,
    })
}

struct Noted<T: ?Sized> {
    trace: Trace,
    inner: Arc<T>,
}

impl Provider for Noted<dyn Provider> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        async move {
            self.trace.note(Did::Asked(Box::new(request.clone())));
            self.inner.call(request, deltas).await
        }
        .boxed()
    }
}

impl Store for Noted<dyn Store> {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        for append in &batch {
            self.trace.note(Did::Wrote(append.clone()));
        }
        self.inner.append(batch)
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.inner.events(query)
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.inner.tasks(unfinished)
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        self.inner.task(id)
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        self.inner.runs(task)
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.blob(hash)
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.put_snapshot(snapshot)
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        async move {
            let Some(mut snapshot) = self.inner.snapshot(run).await? else {
                return Ok(None);
            };
            self.trace.served.fetch_add(1, Ordering::SeqCst);
            match self.trace.fate {
                Fate::Kept => {}
                Fate::Lost => return Ok(None),
                Fate::Garbled => snapshot.body.iter_mut().for_each(|byte| *byte ^= 1),
                Fate::Cut => snapshot.body.truncate(snapshot.body.len() / 2),
                Fate::Corrupt => {
                    let (place, detail) = (format!("the snapshot of {run}"), String::new());
                    return Err(StoreError::Corrupt { place, detail });
                }
            }
            Ok(Some(snapshot))
        }
        .boxed()
    }
}
