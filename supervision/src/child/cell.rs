//! The ractor actor around one incarnation of an [`Actor`].

use std::future::{Future, Ready};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ractor::{ActorProcessingErr, ActorRef};
use tokio_util::sync::CancellationToken;

use super::spawn::{Launch, Launcher, Life, Live, Slot, StartFailure, StopWith, spawn};
use super::suffer::{Misfortune, suffer};
use super::{Ambient, Init};
use crate::actor::{Actor, Attached, Context, Failure, Own, panic_message};
use crate::exit::Exit;
use crate::fault::{FaultKind, Point};
use crate::health::Pulse;
use crate::inbox::{AtRestart, Inbox, InboxControl, Ticket, Verdict, inbox};
use crate::report::{About, DeadLetterReason, Decision, Doing};
use crate::watchdog::Sight;

type Make<A> = Arc<
    dyn Fn(&mut Context<<A as Actor>::Message>) -> BoxFuture<'static, Result<Init<A>, Failure>>
        + Send
        + Sync,
>;

pub(super) struct ActorLauncher<A: Actor> {
    /// None for one that nobody sends to.
    inbox: Option<Inbox<A::Message>>,
    make: Make<A>,
}

impl<A: Actor> ActorLauncher<A> {
    pub(super) fn new<F, Fut>(inbox: Option<Inbox<A::Message>>, init: F) -> Self
    where
        F: Fn(&mut Context<A::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Init<A>, Failure>> + Send + 'static,
    {
        let make: Make<A> = Arc::new(move |cx| init(cx).boxed());
        Self { inbox, make }
    }
}

impl<A: Actor> Launcher for ActorLauncher<A> {
    fn launch(&self, launch: Launch) -> Option<Live> {
        let (slot, attached) = (Slot::default(), Attached::default());
        let pulse = launch.pulse.clone();
        let stopping = CancellationToken::new();
        let own = || inbox(1, AtRestart::Carry).1;
        let misfortune = launch
            .ambient
            .misfortune(&launch.supervisor, &launch.path, &launch.about);
        let cell = Cell::<A> {
            sight: launch.ambient.sight(&launch.supervisor, &launch.about),
            has_inbox: self.inbox.is_some(),
            misfortune,
            slot: slot.clone(),
            attached: attached.clone(),
            stopping: stopping.clone(),
            pulse: launch.pulse,
            inbox: self.inbox.clone().unwrap_or_else(own),
            ambient: launch.ambient,
            supervisor: launch.supervisor,
            path: launch.path,
            about: launch.about,
            body: tokio::sync::Mutex::new(None),
        };
        let life = Life {
            slot,
            attached,
            ready_at_once: true,
            aftermath: None::<Ready<()>>,
            fate: launch.fate,
        };
        let kept = (life.slot.clone(), life.attached.clone());
        let actor = spawn(cell, self.make.clone(), life)?;
        Some(Live::new(
            actor.get_cell(),
            StopWith::Token(stopping, kept.0, kept.1),
            pulse,
        ))
    }

    fn inbox(&self) -> Option<Arc<dyn InboxControl>> {
        let inbox = self.inbox.clone()?;
        Some(Arc::new(inbox))
    }
}

enum CellMessage<M> {
    /// The inbox is not empty.
    Wake,
    /// Something attached came to its end.
    Own(Own<M>),
    /// The start itself asked to end.
    Leave,
}

struct Cell<A: Actor> {
    slot: Slot,
    attached: Attached,
    stopping: CancellationToken,
    pulse: Pulse,
    sight: Sight,
    misfortune: Option<Box<Misfortune>>,
    inbox: Inbox<A::Message>,
    /// Whether anybody can send to that.
    has_inbox: bool,
    ambient: Ambient,
    supervisor: Arc<str>,
    path: Arc<str>,
    about: About,
    /// Here and not in ractor's state, which travels to the supervisor's mailbox at the end and outlives the actor's task.
    body: tokio::sync::Mutex<Option<Body<A>>>,
}

struct Body<A: Actor> {
    actor: A,
    cx: Context<A::Message>,
    ticket: Option<Ticket>,
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
            pulse: self.pulse.clone(),
            sight: self.sight.clone(),
            exit: None,
        }
    }

    /// Makes the actor; none if it is not to be, and then it has been noted why.
    async fn begin(
        &self,
        make: Make<A>,
        myself: &ActorRef<CellMessage<A::Message>>,
        cx: &mut Context<A::Message>,
    ) -> Result<A, Failure> {
        let made = async {
            self.can_be_struck()?;
            self.befall(Point::Start, myself).await?;
            make(cx).await
        };
        let made = self.sight.watch(Doing::Starting, made);
        let failure = match AssertUnwindSafe(made).catch_unwind().await {
            Ok(Ok(Init::Up(actor))) => return Ok(actor),
            Ok(Ok(Init::UpWith(actor, extra))) => {
                self.slot.hand_over(extra);
                return Ok(actor);
            }
            Ok(Ok(Init::Declined)) => {
                self.slot.decline();
                return Err("declined".into());
            }
            Ok(Err(failure)) => failure,
            Err(panic) => format!("panicked: {}", panic_message(&*panic)).into(),
        };
        self.slot
            .start_failed(StartFailure::new(failure.to_string()));
        Err(failure)
    }

    /// What strikes at this occasion.
    fn strike(&self, point: Point) -> Option<FaultKind> {
        let misfortune = self.misfortune.as_ref()?;
        misfortune.strike(point)
    }

    async fn befall(
        &self,
        point: Point,
        myself: &ActorRef<CellMessage<A::Message>>,
    ) -> Result<(), Failure> {
        match self.strike(point) {
            Some(fault) => suffer(fault, || myself.kill()).await,
            None => Ok(()),
        }
    }

    /// Whether the faults that are meant for it can be.
    fn can_be_struck(&self) -> Result<(), Failure> {
        let duplicates = self.misfortune.as_ref().is_some_and(|it| it.duplicates());
        if duplicates && self.has_inbox && !self.inbox.can_copy() {
            return Err("a fault is to duplicate its messages, which its inbox cannot copy: make it with `inbox_redelivering`, or aim the fault elsewhere".into());
        }
        Ok(())
    }

    /// A message comes from the inbox; what is left of it to be handled.
    fn deliver(&self, ticket: Ticket) -> Option<A::Message> {
        let message = self.inbox.take(ticket)?;
        let is_struck = self.misfortune.is_some() && !self.inbox.is_double(ticket);
        let fault = is_struck.then(|| self.strike(Point::Deliver)).flatten();
        match fault {
            Some(FaultKind::Drop) => {
                self.inbox.done(ticket);
                drop(message);
                let decision = Decision::DeadLetters {
                    about: self.about.clone(),
                    count: 1,
                    reason: DeadLetterReason::Dropped,
                };
                self.ambient.report(&self.supervisor, decision);
                return None;
            }
            Some(FaultKind::Duplicate) => self.inbox.double(&message),
            _ => {}
        }
        Some(message)
    }

    async fn handle_one(
        &self,
        message: A::Message,
        body: &mut Body<A>,
        myself: &ActorRef<CellMessage<A::Message>>,
        mut lost: InFlight<'_, A>,
    ) -> Option<Exit> {
        let Body { actor, cx, .. } = body;
        self.pulse.handling(true);
        let handled = async {
            if self.has_inbox {
                self.befall(Point::Handle, myself).await?;
            }
            actor.handle(message, cx).await
        };
        let handled = self.sight.watch(Doing::Handling, handled);
        let handled = AssertUnwindSafe(handled).catch_unwind().await;
        self.pulse.handling(false);
        let exit = match handled {
            Ok(Ok(())) => {
                lost.is_handled();
                return cx.exit.take();
            }
            Ok(Err(failure)) => Exit::failed(failure),
            Err(panic) => Exit::Panicked(panic_message(&*panic)),
        };
        lost.has_failed = true;
        Some(exit)
    }

    /// Cleans up and drops the actor. A panic in either is how it ended.
    async fn end(
        &self,
        body: &mut Option<Body<A>>,
        myself: &ActorRef<CellMessage<A::Message>>,
        exit: Exit,
    ) {
        let Some(Body { actor, .. }) = body.as_mut() else {
            return;
        };
        let terminated = async {
            let _ = self.befall(Point::Stop, myself).await;
            actor.terminate(&exit).await;
        };
        let terminated = self.sight.watch(Doing::Stopping, terminated);
        self.pulse.handling(true);
        let terminated = AssertUnwindSafe(terminated).catch_unwind().await;
        self.pulse.handling(false);
        let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(body.take())));
        self.slot.exit(match terminated.and(dropped) {
            Ok(()) => exit,
            Err(panic) => Exit::Panicked(panic_message(&*panic)),
        });
    }
}

/// A message that is being handled. If that is cut off, also by a kill, it is taken back or lost, and that is reported.
struct InFlight<'a, A: Actor> {
    cell: Option<&'a Cell<A>>,
    /// None for a message of the incarnation's own.
    ticket: Option<Ticket>,
    /// Whether the handler itself came to a bad end.
    has_failed: bool,
}

impl<A: Actor> InFlight<'_, A> {
    fn is_handled(&mut self) {
        if let Some((cell, ticket)) = self.cell.take().zip(self.ticket) {
            cell.inbox.done(ticket);
        }
    }
}

impl<A: Actor> Drop for InFlight<'_, A> {
    fn drop(&mut self) {
        let Some(cell) = self.cell else {
            return;
        };
        let is_crash = self.has_failed || !cell.slot.is_unwanted();
        let verdict = match self.ticket {
            Some(ticket) => cell.inbox.cut_off(ticket, is_crash),
            None => Some(Verdict::Lost),
        };
        if let Some(verdict) = verdict {
            let decision = verdict.decision(cell.about.clone());
            cell.ambient.report(&cell.supervisor, decision);
        }
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
        let actor = self.begin(make, &myself, &mut cx).await?;
        if cx.exit.is_some() {
            let _ = myself.cast(CellMessage::Leave);
        }
        let mut body = self.body.lock().await;
        let body = body.insert(Body {
            actor,
            cx,
            ticket: None,
        });
        let wake = Box::new(move || {
            let _ = myself.cast(CellMessage::Wake);
        });
        body.ticket = Some(self.slot.attach(&self.inbox, wake)?);
        Ok(())
    }

    /// What it does with a message that waited is told after it was told that it is up.
    async fn post_start(
        &self,
        _: ActorRef<Self::Msg>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if self.inbox.depth().0 > 0 {
            tokio::task::yield_now().await;
        }
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
            CellMessage::Wake => {
                let taken = |ticket| Some((self.deliver(ticket)?, Some(ticket)));
                body.ticket.and_then(taken).ok_or(None)
            }
            CellMessage::Own(Own::Message(message)) => Ok((message, None)),
            CellMessage::Own(Own::Panicked(reason)) => Err(Some(Exit::Panicked(reason))),
            CellMessage::Leave => Err(body.cx.exit.take()),
        };
        let exit = match message {
            Ok((message, ticket)) => {
                let lost = InFlight {
                    cell: Some(self),
                    ticket,
                    has_failed: false,
                };
                self.handle_one(message, body, &myself, lost).await
            }
            Err(exit) => exit,
        };
        if let Some(exit) = exit {
            self.end(&mut guard, &myself, exit).await;
            myself.stop(None);
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        myself: ActorRef<Self::Msg>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if !self.slot.has_ended() {
            self.end(&mut *self.body.lock().await, &myself, Exit::SHUTDOWN)
                .await;
        }
        Ok(())
    }
}
