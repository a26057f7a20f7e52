//! The directory of the executors that are connected, and of the calls that went to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supervision::Handle;
use tokio::sync::Notify;

use crate::model::executor::{ConnectedExecutor, ExecutorName};
use crate::model::{CallId, ExecutorId, Timestamp, WaitReason};
use crate::tool::CallObserver;

use super::actor::ExecutorMessage;
use super::calls::Introduced;

/// How many calls that are over, and how many that are still to be stopped, are remembered at a time.
const CALLS: usize = 10_000;

/// The executors that are connected, by project. Read-mostly; the actors of the connections write it.
#[derive(Debug, Clone, Default)]
pub struct Executors(Arc<Directory>);

#[derive(Debug, Default)]
struct Directory {
    connected: Mutex<Vec<Connected>>,
    sent: Mutex<Sent>,
    changed: Notify,
}

/// What is known of calls, whoever is connected.
#[derive(Debug, Default)]
struct Sent {
    /// Who was sent which call, until that is settled: nobody else can say what has become of it.
    to: BTreeMap<CallId, ExecutorName>,
    /// Calls of which nobody wants to hear any more: their results need not be kept.
    over: Recent,
    /// Calls to be stopped by executors of a project that were not there to be told.
    stops: BTreeMap<CallId, (String, ExecutorName)>,
}

/// The newest of many.
#[derive(Debug, Default)]
struct Recent {
    order: VecDeque<CallId>,
    ids: BTreeSet<CallId>,
}

impl Recent {
    fn insert(&mut self, id: &CallId) {
        if !self.ids.insert(id.clone()) {
            return;
        }
        self.order.push_back(id.clone());
        if self.order.len() > CALLS {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.ids.remove(&oldest));
        }
    }
}

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Connected {
    pub(super) executor: ExecutorName,
    pub(super) handle: Handle<ExecutorMessage>,
    pub(super) seen: ConnectedExecutor,
}

impl Connected {
    fn is_replaced_by(&self, newer: &Self) -> bool {
        let same_ledger = self.executor.ledger.is_some()
            && self.executor.ledger == newer.executor.ledger
            && self.seen.project == newer.seen.project;
        same_ledger && self.handle != newer.handle
    }
}

impl Executors {
    fn connected_now(&self) -> MutexGuard<'_, Vec<Connected>> {
        let connected = &self.0.connected;
        connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        let sent = &self.0.sent;
        sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that are connected, of all projects or of one, in the order of their hellos.
    #[must_use]
    pub fn list(&self, project: Option<&str>) -> Vec<ConnectedExecutor> {
        let connected = self.connected_now();
        let seen = connected.iter().map(|connected| &connected.seen);
        let of_it =
            seen.filter(|seen| project.is_none_or(|project| seen.project.as_str() == project));
        of_it.cloned().collect()
    }

    /// Takes note of a hello. The older connections of the same executor are in its place no longer: they come back.
    pub(super) fn connected(
        &self,
        project: &str,
        at: Timestamp,
        hello: &Introduced,
        handle: &Handle<ExecutorMessage>,
    ) -> Vec<Handle<ExecutorMessage>> {
        let new = Connected {
            executor: hello.executor.clone(),
            handle: handle.clone(),
            seen: seen(project, at, hello),
        };
        let mut connected = self.connected_now();
        let replaced: Vec<_> = connected
            .extract_if(.., |other| other.is_replaced_by(&new))
            .map(|other| other.handle)
            .collect();
        connected.retain(|other| other.handle != *handle);
        connected.push(new);
        drop(connected);
        self.0.changed.notify_waiters();
        replaced
    }

    pub(super) fn disconnected(&self, handle: &Handle<ExecutorMessage>) {
        self.connected_now().retain(|other| other.handle != *handle);
    }

    /// So many calls are in flight on this connection.
    pub(super) fn in_flight(&self, handle: &Handle<ExecutorMessage>, calls: usize) {
        let mut connected = self.connected_now();
        let own = connected.iter_mut().find(|own| own.handle == *handle);
        if let Some(own) = own {
            own.seen.calls_in_flight = calls;
        }
    }

    // ---- finding one

    pub(super) fn find(
        &self,
        project: &str,
        tool: &str,
        is: Option<&ExecutorName>,
    ) -> Option<Connected> {
        let mut fitting = self.all(project, tool).into_iter();
        fitting.find(|connected| is.is_none_or(|it| connected.executor.is(it)))
    }

    pub(super) fn all(&self, project: &str, tool: &str) -> Vec<Connected> {
        let fits = |executor: &&Connected| {
            executor.seen.project == project && executor.seen.tools.iter().any(|name| name == tool)
        };
        let connected = self.connected_now();
        connected.iter().filter(fits).cloned().collect()
    }

    /// An executor of this project that has this tool, or this one; waits for one, and says so.
    pub(super) async fn wait_for(
        &self,
        project: &str,
        tool: &str,
        is: Option<&ExecutorName>,
        observer: &dyn CallObserver,
    ) -> Connected {
        let mut has_said = false;
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(executor) = self.find(project, tool, is) {
                return executor;
            }
            if !std::mem::replace(&mut has_said, true) {
                observer.waits(WaitReason::Executor {
                    tool: tool.to_owned(),
                    name: is.map(|it| it.name.clone()),
                });
            }
            changed.await;
        }
    }

    // ---- calls that went to one

    /// This call goes to this executor, and its result is wanted.
    pub(super) fn sends(&self, call: &CallId, executor: &ExecutorName) {
        let mut sent = self.sent();
        sent.over.ids.remove(call);
        sent.stops.remove(call);
        sent.to.insert(call.clone(), executor.clone());
    }

    pub(super) fn was_sent(&self, call: &CallId) -> bool {
        self.sent().to.contains_key(call)
    }

    /// Nobody will ask for this call any more. Who was sent it.
    pub(super) fn over(&self, call: &CallId) -> Option<ExecutorName> {
        let mut sent = self.sent();
        sent.over.insert(call);
        sent.to.remove(call)
    }

    pub(super) fn is_over(&self, call: &CallId) -> bool {
        self.sent().over.ids.contains(call)
    }

    /// This executor is to stop this call when it is there again; should there be too many, the oldest runs into its own limit.
    pub(super) fn stop_later(&self, project: &str, call: &CallId, executor: ExecutorName) {
        let mut sent = self.sent();
        let stop = (project.to_owned(), executor);
        sent.stops.insert(call.clone(), stop);
        if sent.stops.len() > CALLS {
            sent.stops.pop_first();
        }
    }

    /// What an executor was to stop while it was not there.
    pub(super) fn stops_for(&self, project: &str, executor: &ExecutorName) -> Vec<CallId> {
        let mut sent = self.sent();
        let its =
            |_: &CallId, (of, is): &mut (String, ExecutorName)| of == project && executor.is(is);
        sent.stops.extract_if(.., its).map(|(id, _)| id).collect()
    }
}

fn seen(project: &str, at: Timestamp, hello: &Introduced) -> ConnectedExecutor {
    let executor = &hello.executor;
    ConnectedExecutor {
        id: id(project, at, hello),
        project: project.to_owned(),
        name: executor.name.clone(),
        ledger: executor.ledger.clone(),
        tools: hello.tools.iter().map(|tool| tool.name.clone()).collect(),
        root: hello.root.clone(),
        session: hello.session.clone(),
        connected_at: at,
        calls_in_flight: 0,
    }
}

/// The id of a connection: when it began, and who it is. It takes nothing from the system's own ids, which a simulation repeats.
fn id(project: &str, at: Timestamp, hello: &Introduced) -> ExecutorId {
    let executor = &hello.executor;
    let ledger = executor.ledger.as_deref().unwrap_or_default();
    let words = [project, &executor.name, ledger, &hello.session];
    let mut hash = blake3::Hasher::new();
    for word in words {
        hash.update(&(word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    let mut random = [0; 10];
    random.copy_from_slice(&hash.finalize().as_bytes()[..10]);
    ExecutorId(uuid::Builder::from_unix_timestamp_millis(at.0, &random).into_uuid())
}
