//! One incarnation of anything: launched, watched, and told of when nothing of it is left.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, ActorRuntime};
use tokio::task::unconstrained;

use super::Ambient;
use crate::actor::Slot;
use crate::health::Pulse;
use crate::inbox::InboxControl;
use crate::incarnation::{Fate, Path};
use crate::report::About;
use crate::restart::{ChildKey, Incarnation};
use crate::shell::{Desk, Estate, Message, Port};

/// Hears of a fate.
#[derive(Clone)]
pub(crate) enum FateSink {
    Supervisor(Desk, ChildKey, Incarnation),
    Other(Arc<dyn Fn(Fate) + Send + Sync>),
}

impl FateSink {
    pub(crate) fn tell(&self, fate: Fate) {
        match self {
            Self::Supervisor(supervisor, key, incarnation) => {
                let _ = supervisor.send(Message::Fate(*key, *incarnation, fate));
            }
            Self::Other(hear) => hear(fate),
        }
    }
}

/// One incarnation that is to be.
pub(crate) struct Launch {
    pub(crate) ambient: Ambient,
    pub(crate) supervisor: Arc<str>,
    pub(crate) path: Path,
    pub(crate) about: About,
    /// Where a supervisor leaves its children's inboxes.
    pub(crate) estate: Option<Arc<Estate>>,
    pub(crate) slot: Slot,
    pub(crate) pulse: Pulse,
    pub(crate) fate: FateSink,
}

pub(crate) trait Launcher: Send + Sync {
    /// Starts one incarnation; none if the runtime refuses, and then its fate has been told.
    fn launch(&self, launch: Launch) -> Option<Live>;

    /// The inbox of an actor.
    fn inbox(&self) -> Option<Arc<dyn InboxControl>> {
        None
    }

    /// What outlives an incarnation of a supervisor.
    fn estate(&self) -> Option<Arc<Estate>> {
        None
    }
}

/// An incarnation that is starting or up.
pub(crate) struct Live {
    cell: ActorCell,
    slot: Slot,
    /// Of a supervisor.
    port: Option<Port>,
    pub(crate) pulse: Pulse,
}

impl Live {
    pub(crate) fn new(cell: ActorCell, slot: Slot, port: Option<Port>, pulse: Pulse) -> Self {
        Self {
            cell,
            slot,
            port,
            pulse,
        }
    }

    pub(crate) fn port(&self) -> Option<&Port> {
        self.port.as_ref()
    }

    pub(crate) fn request_stop(&self) {
        match &self.port {
            None => {
                self.slot.stop();
                self.cell.stop(None);
            }
            Some(port) => port.stop(),
        }
    }

    pub(crate) fn kill(&self) {
        self.slot.hurry();
        self.cell.kill();
    }

    /// Kills it because it is to be gone, not because of anything that it did.
    pub(crate) fn remove(&self) {
        if self.port.is_none() {
            self.slot.disown();
        }
        self.kill();
    }

    /// Nobody waits for it any more, and nothing belongs to it. What it attached can still be ended.
    pub(crate) fn abandon(&self) {
        if self.port.is_none() {
            self.slot.lose();
            self.slot.attached().abort();
        }
        self.slot.unleash();
    }
}

/// It has ended by itself: the shortest way out of the actor library, to which one end is as good as another.
#[derive(Debug, thiserror::Error)]
#[error("it has ended")]
pub(crate) struct Over;

/// What is to be known of one incarnation beside its behaviour.
pub(crate) struct Life<F> {
    pub(crate) slot: Slot,
    /// Whether it counts as started when `pre_start` has returned; a supervisor says so itself, when its children are up.
    pub(crate) ready_at_once: bool,
    /// What must be over, beside its task and what it attached, before it counts as gone.
    pub(crate) aftermath: Option<F>,
    pub(crate) fate: FateSink,
}

/// Spawns `handler` and tells its fate when nothing of it is left. It is not linked in the actor library: whoever supervises it holds
/// it and takes it along ([`crate::shell`]).
pub(crate) fn spawn<R, F>(
    handler: R,
    arguments: R::Arguments,
    life: Life<F>,
) -> Option<ActorRef<R::Msg>>
where
    R: ractor::Actor<State = ()>,
    F: Future<Output = ()> + Send + Sync + 'static,
{
    let watched = Watched {
        handler: Box::new(handler),
        farewell: Farewell(Some(life)),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns actors"
    )]
    let spawned = ActorRuntime::spawn(None, watched, arguments);
    // Its `pre_start` waits for nothing, so neither does this. If the runtime refuses, the handler is dropped, and with it its end is
    // told.
    let (actor, _) = unconstrained(spawned).now_or_never()?.ok()?;
    Some(actor)
}

/// A handler whose end is told when it is really gone. The actor library reports an end before the actor is dropped.
///
/// The handler's `pre_start` is run in `post_start`: in the task that then runs the actor, and not in whoever starts it, which would
/// wait for it, nor in a task of its own.
struct Watched<R, F: Future<Output = ()> + Send + Sync + 'static> {
    // Dropped in this order. Boxed, as the actor library moves it about.
    handler: Box<R>,
    farewell: Farewell<F>,
}

impl<R, F> ractor::Actor for Watched<R, F>
where
    R: ractor::Actor<State = ()>,
    F: Future<Output = ()> + Send + Sync + 'static,
{
    type Msg = R::Msg;
    /// The arguments, until it has been started, and nothing.
    type State = (Option<R::Arguments>, ());
    type Arguments = R::Arguments;

    async fn pre_start(
        &self,
        _: ActorRef<R::Msg>,
        arguments: R::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((Some(arguments), ()))
    }

    async fn post_start(
        &self,
        myself: ActorRef<R::Msg>,
        (arguments, nothing): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(arguments) = arguments.take() {
            self.handler.pre_start(myself.clone(), arguments).await?;
        }
        if let Some(life) = self.farewell.0.as_ref().filter(|life| life.ready_at_once) {
            life.fate.tell(Fate::Started(life.slot.up()));
        }
        self.handler.post_start(myself, nothing).await
    }

    // These two are the handler's own futures, without another around each: an idle actor is as large as the largest.
    fn handle(
        &self,
        myself: ActorRef<R::Msg>,
        message: R::Msg,
        (_, nothing): &mut Self::State,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        self.handler.handle(myself, message, nothing)
    }

    fn post_stop(
        &self,
        myself: ActorRef<R::Msg>,
        (_, nothing): &mut Self::State,
    ) -> impl Future<Output = Result<(), ActorProcessingErr>> + Send {
        self.handler.post_stop(myself, nothing)
    }
}

/// Tells the fate of an incarnation when it is dropped, or when what belongs to the incarnation is gone too.
struct Farewell<F: Future<Output = ()> + Send + Sync + 'static>(Option<Life<F>>);

impl<F: Future<Output = ()> + Send + Sync + 'static> Drop for Farewell<F> {
    fn drop(&mut self) {
        let Some(life) = self.0.take() else { return };
        let runtime = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = runtime.filter(|_| life.leaves_something()) else {
            return life.tell();
        };
        // What it waits for belongs to the actor that has ended, and it ends with that.
        runtime.spawn(async move {
            let mut life = life;
            life.slot.attached().end().await;
            if let Some(aftermath) = life.aftermath.take() {
                aftermath.await;
            }
            life.tell();
        });
    }
}

impl<F> Life<F> {
    fn leaves_something(&self) -> bool {
        self.aftermath.is_some() || !self.slot.attached().is_empty()
    }

    fn tell(self) {
        self.fate.tell(self.slot.fate());
        self.slot.unleash();
    }
}
