//! One incarnation of anything: launched, watched, and told of when nothing of it is left.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, ActorRuntime};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio_util::sync::CancellationToken;

use super::{Ambient, Extra, Path};
use crate::actor::Attached;
use crate::exit::Exit;
use crate::health::Pulse;
use crate::inbox::{Awake, Inbox, InboxControl, Taken, Ticket};
use crate::report::About;
use crate::restart::{ChildKey, Incarnation};
use crate::shell::{Desk, Estate, Message, Port};
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
            self.slot.note(|note| note.is_unwanted = true);
        }
        self.kill();
    }

    /// Nobody waits for it any more, and nothing belongs to it. What it attached can still be ended.
    pub(crate) fn abandon(&self) {
        if self.port.is_none() {
            self.slot.note(|note| note.is_lost = true);
            self.slot.attached().abort();
        }
        self.slot.unleash();
    }
}

/// For as long as it is there, a supervisor's own end waits for the incarnation.
pub(crate) type Leash = mpsc::Sender<Infallible>;

/// What an incarnation, whoever watches over it and its supervisor have in common.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Common>);

#[derive(Default)]
struct Common {
    note: Mutex<Note>,
    attached: Attached,
    /// Whether it is to look up from its inbox: it is to stop, or was killed.
    is_in_a_hurry: AtomicBool,
    /// How many messages of its own it has not come to.
    own_waiting: AtomicUsize,
}

/// What an incarnation says about itself, read when nothing of it is left.
#[derive(Default)]
struct Note {
    up: bool,
    declined: bool,
    inbox_taken: bool,
    /// Whether its supervisor wants it to end.
    is_unwanted: bool,
    is_lost: bool,
    is_stopping: bool,
    leash: Option<Leash>,
    /// Once somebody has asked for it.
    stopping: Option<CancellationToken>,
    extra: Option<Extra>,
    start_failed: Option<StartFailure>,
    exit: Option<Exit>,
}

impl Slot {
    pub(crate) fn leashed(leash: Leash) -> Self {
        let slot = Self::default();
        slot.note(|note| note.leash = Some(leash));
        slot
    }

    fn note<R>(&self, write: impl FnOnce(&mut Note) -> R) -> R {
        write(&mut self.0.note.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn attached(&self) -> &Attached {
        &self.0.attached
    }

    fn unleash(&self) {
        let leash = self.note(|note| note.leash.take());
        drop(leash);
    }

    fn hurry(&self) {
        self.0.is_in_a_hurry.store(true, Ordering::Release);
    }

    /// Its supervisor has asked it to stop.
    fn stop(&self) {
        let stopping = self.note(|note| {
            (note.is_unwanted, note.is_stopping) = (true, true);
            note.stopping.clone()
        });
        self.hurry();
        stopping.inspect(CancellationToken::cancel);
    }

    pub(crate) fn stopping(&self) -> CancellationToken {
        let (token, is_stopping) = self.note(|note| {
            let token = note.stopping.get_or_insert_default();
            (token.clone(), note.is_stopping)
        });
        if is_stopping {
            token.cancel();
        }
        token
    }

    pub(crate) fn own_comes(&self) {
        self.0.own_waiting.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn own_is_there(&self) {
        self.0.own_waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether one more message from the inbox is enough for now.
    pub(crate) fn has_other_things_to_do(&self) -> bool {
        self.0.own_waiting.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_in_a_hurry(&self) -> bool {
        self.0.is_in_a_hurry.load(Ordering::Acquire)
    }

    pub(crate) fn start_failed(&self, failure: StartFailure) {
        self.note(|note| note.start_failed = Some(failure));
    }

    pub(crate) fn is_unwanted(&self) -> bool {
        self.note(|note| note.is_unwanted)
    }

    /// Has it read from its inbox, unless it was given up before it came to that.
    pub(crate) fn attach<M: Send + 'static>(
        &self,
        inbox: &Inbox<M>,
        actor: Awake<M>,
    ) -> Result<Ticket, Taken> {
        self.note(|note| {
            let attached = match note.is_lost {
                true => Err(Taken),
                false => inbox.attach(actor),
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

    fn fate(&self) -> Fate {
        self.note(|note| match note.start_failed.take() {
            Some(failure) if !note.up => Fate::StartFailed(failure),
            _ if note.inbox_taken => Fate::InboxTaken,
            _ if note.declined && !note.up => Fate::Declined,
            _ => Fate::Exited(note.exit.take().unwrap_or(Exit::Killed)),
        })
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
