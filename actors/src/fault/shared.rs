//! A plan at work in one system: what its decorators, its player and its tree share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use supervision::{SupervisorHandle, Trigger};
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::feed::Live;
use crate::model::{EventBody, TaskId};

use super::dice::{Dice, Ears};
use super::plan::{FaultPlan, Kind, Target, When};
use super::player::Timers;
use super::victims::fits;

/// Hears of each strike, with the task it concerns.
pub type Note = Arc<dyn Fn(TaskId, EventBody) + Send + Sync>;

/// How the process is ended: at once, and by a kill or a panic.
pub type EndNode = Arc<dyn Fn(Kind) + Send + Sync>;

/// The faults of a system; none unless it was given a plan.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Shared>>);

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0.as_ref().map(|shared| &shared.plan);
        f.debug_tuple("Faults").field(&plan).finish()
    }
}

pub(super) struct Shared {
    pub(super) plan: FaultPlan,
    /// Of each fault that is in the tree and waits for an event.
    pub(super) triggers: Vec<Trigger>,
    pub(super) end_node: Option<EndNode>,
    pub(super) root: OnceLock<SupervisorHandle>,
    /// What was published before the player's first life.
    pub(super) first: Mutex<Option<broadcast::Receiver<Live>>>,
    pub(super) ears: Mutex<Ears>,
    pub(super) timers: Mutex<Timers>,
    dice: Mutex<Dice>,
    origin: Instant,
    note: OnceLock<Note>,
    pumps: Mutex<Vec<BoxFuture<'static, ()>>>,
    has_pump: Notify,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    /// A plan that is played from now on; an empty one is none. The process can only be ended by who is given `end_node`.
    #[must_use]
    pub fn new(plan: FaultPlan, end_node: Option<EndNode>) -> Self {
        if plan.0.is_empty() {
            return Self(None);
        }
        let triggers = plan.0.iter().map(|_| Trigger::default()).collect();
        Self(Some(Arc::new(Shared {
            plan,
            triggers,
            end_node,
            root: OnceLock::new(),
            first: Mutex::default(),
            ears: Mutex::default(),
            timers: Mutex::default(),
            dice: Mutex::default(),
            origin: Instant::now(),
            note: OnceLock::new(),
            pumps: Mutex::default(),
            has_pump: Notify::new(),
        })))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.0.as_ref()
    }

    /// Tells whom strikes are told, and listens to what is published from now on.
    pub fn listen(&self, note: Note, live: broadcast::Receiver<Live>) {
        if let Some(shared) = &self.0 {
            let _ = shared.note.set(note);
            *lock(&shared.first) = Some(live);
        }
    }

    /// The tree is up: what is in it can be killed.
    pub fn up(&self, root: &SupervisorHandle) {
        if let Some(shared) = &self.0 {
            let _ = shared.root.set(root.clone());
        }
    }

    /// Counts an occasion at those targets that `at` means; what strikes there, the first of the plan, and is told of.
    pub(super) fn strike(
        &self,
        task: Option<TaskId>,
        target: &Target,
        at: impl Fn(&Target) -> bool,
    ) -> Option<Kind> {
        let shared = self.0.as_ref()?;
        let (now, name) = (shared.now(), target.to_string());
        let mut dice = lock(&shared.dice);
        let mut struck = None;
        for (n, fault) in shared.plan.0.iter().enumerate() {
            let is_there = !fault.is_active() && at(&fault.target);
            if is_there && struck.is_none() && dice.strikes(&shared.plan, n, &name, now) {
                struck = Some(n);
            }
        }
        drop(dice);
        let n = struck?;
        shared.note(n, task, target);
        Some(shared.plan.0[n].kind)
    }

    /// Keeps something going beside the player.
    pub(super) fn pump(&self, pump: BoxFuture<'static, ()>) {
        if let Some(shared) = &self.0 {
            lock(&shared.pumps).push(pump);
            shared.has_pump.notify_one();
        }
    }

    /// Whether some fault has a target that `is_it` means.
    pub(super) fn has(&self, is_it: impl Fn(&Target) -> bool) -> bool {
        let shared = self.0.as_ref();
        shared.is_some_and(|shared| shared.plan.0.iter().any(|fault| is_it(&fault.target)))
    }
}

impl Shared {
    /// Since the start.
    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// When that is.
    pub(super) fn moment(&self, since: Duration) -> Instant {
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        self.origin + since.min(far)
    }

    /// What is written about a strike.
    pub(super) fn entry(&self, n: usize, target: &Target) -> EventBody {
        let fault = &self.plan.0[n];
        EventBody::FaultInjected {
            target: target.to_string(),
            fault: fault.kind.to_string(),
            when: fault.when.to_string(),
        }
    }

    /// Tells of a strike the task that it concerns, or all that are at work where it concerns no single one.
    pub(super) fn note(&self, n: usize, task: Option<TaskId>, target: &Target) {
        let body = self.entry(n, target);
        let fault = &self.plan.0[n];
        tracing::warn!(
            "a fault on purpose: {} of {target} ({})",
            fault.kind,
            fault.when
        );
        let known = || lock(&self.ears).known();
        let tasks = task.map_or_else(known, |task| vec![(task, 0)]);
        if let Some(note) = self.note.get() {
            tasks
                .into_iter()
                .for_each(|(task, _)| note(task, body.clone()));
        }
    }

    /// An event calls for a strike at the next occasion.
    pub(super) fn owe(&self, n: usize) {
        let fault = &self.plan.0[n];
        match (&fault.target, &fault.when) {
            (Target::Agent(_) | Target::Run(_), When::On { .. }) => self.triggers[n].pull(),
            (_, When::On { .. }) => lock(&self.dice).owe(n),
            _ => {}
        }
    }

    /// The next that is to be kept going beside the player.
    pub(super) async fn next_pump(&self) -> BoxFuture<'static, ()> {
        loop {
            if let Some(pump) = lock(&self.pumps).pop() {
                return pump;
            }
            self.has_pump.notified().await;
        }
    }
}

/// Whether a fault's target means the one of this name.
pub(super) fn is_provider(target: &Target, name: &str) -> bool {
    matches!(target, Target::Provider(pattern) if fits(pattern, name))
}
