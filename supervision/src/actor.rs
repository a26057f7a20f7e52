//! What a child is to the person who writes one.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::handle::Handle;
use crate::health::Pulse;
use crate::inbox::Inbox;
use crate::incarnation::{self, Awake, Own, Path, Wake};
use crate::report::Doing;
use crate::restart::Incarnation;
use crate::watchdog::Sight;

/// An error that ends an incarnation.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The behaviour of a child that handles messages, one after another.
///
/// Handlers are short and wait for nothing outside: what takes time is [attached](Context::attach), and its result comes back as
/// a message, so that an actor always hears that it should stop.
pub trait Actor: Send + 'static {
    /// What it can be told.
    type Message: Send + 'static;

    /// Handles one message.
    ///
    /// # Errors
    /// An error ends the incarnation as a failure; so does a panic.
    fn handle(
        &mut self,
        message: Self::Message,
        cx: &mut Context<Self::Message>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Cleans up. Called at every end but a kill, also after a failure or panic of the handler; the next incarnation is not
    /// started before it has returned.
    fn terminate(&mut self, exit: &Exit) -> impl Future<Output = ()> + Send {
        let _ = exit;
        async {}
    }
}

/// One incarnation's place in the world.
pub struct Context<M> {
    pub(crate) path: Path,
    pub(crate) incarnation: Incarnation,
    pub(crate) inbox: Inbox<M>,
    pub(crate) own: OwnSender<M>,
    pub(crate) pulse: Pulse,
    pub(crate) sight: Sight,
    pub(crate) exit: Option<Exit>,
}

impl<M> std::fmt::Debug for Context<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("path", self.path.whole())
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// How an incarnation, and what it attached, reaches itself.
pub(crate) struct OwnSender<M> {
    pub(crate) actor: Awake<M>,
    pub(crate) slot: Slot,
}

impl<M: Send + 'static> OwnSender<M> {
    fn send(&self, own: Own<M>) {
        self.slot.own_comes();
        let _ = self.actor.cast(Wake::Own(Box::new(own)));
    }
}

/// The slot of an incarnation, with its futures.
pub(crate) type Slot = incarnation::Slot<Attached>;

/// The futures of one incarnation. They end with it, and it counts as gone only when they are.
#[derive(Default)]
pub(crate) struct Attached(Mutex<Option<JoinSet<()>>>);

impl Attached {
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let set = guard.get_or_insert_with(JoinSet::new);
        while set.try_join_next().is_some() {}
        set.spawn(future)
    }

    /// Aborts what is left.
    pub(crate) fn abort(&self) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.iter_mut().for_each(JoinSet::abort_all);
    }

    pub(crate) fn is_empty(&self) -> bool {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().is_none_or(|set| {
            while set.try_join_next().is_some() {}
            set.is_empty()
        })
    }

    /// Aborts what is left and waits until nothing of it runs.
    pub(crate) async fn end(&self) {
        let set = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut set) = set {
            set.shutdown().await;
        }
    }
}

impl<M: Send + 'static> Context<M> {
    /// The child's path from the root.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.whole()
    }

    /// Which life of the child this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The child's own handle.
    #[must_use]
    pub fn handle(&self) -> Handle<M> {
        self.inbox.handle()
    }

    /// Ends this incarnation when the current handler returns.
    pub fn exit(&mut self, exit: Exit) {
        self.exit = Some(exit);
    }

    /// Cancelled when the child has been asked to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.own.slot.stopping()
    }

    /// Where it declares what it has under way and what progress it makes; looked at where its spec has
    /// [hang limits](crate::spec::Plan::hang).
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Runs a future beside the actor; its result comes back as a message to this incarnation, ahead of no other and outside the
    /// inbox's limit. It ends with the incarnation, or when the returned handle aborts it. A panic in it is a panic of the actor.
    pub fn attach(&self, future: impl Future<Output = M> + Send + 'static) -> AbortHandle {
        self.attach_maybe(future.map(Some))
    }

    /// Like [`Context::attach`], for a future that may have nothing to say.
    pub fn attach_maybe(
        &self,
        future: impl Future<Output = Option<M>> + Send + 'static,
    ) -> AbortHandle {
        let (actor, slot) = (self.own.actor.clone(), self.own.slot.clone());
        let own = OwnSender { actor, slot };
        let future = self.sight.clone().watch_whole(Doing::Attached, future);
        let ended = AssertUnwindSafe(future).catch_unwind();
        // Not an `async` block, which would have room for the future twice.
        self.own
            .slot
            .attached()
            .spawn(ended.map(move |ended| match ended {
                Ok(Some(message)) => own.send(Own::Message(message)),
                Ok(None) => {}
                Err(panic) => own.send(Own::Panicked(panic_message(&*panic))),
            }))
    }

    /// Sends `message` to this incarnation after a while.
    pub fn after(&self, wait: Duration, message: M) -> AbortHandle {
        self.attach(async move {
            tokio::time::sleep(wait).await;
            message
        })
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> Arc<str> {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").into()
}
