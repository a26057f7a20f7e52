//! The only place that spawns: how a child is started, stopped, killed, and known to be gone.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, ActorRuntime};
use tokio_util::sync::CancellationToken;

use crate::actor::{Actor, Attached, Context, Failure, Own, panic_message};
use crate::exit::Exit;
use crate::inbox::{Inbox, InboxControl};
use crate::report::{About, DeadLetterReason, Decision, Listener, Report};
use crate::shell::Port;
use crate::spec::ChildId;

/// What an incarnation of an actor begins as.
pub enum Init<A> {
    /// Up.
    Up(A),
    /// Up, with something for whoever had it started.
    UpWith(A, Extra),
    /// There is nothing to do: no child, and no failure.
    Declined,
}

/// Something a start hands to whoever asked for it.
pub type Extra = Arc<dyn std::any::Any + Send + Sync>;

/// How a child is started; made by [`Start::actor`], [`Start::worker`] and [`Start::supervisor`](Start::supervisor).
#[derive(Clone)]
pub struct Start {
    pub(crate) name: Option<Arc<str>>,
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
        let make: Make<A> = Arc::new(move |cx| init(cx).boxed());
        Self {
            name: None,
            launcher: Arc::new(ActorLauncher { inbox, make }),
        }
    }

    /// A future as a child: it ends normally with `Ok`, fails with `Err`, and is dropped when it is to stop.
    pub fn worker<F, Fut>(work: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (_, inbox) = crate::inbox::inbox(1, crate::AtRestart::Carry);
        Self::actor(inbox, move |cx| {
            let work = work();
            let _ = cx.attach(work.map(WorkerEnd));
            std::future::ready(Ok(Worker))
        })
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
        cx.exit(Exit::Normal);
        end
    }
}

/// What every supervisor of a tree shares.
#[derive(Clone)]
pub(crate) struct Ambient {
    pub(crate) listener: Option<Listener>,
    pub(crate) origin: tokio::time::Instant,
}

impl Ambient {
    pub(crate) fn report(&self, path: &Arc<str>, decision: Decision) {
        Report {
            path: path.clone(),
            at: self.origin.elapsed(),
            decision,
        }
        .publish(self.listener.as_ref());
    }
}

/// What becomes of an incarnation.
pub(crate) enum Fate {
    Started(Option<Extra>),
    StartFailed(StartFailure),
    Declined,
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

pub(crate) type FateSink = Arc<dyn Fn(Fate) + Send + Sync>;

/// One incarnation that is to be.
pub(crate) struct Launch {
    pub(crate) parent: Option<ActorCell>,
    pub(crate) ambient: Ambient,
    pub(crate) supervisor: Arc<str>,
    pub(crate) path: Arc<str>,
    pub(crate) about: About,
    pub(crate) fate: FateSink,
}

pub(crate) trait Launcher: Send + Sync {
    /// Starts one incarnation; none if the runtime refuses, and then its fate has been told.
    fn launch(&self, launch: Launch) -> Option<Live>;
    fn inbox(&self) -> Option<Arc<dyn InboxControl>>;
}

/// An incarnation that is starting or up.
pub(crate) struct Live {
    cell: ActorCell,
    stop: StopWith,
    pub(crate) port: Option<Port>,
}

pub(crate) enum StopWith {
    Token(CancellationToken),
    Port(Port),
}

impl Live {
    pub(crate) fn new(cell: ActorCell, stop: StopWith) -> Self {
        let port = match &stop {
            StopWith::Port(port) => Some(port.clone()),
            StopWith::Token(_) => None,
        };
        Self { cell, stop, port }
    }

    pub(crate) fn request_stop(&self) {
        match &self.stop {
            StopWith::Token(token) => {
                token.cancel();
                self.cell.stop(None);
            }
            StopWith::Port(port) => port.stop(),
        }
    }

    pub(crate) fn kill(&self) {
        self.cell.kill();
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

    pub(crate) fn decline(&self) {
        self.note(|note| note.declined = true);
    }

    pub(crate) fn up(&self) {
        self.note(|note| note.up = true);
    }

    pub(crate) fn exit(&self, exit: Exit) {
        self.note(|note| note.exit = Some(exit));
    }

    fn has_ended(&self) -> bool {
        self.note(|note| note.exit.is_some())
    }

    fn fate(&self) -> Fate {
        self.note(
            |note| match (note.up, note.declined, note.start_failed.take()) {
                (true, ..) => Fate::Exited(note.exit.take().unwrap_or(Exit::Killed)),
                (false, true, _) => Fate::Declined,
                (false, false, failure) => Fate::StartFailed(
                    failure.unwrap_or_else(|| StartFailure::new("killed while it started")),
                ),
            },
        )
    }
}

/// Spawns `handler` under its parent and tells its fate when nothing of it is left. With `ready_at_once` it counts as started
/// when `pre_start` has returned; a supervisor says so itself, when its children are up.
pub(crate) fn spawn<R>(
    handler: R,
    arguments: R::Arguments,
    parent: Option<ActorCell>,
    slot: Slot,
    attached: Attached,
    ready_at_once: bool,
    fate: FateSink,
) -> Option<ActorRef<R::Msg>>
where
    R: ractor::Actor,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that spawns actors"
    )]
    let spawned = match parent {
        Some(parent) => ActorRuntime::spawn_linked_instant(None, handler, arguments, parent),
        None => ActorRuntime::spawn_instant(None, handler, arguments),
    };
    let Ok((actor, starting)) = spawned else {
        fate(Fate::StartFailed(StartFailure::new(
            "the actor runtime refused to spawn",
        )));
        return None;
    };
    let watch = async move {
        if let Ok(Ok(running)) = starting.await {
            if ready_at_once {
                let extra = slot.note(|note| {
                    note.up = true;
                    note.extra.take()
                });
                fate(Fate::Started(extra));
            }
            // The actor library reports an end before the actor is dropped; its task's end is the real one.
            let _ = running.await;
        }
        attached.end().await;
        fate(slot.fate());
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the watch belongs to the actor it watches and ends with it"
    )]
    tokio::spawn(watch);
    Some(actor)
}

type Make<A> = Arc<
    dyn Fn(&mut Context<<A as Actor>::Message>) -> BoxFuture<'static, Result<Init<A>, Failure>>
        + Send
        + Sync,
>;

struct ActorLauncher<A: Actor> {
    inbox: Inbox<A::Message>,
    make: Make<A>,
}

impl<A: Actor> Launcher for ActorLauncher<A> {
    fn launch(&self, launch: Launch) -> Option<Live> {
        let (slot, attached, stopping) = (
            Slot::default(),
            Attached::default(),
            CancellationToken::new(),
        );
        let cell = Cell::<A> {
            slot: slot.clone(),
            attached: attached.clone(),
            stopping: stopping.clone(),
            inbox: self.inbox.clone(),
            ambient: launch.ambient,
            supervisor: launch.supervisor,
            path: launch.path,
            about: launch.about,
            body: tokio::sync::Mutex::new(None),
        };
        let actor = spawn(
            cell,
            self.make.clone(),
            launch.parent,
            slot,
            attached,
            true,
            launch.fate,
        )?;
        Some(Live::new(actor.get_cell(), StopWith::Token(stopping)))
    }

    fn inbox(&self) -> Option<Arc<dyn InboxControl>> {
        Some(Arc::new(self.inbox.clone()))
    }
}

pub(crate) enum CellMessage<M> {
    /// The inbox is not empty.
    Wake,
    /// Something attached came to its end.
    Own(Own<M>),
}

/// The ractor actor around one incarnation.
struct Cell<A: Actor> {
    slot: Slot,
    attached: Attached,
    stopping: CancellationToken,
    inbox: Inbox<A::Message>,
    ambient: Ambient,
    supervisor: Arc<str>,
    path: Arc<str>,
    about: About,
    /// Here and not in ractor's state, which travels to the supervisor's mailbox at the end and outlives the actor's task.
    body: tokio::sync::Mutex<Option<(A, Context<A::Message>)>>,
}

impl<A: Actor> Cell<A> {
    fn context(&self, myself: &ActorRef<CellMessage<A::Message>>) -> Context<A::Message> {
        let own = myself.clone();
        Context {
            path: self.path.clone(),
            incarnation: self.about.incarnation,
            inbox: self.inbox.clone(),
            own: Arc::new(move |message| {
                let _ = own.cast(CellMessage::Own(message));
            }),
            attached: self.attached.clone(),
            stopping: self.stopping.clone(),
            exit: None,
        }
    }

    async fn handle_one(
        &self,
        message: A::Message,
        body: &mut (A, Context<A::Message>),
    ) -> Option<Exit> {
        let (actor, cx) = body;
        let handled = AssertUnwindSafe(actor.handle(message, cx))
            .catch_unwind()
            .await;
        let exit = match handled {
            Ok(Ok(())) => return cx.exit.take(),
            Ok(Err(failure)) => Exit::failed(failure),
            Err(panic) => Exit::Panicked(panic_message(&*panic)),
        };
        let decision = Decision::DeadLetters {
            about: self.about.clone(),
            count: 1,
            reason: DeadLetterReason::InFlight,
        };
        self.ambient.report(&self.supervisor, decision);
        Some(exit)
    }

    async fn end(&self, body: &mut Option<(A, Context<A::Message>)>, exit: Exit) {
        let Some((actor, _)) = body.as_mut() else {
            return;
        };
        let exit = match AssertUnwindSafe(actor.terminate(&exit))
            .catch_unwind()
            .await
        {
            Ok(()) => exit,
            Err(panic) => Exit::Panicked(panic_message(&*panic)),
        };
        *body = None;
        self.slot.exit(exit);
    }
}

impl<A: Actor> ractor::Actor for Cell<A> {
    type Msg = CellMessage<A::Message>;
    type State = ();
    type Arguments = Make<A>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        make: Make<A>,
    ) -> Result<(), ActorProcessingErr> {
        let mut cx = self.context(&myself);
        let made = AssertUnwindSafe(async { make(&mut cx).await })
            .catch_unwind()
            .await;
        let actor = match made {
            Ok(Ok(Init::Up(actor))) => actor,
            Ok(Ok(Init::UpWith(actor, extra))) => {
                self.slot.note(|note| note.extra = Some(extra));
                actor
            }
            Ok(Ok(Init::Declined)) => {
                self.slot.decline();
                return Err("declined".into());
            }
            Ok(Err(failure)) => {
                self.slot
                    .start_failed(StartFailure::new(failure.to_string()));
                return Err(failure);
            }
            Err(panic) => {
                let message = panic_message(&*panic);
                self.slot
                    .start_failed(StartFailure::new(format!("panicked: {message}")));
                return Err(message.to_string().into());
            }
        };
        *self.body.lock().await = Some((actor, cx));
        self.inbox.attach(Box::new(move || {
            let _ = myself.cast(CellMessage::Wake);
        }));
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let mut guard = self.body.lock().await;
        let Some(body) = guard.as_mut() else {
            return Ok(());
        };
        let message = match message {
            CellMessage::Wake => self.inbox.take(),
            CellMessage::Own(Own::Message(message)) => Some(message),
            CellMessage::Own(Own::Panicked(reason)) => {
                self.end(&mut guard, Exit::Panicked(reason)).await;
                myself.stop(None);
                return Ok(());
            }
        };
        if let Some(message) = message
            && let Some(exit) = self.handle_one(message, body).await
        {
            self.end(&mut guard, exit).await;
            myself.stop(None);
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if !self.slot.has_ended() {
            self.end(&mut *self.body.lock().await, Exit::SHUTDOWN).await;
        }
        Ok(())
    }
}
