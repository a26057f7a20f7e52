//! The thread-safe shell around the rules, on tokio's clock.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::config::Config;
use super::core::{Core, Ticket};
use super::open::Open;
use super::permit::Permit;
use super::snapshot::Snapshot;
use super::subscription::Subscription;
use super::transition::{Outcome, State, Transition};
use crate::spec::SpecError;

/// Somebody who wants to hear of every transition, in order, one at a time. Called outside the lock by whoever noticed the transition:
/// it should be quick, and may use the breaker. Should it panic, that is logged and changes nothing.
pub type Listener = Arc<dyn Fn(&Transition) + Send + Sync>;

/// Leaves alone what fails too often, and finds out with a few probes when it is well again.
///
/// Cheap to clone; all clones are the same breaker. What counts as a failure is the caller's word. Time is tokio's, so that tests can
/// hold it; only what waits needs a runtime. The breaker runs nothing of its own: what is due happens when somebody looks, as of the
/// moment it was due.
///
/// ```
/// use std::time::Duration;
/// use supervision::CircuitBreaker;
/// use supervision::breaker::{Config, Failure, State};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config { failures: Some(2), ..Config::default() };
/// let breaker = CircuitBreaker::new("search", config)?;
///
/// breaker.try_acquire()?.success();
/// breaker.try_acquire()?.failure(Failure::new("timeout"));
/// breaker.try_acquire()?.failure(Failure::new("overloaded").retry_after(Duration::from_secs(60)));
///
/// let open = breaker.try_acquire().unwrap_err();
/// assert_eq!(open.to_string(), "circuit breaker `search` has been open for 0ns: 2 failures, the last: overloaded; it tries again in 60s");
///
/// assert_eq!(breaker.until_ready().await, State::HalfOpen); // a minute later
/// breaker.try_acquire()?.success();
/// assert_eq!(breaker.state(), State::Closed);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    start: Instant,
    guarded: Mutex<Guarded>,
    /// Rung after everything that may concern a subscriber.
    bell: watch::Sender<u64>,
    listener: Option<Listener>,
}

struct Guarded {
    core: Core,
    /// Somebody is telling the listener.
    telling: bool,
}

impl CircuitBreaker {
    /// A closed breaker. The name is for people: names need not differ.
    ///
    /// # Errors
    /// A limit that cannot be.
    pub fn new(name: impl AsRef<str>, config: Config) -> Result<Self, SpecError> {
        Self::build(name, config, None)
    }

    /// A closed breaker whose transitions somebody wants to hear.
    ///
    /// # Errors
    /// A limit that cannot be.
    pub fn with_listener(
        name: impl AsRef<str>,
        config: Config,
        listener: Listener,
    ) -> Result<Self, SpecError> {
        Self::build(name, config, Some(listener))
    }

    fn build(
        name: impl AsRef<str>,
        config: Config,
        listener: Option<Listener>,
    ) -> Result<Self, SpecError> {
        let name: Arc<str> = name.as_ref().into();
        let core = Core::new(name.clone(), config)?;
        let guarded = Guarded {
            core,
            telling: false,
        };
        Ok(Self(Arc::new(Inner {
            name,
            start: Instant::now(),
            guarded: Mutex::new(guarded),
            bell: watch::Sender::new(0),
            listener,
        })))
    }

    /// Asks for one call.
    ///
    /// # Errors
    /// Why it is not let through, and when to come back.
    pub fn try_acquire(&self) -> Result<Permit, Open> {
        let ticket = self.with(|core, now| core.acquire(now))?;
        Ok(Permit::new(self.clone(), ticket))
    }

    /// Makes one call, if it is let through, and has `classify` say what its output means. A call that panics or is cancelled counts
    /// as abandoned. There is no time limit but that of the future.
    ///
    /// # Errors
    /// Why it was not let through; the future was not polled then.
    pub async fn call<F: Future>(
        &self,
        future: F,
        classify: impl FnOnce(&F::Output) -> Outcome,
    ) -> Result<F::Output, Open> {
        let permit = self.try_acquire()?;
        let output = future.await;
        permit.settle(classify(&output));
        Ok(output)
    }

    /// Hears of a call for which nobody asked here, such as a retry that a client made by itself. It counts while the breaker is closed.
    pub fn record(&self, outcome: Outcome) {
        self.with(|core, now| core.record(now, outcome));
    }

    /// Holds it open by hand, whatever happens, until [`close`](Self::close) or [`automatic`](Self::automatic).
    pub fn open(&self, reason: impl AsRef<str>) {
        self.with(|core, now| core.open(now, reason.as_ref()));
    }

    /// Holds it closed by hand, whatever happens, until [`open`](Self::open) or [`automatic`](Self::automatic).
    pub fn close(&self, reason: impl AsRef<str>) {
        self.with(|core, now| core.close(now, reason.as_ref()));
    }

    /// Leaves it to itself again: what was held open probes first, what was held closed begins with an empty window.
    pub fn automatic(&self) {
        self.with(Core::automatic);
    }

    /// From now on refuses this part of the calls, from 0 to 1, by seeded chance; not while it is held by hand.
    ///
    /// # Errors
    /// A part that is none.
    pub fn inject_faults(&self, part: f64) -> Result<(), SpecError> {
        self.with(|core, _| core.inject_faults(part))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.look().1
    }

    /// How it stands now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.with(Core::snapshot)
    }

    /// Follows its state from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let bell = self.0.bell.subscribe();
        Subscription::new(self.clone(), self.look().0, bell)
    }

    /// Waits until it is not open, without polling; returns what it is then. Another caller may still be faster.
    pub async fn until_ready(&self) -> State {
        let mut subscription = self.subscribe();
        let mut state = subscription.state();
        while state == State::Open {
            state = subscription.changed().await;
        }
        state
    }

    pub(super) fn settle(&self, ticket: Ticket, outcome: Outcome) {
        self.with(|core, now| core.settle(now, ticket, outcome));
    }

    pub(super) fn abandon(&self, ticket: Ticket) {
        self.with(|core, now| core.abandon(now, ticket));
    }

    /// Its generation and state, and when something is due.
    pub(super) fn look(&self) -> (u64, State, Option<Instant>) {
        let due = |due| self.0.start.checked_add(due);
        self.with(|core, now| {
            core.advance(now);
            (core.generation(), core.state(), core.due().and_then(due))
        })
    }

    /// Asks the rules, then tells those who want to know, outside the lock.
    fn with<T>(&self, ask: impl FnOnce(&mut Core, Duration) -> T) -> T {
        let now = self.0.start.elapsed();
        let mut guarded = self.lock();
        let answer = ask(&mut guarded.core, now);
        let stirred = guarded.core.stirred();
        drop(guarded);
        if stirred {
            self.tell();
            self.0.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
        }
        answer
    }

    /// Whoever comes first tells everything, also what others add meanwhile: so the listener hears it in order.
    fn tell(&self) {
        if std::mem::replace(&mut self.lock().telling, true) {
            return;
        }
        while let Some(transition) = self.next_to_tell() {
            let told = catch_unwind(AssertUnwindSafe(|| {
                transition.log();
                if let Some(listener) = &self.0.listener {
                    listener(&transition);
                }
            }));
            if told.is_err() {
                tracing::error!(breaker = %transition.breaker, "the listener of a circuit breaker panicked");
            }
        }
    }

    fn next_to_tell(&self) -> Option<Transition> {
        let mut guarded = self.lock();
        let next = guarded.core.next_transition();
        guarded.telling = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        let guarded = self.0.guarded.lock();
        guarded.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitBreaker({})", self.name())
    }
}
