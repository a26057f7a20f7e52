//! Where the process can be killed: around every write of the journal, every model call and every effect.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::model::{CallId, Event, ModelRequest, Reply, RunId, Seq, TaskId};
use actors::provider::{DeltaSink, ProviderError};
use actors::store::{Append, Appended, EventQuery, RunRow, Snapshot, Store, StoreError, TaskRow};
use futures_util::future::BoxFuture;
use impresario::Provider;
use impresario::executor::Point as OnExecutor;
use rustix::process::{Signal, getpid, kill_process};

use super::bank::Bank;

/// A moment in the life of a process: `effect:2:after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    kind: String,
    number: u32,
    side: String,
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().map(str::to_owned);
        let wrong = || format!("`{text}` is no point: write it like effect:2:after");
        let (kind, number, side) = (part(), part(), part());
        Ok(Self {
            kind: kind.ok_or_else(wrong)?,
            number: number.and_then(|it| it.parse().ok()).ok_or_else(wrong)?,
            side: side.ok_or_else(wrong)?,
        })
    }
}

/// Counts what comes by, and ends the process at the chosen point.
#[derive(Debug, Default)]
pub(crate) struct Points {
    deadly: Option<Point>,
    passed: Mutex<Passed>,
}

#[derive(Debug, Default)]
struct Passed {
    counts: BTreeMap<&'static str, u32>,
    /// The numbers of the executor's calls.
    calls: BTreeMap<CallId, u32>,
}

impl Points {
    pub(crate) fn new(deadly: Option<Point>) -> Self {
        let passed = Mutex::default();
        Self { deadly, passed }
    }

    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Right before something of this kind; its number.
    pub(crate) fn before(&self, kind: &'static str) -> u32 {
        let number = {
            let mut passed = self.passed();
            let count = passed.counts.entry(kind).or_default();
            *count += 1;
            *count
        };
        self.at(kind, number, "before");
        number
    }

    /// Right after it.
    pub(crate) fn after(&self, kind: &'static str, number: u32) {
        self.at(kind, number, "after");
    }

    fn at(&self, kind: &str, number: u32, side: &str) {
        let deadly = self.deadly.as_ref();
        if deadly.is_some_and(|it| it.kind == kind && it.number == number && it.side == side) {
            let _ = kill_process(getpid(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }

    /// The executor has come to a point of a call. What it did is told to the bank, which keeps count.
    pub(crate) fn on_executor(&self, point: OnExecutor, call: &CallId, bank: &Bank) {
        match point {
            OnExecutor::BegunRecorded => {
                let number = self.before("executor");
                self.passed().calls.insert(call.clone(), number);
            }
            OnExecutor::EffectDone => {
                bank.append("executed", &call.to_string());
                self.after("executor", self.number_of(call));
            }
            OnExecutor::ResultRecorded => self.at("executor", self.number_of(call), "recorded"),
        }
    }

    fn number_of(&self, call: &CallId) -> u32 {
        self.passed().calls.get(call).copied().unwrap_or_default()
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed();
        let counts = passed.counts.iter();
        let counts: Vec<_> = counts
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        f.write_str(&counts.join(", "))
    }
}

/// A provider with a point before and after each call.
pub(crate) struct WatchedProvider<P>(pub(crate) P, pub(crate) Arc<Points>);

impl<P: Provider> Provider for WatchedProvider<P> {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let number = self.1.before("model");
            let reply = self.0.call(request, deltas).await;
            self.1.after("model", number);
            reply
        })
    }
}

/// A store with a point before and after each write.
pub(crate) struct WatchedStore(pub(crate) Arc<dyn Store>, pub(crate) Arc<Points>);

impl Store for WatchedStore {
    fn append(&self, batch: Vec<Append>) -> BoxFuture<'_, Result<Appended, StoreError>> {
        Box::pin(async move {
            let number = self.1.before("append");
            let appended = self.0.append(batch).await;
            self.1.after("append", number);
            appended
        })
    }

    fn put_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let number = self.1.before("snapshot");
            let put = self.0.put_snapshot(snapshot).await;
            self.1.after("snapshot", number);
            put
        })
    }

    fn events(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.0.events(query)
    }

    fn events_at(
        &self,
        task: TaskId,
        numbers: Vec<Seq>,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.0.events_at(task, numbers)
    }

    fn tasks(&self, unfinished: bool) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.0.tasks(unfinished)
    }

    fn task(&self, id: TaskId) -> BoxFuture<'_, Result<Option<TaskRow>, StoreError>> {
        self.0.task(id)
    }

    fn runs(&self, task: TaskId) -> BoxFuture<'_, Result<Vec<RunRow>, StoreError>> {
        self.0.runs(task)
    }

    fn blob(&self, hash: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.0.blob(hash)
    }

    fn snapshot(&self, run: RunId) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.0.snapshot(run)
    }
}
