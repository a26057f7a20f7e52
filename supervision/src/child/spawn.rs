//! One incarnation of anything: launched, watched, and told of when nothing of it is left.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, ActorRuntime};
use tokio::task::unconstrained;
use tokio_util::sync::CancellationToken;

use super::{Ambient, Extra};
use crate::actor::Attached;
use crate::exit::Exit;
use crate::health::Pulse;
use crate::inbox::{Inbox, InboxControl, Taken, Ticket, Waker};
use crate::report::About;
use crate::shell::{Estate, Port};
use crate::spec::ChildId;

/// What becomes of an incarnation.
pub(crate) enum Fate {
    Started(Option<Extra>),
    StartFailed(StartFailure),
    /// It could not be started because another child reads from its inbox, which is therefore not its own to close.
    InboxTaken,
    Declined,
    /// Also for one that was never up: killed, or stopped, while it started.
    Exited(Exit),
}

/// Why something could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StartFailure {
    /// The declared child that could not be started, where a supervisor failed because of one.
    pub child: Option<ChildId>,
    /// The reason it gave.
    pub reason: Arc<str>,
}

impl StartFailure {
    pub(crate) fn new(reason: impl Into<Arc<str>>) -> Self {
        Self {
            child: None,
            reason: reason.into(),
        }
    }
}

/// Hears of a fate. It is dropped when there is no more to hear, which is how a supervisor's end waits for its children's.
pub(crate) type FateSink = Arc<dyn Fn(Fate) + Send + Sync>;

/// One incarnation that is to be.
pub(crate) struct Launch {
    pub(crate) ambient: Ambient,
    pub(crate) supervisor: Arc<str>,
    pub(crate) path: Arc<str>,
    pub(crate) about: About,
    /// Where a supervisor leaves its children's inboxes.
    pub(crate) estate: Option<Arc<Estate>>,
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
    stop: StopWith,
    pub(crate) pulse: Pulse,
}

pub(crate) enum StopWith {
    Token(CancellationToken, Slot, Attached),
    Port(Port),
}

impl Live {
    pub(crate) fn new(cell: ActorCell, stop: StopWith, pulse: Pulse) -> Self {
        Self { cell, stop, pulse }
    }

    pub(crate) fn port(&self) -> Option<&Port> {
        match &self.stop {
            StopWith::Port(port) => Some(port),
            StopWith::Token(..) => None,
        }
    }

    pub(crate) fn request_stop(&self) {
        match &self.stop {
            StopWith::Token(token, slot, _) => {
                slot.note(|note| note.is_unwanted = true);
                token.cancel();
                self.cell.stop(None);
            }
            StopWith::Port(port) => port.stop(),
        }
    }

    pub(crate) fn kill(&self) {
        self.cell.kill();
    }

    /// Kills it because it is to be gone, not because of anything that it did.
    pub(crate) fn remove(&self) {
        if let StopWith::Token(_, slot, _) = &self.stop {
            slot.note(|note| note.is_unwanted = true);
        }
        self.kill();
    }

    /// Nobody waits for it any more, and nothing belongs to it. What it attached can still be ended.
    pub(crate) fn abandon(&self) {
        if let StopWith::Token(_, slot, attached) = &self.stop {
            slot.note(|note| note.is_lost = true);
            attached.abort();
        }
    }
}

/// What an incarnation says about itself, read when nothing of it is left.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Note>>);

#[derive(Default)]
struct Note {
    up: bool,
    extra: Option<Extra>,
    declined: bool,
    inbox_taken: bool,
    /// Whether its supervisor wants it to end.
    is_unwanted: bool,
    is_lost: bool,
    start_failed: Option<StartFailure>,
    exit: Option<Exit>,
}

impl Slot {
    fn note<R>(&self, write: impl FnOnce(&mut Note) -> R) -> R {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn start_failed(&self, failure: StartFailure) {
        self.note(|note| note.start_failed = Some(failure));
    }

    pub(crate) fn is_unwanted(&self) -> bool {
        self.note(|note| note.is_unwanted)
    }

    /// Has it read from its inbox, unless it was given up before it came to that.
    pub(crate) fn attach<M>(&self, inbox: &Inbox<M>, wake: Waker) -> Result<Ticket, Taken> {
        self.note(|note| {
            let attached = match note.is_lost {
                true => Err(Taken),
                false => inbox.attach(wake),
            };
            note.inbox_taken = attached.is_err();
            attached
        })
    }

    pub(crate) fn decline(&self) {
        self.note(|note| note.declined = true);
    }

    pub(crate) fn hand_over(&self, extra: Extra) {
        self.note(|note| note.extra = Some(extra));
    }

    pub(crate) fn up(&self) -> Option<Extra> {
        self.note(|note| {
            note.up = true;
            note.extra.take()
        })
    }

    pub(crate) fn exit(&self, exit: Exit) {
        self.note(|note| note.exit = Some(exit));
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.note(|note| note.exit.is_some())
    }

    fn fate(&self) -> Fate {
        self.note(|note| match note.start_failed.take() {
            Some(failure) if !note.up => Fate::StartFailed(failure),
            _ if note.inbox_taken => Fate::InboxTaken,
            _ if note.declined && !note.up => Fate::Declined,
            _ => Fate::Exited(note.exit.take().unwrap_or(Exit::Killed)),
        })
    }
}

/// What is to be known of one incarnation beside its behaviour.
pub(crate) struct Life<F> {
    pub(crate) slot: Slot,
    pub(crate) attached: Attached,
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
        handler,
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
    // Dropped in this order.
    handler: R,
    farewell: Farewell<F>,
}

impl<R, F> ractor::Actor for Watched<R, F>
where
    R: ractor::Actor<State = ()>,
    F: Future<Output = ()> + Send + Sync + 'static,
{
    type Msg = R::Msg;
    /// The arguments, until it has been started.
    type State = Option<R::Arguments>;
    type Arguments = R::Arguments;

    async fn pre_start(
        &self,
        _: ActorRef<R::Msg>,
        arguments: R::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(arguments))
    }

    async fn post_start(
        &self,
        myself: ActorRef<R::Msg>,
        arguments: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(arguments) = arguments.take() {
            self.handler.pre_start(myself.clone(), arguments).await?;
        }
        if let Some(life) = self.farewell.0.as_ref().filter(|life| life.ready_at_once) {
            (life.fate)(Fate::Started(life.slot.up()));
        }
        self.handler.post_start(myself, &mut ()).await
    }

    async fn handle(
        &self,
        myself: ActorRef<R::Msg>,
        message: R::Msg,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        self.handler.handle(myself, message, &mut ()).await
    }

    async fn post_stop(
        &self,
        myself: ActorRef<R::Msg>,
        _: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        self.handler.post_stop(myself, &mut ()).await
    }
}

/// Tells the fate of an incarnation when it is dropped, or when what belongs to the incarnation is gone too.
struct Farewell<F: Future<Output = ()> + Send + Sync + 'static>(Option<Life<F>>);

impl<F: Future<Output = ()> + Send + Sync + 'static> Drop for Farewell<F> {
    fn drop(&mut self) {
        let Some(life) = self.0.take() else { return };
        let runtime = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = runtime.filter(|_| life.leaves_something()) else {
            return (life.fate)(life.slot.fate());
        };
        // What it waits for belongs to the actor that has ended, and it ends with that.
        runtime.spawn(async move {
            life.attached.end().await;
            if let Some(aftermath) = life.aftermath {
                aftermath.await;
            }
            (life.fate)(life.slot.fate());
        });
    }
}

impl<F> Life<F> {
    fn leaves_something(&self) -> bool {
        self.aftermath.is_some() || !self.attached.is_empty()
    }
}
