//! The shell around the rules: permits that give themselves back, waiters that can leave, on tokio's clock.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::core::Core;
use super::{Limits, Look, News, Outcome, Refused, Request};
use crate::model::{RunId, WaitReason};

/// All pools and all limits of providers. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Pools(Arc<Inner>);

struct Inner {
    start: Instant,
    state: Mutex<State>,
    /// When somebody may go although nothing happens until then.
    due: watch::Sender<Option<Duration>>,
    listener: OnceLock<Listener>,
}

/// Who hears of providers that fall ill or get well. It should be quick.
type Listener = Box<dyn Fn(News) + Send + Sync>;

struct State {
    core: Core,
    doors: HashMap<u64, oneshot::Sender<Permit>>,
}

impl Default for Pools {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pools").field(&self.look()).finish()
    }
}

impl Pools {
    /// Pools and providers with these limits, of which nothing is taken.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let state = State {
            core: Core::new(limits),
            doors: HashMap::new(),
        };
        Self(Arc::new(Inner {
            start: Instant::now(),
            state: Mutex::new(state),
            due: watch::Sender::new(None),
            listener: OnceLock::new(),
        }))
    }

    /// From now on tells of providers that fall ill or get well; only the first listener hears.
    pub fn listen(&self, listener: impl Fn(News) + Send + Sync + 'static) {
        let _ = self.0.listener.set(Box::new(listener));
    }

    /// From now on these limits hold: whoever may go because of it goes at once, and nobody who has a permit loses it. A pool or a
    /// provider that is not named keeps what it has.
    pub fn configure(&self, limits: &Limits) {
        self.change(|state, _| state.core.configure(limits));
    }

    /// Asks for a permit; what is returned is to be awaited.
    ///
    /// # Errors
    /// [`Refused`] when too many wait already.
    pub fn ask(&self, request: &Request) -> Result<Waiting, Refused> {
        let (door, permit) = oneshot::channel();
        let id = self.change(|state, now| {
            let id = state.core.ask(now, request)?;
            state.doors.insert(id, door);
            Ok(id)
        })?;
        let pools = self.clone();
        Ok(Waiting { pools, id, permit })
    }

    /// A permit, if the call may be made at once; nobody is overtaken.
    #[must_use]
    pub fn take(&self, request: &Request) -> Option<Permit> {
        self.ask(request).ok()?.permit.try_recv().ok()
    }

    /// Lets in those whose time has come, for ever. Without it nobody is let in but when a permit is given back.
    pub async fn keep_time(&self) {
        let mut due = self.0.due.subscribe();
        loop {
            let at = *due.borrow_and_update();
            let time = async {
                match at {
                    Some(at) => tokio::time::sleep_until(self.0.start + at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => self.change(|_, _| ()),
                changed = due.changed() => if changed.is_err() { return },
            }
        }
    }

    /// How everything stands now.
    #[must_use]
    pub fn look(&self) -> Look {
        self.read(Core::look)
    }

    /// Why those runs wait that wait here.
    #[must_use]
    pub fn waits(&self) -> BTreeMap<RunId, WaitReason> {
        self.read(Core::waits)
    }

    fn read<T>(&self, read: impl FnOnce(&Core, Duration) -> T) -> T {
        let state = self.lock();
        read(&state.core, self.0.start.elapsed())
    }

    /// Something happens; whoever may go because of it is let in.
    fn change<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.lock();
        let now = self.0.start.elapsed();
        let answer = change(&mut state, now);
        let admitted = state.core.admit(now);
        let doors: Vec<_> = admitted
            .into_iter()
            .map(|id| (state.doors.remove(&id), self.permit(id)))
            .collect();
        let due = state.core.due(now);
        // Told behind the lock: whoever listens only takes note, and so hears everything in order.
        if let Some(listener) = self.0.listener.get() {
            state.core.news().into_iter().for_each(listener);
        }
        drop(state);
        self.0.due.send_if_modified(|known| {
            let is_new = *known != due;
            *known = due;
            is_new
        });
        for (door, permit) in doors {
            // Nobody behind the door: the permit comes back and gives itself back.
            let _ = door.map(|door| door.send(permit));
        }
        answer
    }

    fn permit(&self, id: u64) -> Permit {
        let pools = self.clone();
        Permit { pools, id }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a permit. Dropping it leaves the line at once, and gives back what had just been given.
#[derive(Debug)]
#[must_use = "to be awaited"]
pub struct Waiting {
    pools: Pools,
    id: u64,
    permit: oneshot::Receiver<Permit>,
}

impl Waiting {
    /// Why it waits; none when it does not any more.
    #[must_use]
    pub fn why(&self) -> Option<WaitReason> {
        self.pools.read(|core, now| core.why(now, self.id))
    }
}

impl Future for Waiting {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        match Pin::new(&mut self.permit).poll(cx) {
            Poll::Ready(Ok(permit)) => Poll::Ready(permit),
            // The door is only closed by this waiter itself.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let id = self.id;
        self.pools.change(|state, _| {
            state.core.leave(id);
            // Dropped behind the lock: it holds no permit.
            state.doors.remove(&id);
        });
    }
}

/// The right to have one request under way. Dropping it gives it back; a request that was never sent counts for nothing then.
#[derive(Debug)]
#[must_use = "dropping it gives it back"]
pub struct Permit {
    pools: Pools,
    id: u64,
}

impl Permit {
    /// The request is sent now.
    pub fn sent(&self) {
        self.pools
            .change(|state, now| state.core.sent(now, self.id));
    }

    /// What became of the request.
    pub fn heard(&self, outcome: Outcome) {
        self.pools
            .change(|state, now| state.core.heard(now, self.id, outcome));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let id = self.id;
        self.pools.change(|state, now| state.core.release(now, id));
    }
}
