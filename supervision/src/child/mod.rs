//! The only place that spawns: how a child is started, stopped, killed, and known to be gone.

mod ambient;
mod cell;
mod spawn;
mod suffer;

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::watch;

pub(crate) use self::ambient::{Ambient, Surroundings};
use self::cell::ActorLauncher;
pub(crate) use self::spawn::{FateSink, Launch, Launcher, Life, Live, Over, spawn};
pub(crate) use self::suffer::{Misfortune, suffer};
use crate::actor::{Actor, Context, Failure};
use crate::exit::Exit;
use crate::health::HangLimits;
use crate::inbox::Inbox;
use crate::incarnation::Extra;

/// What an incarnation of an actor begins as.
pub enum Init<A> {
    /// Up.
    Up(A),
    /// Up, with something for whoever had it started.
    UpWith(A, Extra),
    /// There is nothing to do: no child, and no failure.
    Declined,
}

/// Something a child depends on, and whether it is available.
pub(crate) type Need = (Arc<str>, watch::Receiver<bool>);

/// How a child is started; made by [`Start::actor`], [`Start::worker`] and [`Start::supervisor`](Start::supervisor).
#[derive(Clone)]
pub struct Start {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) needs: Vec<Need>,
    pub(crate) hang: Option<Arc<HangLimits>>,
    pub(crate) launcher: Arc<dyn Launcher>,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Start {
    /// An actor that reads from `inbox`; `init` makes each incarnation and may take its time.
    pub fn actor<A, F, Fut>(inbox: Inbox<A::Message>, init: F) -> Self
    where
        A: Actor,
        F: Fn(&mut Context<A::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        Self::init(inbox, move |cx| init(cx).map(|made| made.map(Init::Up)))
    }

    /// Like [`Start::actor`], for an `init` that may decline or has something to hand over.
    pub fn init<A, F, Fut>(inbox: Inbox<A::Message>, init: F) -> Self
    where
        A: Actor,
        F: Fn(&mut Context<A::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Init<A>, Failure>> + Send + 'static,
    {
        Self::launched_by(ActorLauncher::new(Some(inbox), init))
    }

    /// A future as a child: it ends normally with `Ok`, fails with `Err`, and is dropped when it is to stop.
    pub fn worker<F, Fut>(work: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        Self::launched_by(ActorLauncher::new(
            None,
            move |cx: &mut Context<WorkerEnd>| {
                let _ = cx.attach(work().map(WorkerEnd));
                std::future::ready(Ok(Init::Up(Worker)))
            },
        ))
    }

    pub(crate) fn launched_by(launcher: impl Launcher + 'static) -> Self {
        Self {
            name: None,
            needs: Vec::new(),
            hang: None,
            launcher: Arc::new(launcher),
        }
    }

    /// The same for a child that depends on something: while `available` is false its restarts wait, uncharged, and it is started
    /// again when that is true. A first start waits for nothing. Children of one supervisor that use one name mean one thing.
    #[must_use]
    pub fn needs(mut self, name: impl AsRef<str>, available: watch::Receiver<bool>) -> Self {
        self.needs.push((name.as_ref().into(), available));
        self
    }

    pub(crate) fn needs_of(&self) -> Vec<Arc<str>> {
        self.needs.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The same with hang limits of its own, for an instance of a dynamic supervisor; otherwise they are its template's.
    #[must_use]
    pub fn hang(mut self, limits: HangLimits) -> Self {
        self.hang = Some(Arc::new(limits));
        self
    }

    /// The same with a name, for an instance of a dynamic supervisor.
    #[must_use]
    pub fn named(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }
}

struct Worker;

struct WorkerEnd(Result<(), Failure>);

impl Actor for Worker {
    type Message = WorkerEnd;

    async fn handle(
        &mut self,
        WorkerEnd(end): WorkerEnd,
        cx: &mut Context<WorkerEnd>,
    ) -> Result<(), Failure> {
        // Not returned as an error: no message is lost with it.
        cx.exit(end.map_or_else(Exit::failed, |()| Exit::Normal));
        Ok(())
    }
}
