//! The ractor actor around one incarnation of an [`Actor`].

use std::future::{Future, Ready, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ractor::{ActorProcessingErr, ActorRef};
use tokio::task::coop::consume_budget;

use super::spawn::{Launch, Launcher, Life, Live, Over, spawn};
use super::suffer::{Misfortune, suffer};
use super::{Ambient, Init};
use crate::actor::{Actor, Context, Failure, OwnSender, Slot, panic_message};
use crate::exit::Exit;
use crate::fault::{FaultKind, Point};
use crate::health::Pulse;
use crate::inbox::{AtRestart, Inbox, InboxControl, Ticket, Verdict, inbox};
use crate::incarnation::{Awake, Own, Path, StartFailure, Wake};
use crate::report::{About, DeadLetterReason, Decision, Doing};
use crate::watchdog::Sight;

type Make<A> = Arc<
    dyn Fn(&mut Context<<A as Actor>::Message>) -> BoxFuture<'static, Result<Init<A>, Failure>>
        + Send
        + Sync,
>;

pub(super) struct ActorLauncher<A: Actor> {
    /// None for one that nobody sends to.
    inbox: Option<Arc<Inbox<A::Message>>>,
    make: Make<A>,
}

impl<A: Actor> ActorLauncher<A> {
    pub(super) fn new<F, Fut>(inbox: Option<Inbox<A::Message>>, init: F) -> Self
    where
        F: Fn(&mut Context<A::Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Init<A>, Failure>> + Send + 'static,
    {
        let make: Make<A> = Arc::new(move |cx| init(cx).boxed());
        let inbox = inbox.map(Arc::new);
        Self { inbox, make }
    }
}

impl<A: Actor> Launcher for ActorLauncher<A> {
    fn launch(&self, launch: Launch) -> Option<Live> {
        let (slot, pulse) = (launch.slot, launch.pulse);
        let own = || inbox(1, AtRestart::Carry).1;
        let misfortune = launch
            .ambient
            .misfortune(&launch.supervisor, &launch.path, &launch.about);
        let cell = Cell::<A> {
            sight: launch.ambient.sight(&launch.supervisor, &launch.about),
            has_inbox: self.inbox.is_some(),
            misfortune,
            slot: slot.clone(),
            pulse: pulse.clone(),
            inbox: self.inbox.as_deref().cloned().unwrap_or_else(own),
            ambient: launch.ambient,
            supervisor: launch.supervisor,
            about: launch.about,
            body: Mutex::new(None),
        };
        let life = Life {
            slot: slot.clone(),
            ready_at_once: true,
            aftermath: None::<Ready<()>>,
            fate: launch.fate,
        };
        let actor = spawn(cell, (self.make.clone(), launch.path), life)?;
        Some(Live::new(actor.get_cell(), slot, None, pulse))
    }

    fn inbox(&self) -> Option<Arc<dyn InboxControl>> {
        let inbox = self.inbox.clone()?;
        Some(inbox)
    }
}

/// How many messages of its inbox an incarnation handles before it looks at what else there is.
const IN_A_ROW: usize = 64;

struct Cell<A: Actor> {
    slot: Slot,
    pulse: Pulse,
    sight: Sight,
    misfortune: Option<Box<Misfortune>>,
    inbox: Inbox<A::Message>,
    /// Whether anybody can send to that.
    has_inbox: bool,
    ambient: Ambient,
    supervisor: Arc<str>,
    about: About,
    /// Here and not in ractor's state, which may outlive the actor's task. Whoever handles something takes it out meanwhile.
    body: Mutex<Option<Box<Body<A>>>>,
}

struct Body<A: Actor> {
    actor: A,
    cx: Context<A::Message>,
    ticket: Ticket,
}

impl<A: Actor> Cell<A> {
    fn body(&self) -> MutexGuard<'_, Option<Box<Body<A>>>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context(&self, path: Path, myself: &Awake<A::Message>) -> Context<A::Message> {
        let (actor, slot) = (myself.clone(), self.slot.clone());
        Context {
            path,
            incarnation: self.about.incarnation,
            inbox: self.inbox.clone(),
            own: OwnSender { actor, slot },
            pulse: self.pulse.clone(),
            sight: self.sight.clone(),
            exit: None,
        }
    }

    /// Makes the actor; none if it is not to be, and then it has been noted why.
    async fn begin(
        &self,
        make: Make<A>,
        myself: &Awake<A::Message>,
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

    async fn befall(&self, point: Point, myself: &Awake<A::Message>) -> Result<(), Failure> {
        match self.strike(point) {
            Some(fault) => suffer(fault, || myself.kill()).boxed().await,
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

    /// Handles what waits in the inbox, one after another, and looks up before each. How it ends if it is to end then.
    async fn read(&self, body: &mut Body<A>, myself: &Awake<A::Message>) -> Option<Exit> {
        let ticket = body.ticket;
        for n in 1..=IN_A_ROW {
            let is_enough = n == IN_A_ROW || self.slot.has_other_things_to_do();
            let (message, is_last) = self.inbox.take(ticket)?;
            if let Some(message) = self.deliver(ticket, message) {
                let exit = self.handle_one(message, Some(ticket), body, myself).await;
                if exit.is_some() {
                    return exit;
                }
            }
            if is_last {
                return None;
            }
            if is_enough || self.slot.is_in_a_hurry() {
                break;
            }
            consume_budget().await;
        }
        let _ = myself.cast(Wake::Inbox);
        None
    }

    /// A message comes from the inbox; what is left of it to be handled.
    fn deliver(&self, ticket: Ticket, message: A::Message) -> Option<A::Message> {
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
        ticket: Option<Ticket>,
        body: &mut Body<A>,
        myself: &Awake<A::Message>,
    ) -> Option<Exit> {
        let mut lost = InFlight {
            cell: Some(self),
            ticket,
            has_failed: false,
        };
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
    async fn end(&self, mut body: Box<Body<A>>, myself: &Awake<A::Message>, exit: Exit) {
        let actor = &mut body.actor;
        let terminated = async {
            let _ = self.befall(Point::Stop, myself).await;
            actor.terminate(&exit).await;
        };
        let terminated = self.sight.watch(Doing::Stopping, terminated);
        self.pulse.handling(true);
        let terminated = AssertUnwindSafe(terminated).catch_unwind().await;
        self.pulse.handling(false);
        let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(body)));
        self.slot.exit(match terminated.and(dropped) {
            Ok(()) => exit,
            Err(panic) => Exit::Panicked(panic_message(&*panic)),
        });
    }
}

/// Lets everything run first that is ready to. Unlike tokio's `yield_now` it does not look at timers and sockets for that.
async fn one_turn_later() {
    let mut is_later = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_later, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
    type Msg = Wake<A::Message>;
    type State = ();
    type Arguments = (Make<A>, Path);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (make, path): (Make<A>, Path),
    ) -> Result<(), ActorProcessingErr> {
        let mut cx = self.context(path, &myself);
        let actor = self.begin(make, &myself, &mut cx).await?;
        if cx.exit.is_some() {
            let _ = myself.cast(Wake::Leave);
        }
        let ticket = self.slot.attach(|| self.inbox.attach(myself))?;
        *self.body() = Some(Box::new(Body { actor, cx, ticket }));
        Ok(())
    }

    /// What it does with a message that waited is told after it was told that it is up.
    async fn post_start(
        &self,
        _: ActorRef<Self::Msg>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if self.inbox.depth().0 > 0 {
            one_turn_later().await;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let Some(mut body) = self.body().take() else {
            return Ok(());
        };
        let exit = match message {
            Wake::Inbox => self.read(&mut body, &myself).await,
            Wake::Own(own) => {
                self.slot.own_is_there();
                match *own {
                    Own::Message(message) => {
                        self.handle_one(message, None, &mut body, &myself).await
                    }
                    Own::Panicked(reason) => Some(Exit::Panicked(reason)),
                }
            }
            Wake::Leave => body.cx.exit.take(),
        };
        let Some(exit) = exit else {
            *self.body() = Some(body);
            return Ok(());
        };
        self.end(body, &myself, exit).boxed().await;
        Err(Over.into())
    }

    async fn post_stop(
        &self,
        myself: ActorRef<Self::Msg>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let body = self.body().take();
        if let Some(body) = body {
            self.end(body, &myself, Exit::SHUTDOWN).await;
        }
        Ok(())
    }
}
