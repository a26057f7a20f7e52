//! The shell around a core: one ractor actor that performs what the core wants done and never waits while doing so.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::{ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::actor::{Attached, Failure, panic_message};
use crate::child::{
    Ambient, Extra, Fate, FateSink, Launch, Launcher, Live, Slot, Start, StartFailure, StopWith,
    spawn,
};
use crate::inbox::InboxControl;
use crate::report::{About, DeadLetterReason, Decision};
use crate::restart::{
    AdminError, Availability, ChildKey, ChildRow, Core, Effect, Event, Incarnation, Reply, Request,
    RequestId, Target, TimerId,
};

/// A boxed core over real children.
pub(crate) type AnyCore = Box<dyn Core<Start> + Send>;

/// What an initialiser gives: a core, or nothing if it declines.
pub(crate) type InitCore = Arc<dyn Fn() -> Result<Option<AnyCore>, Failure> + Send + Sync>;

/// What a supervisor's actor is told.
pub(crate) enum Message {
    Fate(ChildKey, Incarnation, Fate),
    Timer(TimerId),
    Ask(Request<Start>, oneshot::Sender<Answer>),
    Rows(oneshot::Sender<Vec<Row>>),
    Kill(Target, oneshot::Sender<bool>),
    Stop,
    #[cfg(feature = "testing")]
    Hold(oneshot::Sender<()>),
    #[cfg(feature = "testing")]
    Release,
}

/// A reply with what a start handed over.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) extra: Option<Extra>,
}

/// A child's row with what only the shell knows.
pub(crate) struct Row {
    pub(crate) row: ChildRow,
    pub(crate) inbox: Option<(usize, usize)>,
    pub(crate) port: Option<Port>,
}

/// The mailbox of one incarnation of a supervisor.
#[derive(Clone)]
pub(crate) struct Port(ActorRef<Message>);

impl Port {
    pub(crate) fn tell(&self, message: Message) {
        let _ = self.0.cast(message);
    }

    pub(crate) fn stop(&self) {
        self.tell(Message::Stop);
    }

    pub(crate) fn kill(&self) {
        self.0.kill();
    }
}

/// Where the program finds the current incarnation of a supervisor.
pub(crate) type Seat = Arc<Mutex<Option<Port>>>;

/// Starts supervisors of one description.
pub(crate) struct SupervisorLauncher {
    pub(crate) init: InitCore,
    pub(crate) seat: Seat,
}

impl Launcher for SupervisorLauncher {
    fn launch(&self, launch: Launch) -> Option<Live> {
        let (slot, attached) = (Slot::default(), Attached::default());
        let actor = SupervisorActor {
            slot: slot.clone(),
            attached: attached.clone(),
            ambient: launch.ambient,
            path: launch.path,
            fate: launch.fate.clone(),
            seat: self.seat.clone(),
            shell: Mutex::new(None),
        };
        let actor = spawn(
            actor,
            self.init.clone(),
            launch.parent,
            slot,
            attached,
            false,
            launch.fate,
        )?;
        Some(Live::new(actor.get_cell(), StopWith::Port(Port(actor))))
    }

    fn inbox(&self) -> Option<Arc<dyn InboxControl>> {
        None
    }
}

struct SupervisorActor {
    slot: Slot,
    attached: Attached,
    ambient: Ambient,
    path: Arc<str>,
    fate: FateSink,
    seat: Seat,
    /// Here and not in ractor's state, so that it is dropped, and starting children killed, when this actor's task ends.
    shell: Mutex<Option<Shell>>,
}

impl ractor::Actor for SupervisorActor {
    type Msg = Message;
    type State = ();
    type Arguments = InitCore;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        init: InitCore,
    ) -> Result<(), ActorProcessingErr> {
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| init()));
        let core = match made {
            Ok(Ok(Some(core))) => core,
            Ok(Ok(None)) => {
                self.slot.decline();
                return Err("declined".into());
            }
            Ok(Err(failure)) => {
                self.slot
                    .start_failed(StartFailure::new(failure.to_string()));
                return Err(failure);
            }
            Err(panic) => {
                let reason = format!("panicked: {}", panic_message(&*panic));
                self.slot.start_failed(StartFailure::new(reason.as_str()));
                return Err(reason.into());
            }
        };
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Port(myself.clone()));
        let mut shell = Shell::new(self, myself, core);
        shell.apply(Event::Boot);
        *self.shell.lock().unwrap_or_else(PoisonError::into_inner) = Some(shell);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let Some(shell) = self
            .shell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            shell.hear(message);
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        // The default stops the parent at any end of a child. Ends are taken from the children's tasks instead.
        Ok(())
    }
}

struct Shell {
    core: AnyCore,
    myself: ActorRef<Message>,
    origin: tokio::time::Instant,
    ambient: Ambient,
    path: Arc<str>,
    slot: Slot,
    fate: FateSink,
    attached: Attached,
    live: HashMap<ChildKey, (Incarnation, Live)>,
    inboxes: HashMap<ChildKey, (About, Arc<dyn InboxControl>)>,
    extras: HashMap<ChildKey, Extra>,
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
    timers: HashMap<TimerId, AbortHandle>,
    next_request: u64,
    held: Option<Vec<Message>>,
}

impl Drop for Shell {
    /// Killed: children that are up are linked and die with this actor, those still starting are not yet.
    fn drop(&mut self) {
        for (_, live) in self.live.values() {
            live.kill();
        }
        for (_, inbox) in self.inboxes.values() {
            inbox.down(Availability::Stopped);
        }
    }
}

impl Shell {
    fn new(actor: &SupervisorActor, myself: ActorRef<Message>, core: AnyCore) -> Self {
        Self {
            core,
            myself,
            origin: tokio::time::Instant::now(),
            ambient: actor.ambient.clone(),
            path: actor.path.clone(),
            slot: actor.slot.clone(),
            fate: actor.fate.clone(),
            attached: actor.attached.clone(),
            live: HashMap::new(),
            inboxes: HashMap::new(),
            extras: HashMap::new(),
            waiting: HashMap::new(),
            timers: HashMap::new(),
            next_request: 0,
            held: None,
        }
    }

    fn hear(&mut self, message: Message) {
        #[cfg(feature = "testing")]
        let message = match message {
            Message::Hold(held) => {
                self.held.get_or_insert_default();
                let _ = held.send(());
                return;
            }
            Message::Release => {
                for message in self.held.take().unwrap_or_default() {
                    self.hear(message);
                }
                return;
            }
            message => message,
        };
        match (&mut self.held, message) {
            (_, Message::Rows(reply)) => drop(reply.send(self.rows())),
            (_, Message::Kill(target, reply)) => drop(reply.send(self.kill(&target))),
            (Some(held), message) => held.push(message),
            (None, Message::Fate(key, incarnation, fate)) => self.fate(key, incarnation, fate),
            (None, Message::Timer(timer)) => {
                self.timers.remove(&timer);
                self.apply(Event::Timer(timer));
            }
            (None, Message::Ask(request, reply)) => self.ask(request, reply),
            (None, _) => self.apply(Event::Stop),
        }
    }

    fn fate(&mut self, key: ChildKey, incarnation: Incarnation, fate: Fate) {
        let event = match fate {
            Fate::Started(extra) => {
                self.extras.extend(extra.map(|extra| (key, extra)));
                Event::Started(key, incarnation)
            }
            Fate::StartFailed(failure) => {
                Event::StartFailed(key, incarnation, failure.to_string().into())
            }
            Fate::Declined => Event::Declined(key, incarnation),
            Fate::Exited(exit) => Event::Exited(key, incarnation, exit),
        };
        if !matches!(event, Event::Started(..))
            && self
                .live
                .get(&key)
                .is_some_and(|(of, _)| *of == incarnation)
        {
            self.live.remove(&key);
        }
        self.apply(event);
    }

    fn ask(&mut self, request: Request<Start>, reply: oneshot::Sender<Answer>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.waiting.insert(id, reply);
        self.apply(Event::Request(id, request));
    }

    fn rows(&self) -> Vec<Row> {
        let with = |row: ChildRow| {
            let inbox = self.inboxes.get(&row.key).map(|(_, inbox)| inbox.depth());
            let port = self
                .live
                .get(&row.key)
                .and_then(|(_, live)| live.port.clone());
            Row { row, inbox, port }
        };
        self.core
            .rows(self.origin.elapsed())
            .into_iter()
            .map(with)
            .collect()
    }

    fn kill(&self, target: &Target) -> bool {
        let key = match target {
            Target::Key(key) => Some(*key),
            Target::Id(id) => self
                .live
                .keys()
                .copied()
                .find(|key| self.core.plan(*key).is_some_and(|plan| plan.id == *id)),
        };
        let live = key.and_then(|key| self.live.get(&key));
        live.inspect(|(_, live)| live.kill()).is_some()
    }

    fn apply(&mut self, event: Event<Start>) {
        let effects = self.core.apply(self.origin.elapsed(), event);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect<Start>) {
        match effect {
            Effect::Start(key, incarnation, id, start) => self.start(key, incarnation, &id, &start),
            Effect::RequestStop(key, incarnation) => {
                self.with_live(key, incarnation, Live::request_stop)
            }
            Effect::Kill(key, incarnation) => self.with_live(key, incarnation, Live::kill),
            Effect::Arm(timer, after) => self.arm(timer, after),
            Effect::Disarm(timer) => {
                self.timers.remove(&timer).inspect(AbortHandle::abort);
            }
            Effect::Reply(request, reply) => self.reply(request, reply),
            Effect::Down(key, availability) => self.down(key, availability),
            Effect::Forget(key) => {
                self.inboxes.remove(&key);
                self.extras.remove(&key);
            }
            Effect::Report(decision) => self.ambient.report(&self.path, decision),
            Effect::Ready => {
                self.slot.up();
                (self.fate)(Fate::Started(None));
            }
            Effect::BootFailed(child, reason) => {
                let reason = format!("child `{child}` could not be started: {reason}");
                self.slot.start_failed(StartFailure {
                    child: Some(child),
                    reason: reason.into(),
                });
                self.myself.stop(None);
            }
            Effect::Exit(exit) => {
                self.slot.exit(exit);
                self.myself.stop(None);
            }
        }
    }

    fn start(
        &mut self,
        key: ChildKey,
        incarnation: Incarnation,
        id: &crate::spec::ChildId,
        start: &Start,
    ) {
        let Some(plan) = self.core.plan(key) else {
            return;
        };
        let about = About {
            child: id.clone(),
            incarnation,
            restart: plan.restart,
        };
        if let Some(inbox) = start.launcher.inbox() {
            self.inboxes.insert(key, (about.clone(), inbox));
        }
        let supervisor = self.myself.clone();
        let launch = Launch {
            parent: Some(self.myself.get_cell()),
            ambient: self.ambient.clone(),
            supervisor: self.path.clone(),
            path: format!("{}/{id}", self.path).into(),
            about,
            fate: Arc::new(move |fate| {
                let _ = supervisor.cast(Message::Fate(key, incarnation, fate));
            }),
        };
        if let Some(live) = start.launcher.launch(launch) {
            self.live.insert(key, (incarnation, live));
        }
    }

    fn with_live(&self, key: ChildKey, incarnation: Incarnation, act: impl FnOnce(&Live)) {
        if let Some((of, live)) = self.live.get(&key)
            && *of == incarnation
        {
            act(live);
        }
    }

    fn arm(&mut self, timer: TimerId, after: std::time::Duration) {
        let myself = self.myself.clone();
        let handle = self.attached.spawn(async move {
            tokio::time::sleep(after).await;
            let _ = myself.cast(Message::Timer(timer));
        });
        self.timers.insert(timer, handle);
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        let extra = match reply {
            Reply::Started(key, _) => self.extras.remove(&key),
            _ => None,
        };
        if let Some(waiting) = self.waiting.remove(&request) {
            let _ = waiting.send(Answer { reply, extra });
        }
    }

    fn down(&mut self, key: ChildKey, availability: Availability) {
        let Some((about, inbox)) = self.inboxes.get(&key) else {
            return;
        };
        let count = inbox.down(availability);
        if count == 0 {
            return;
        }
        let reason = match availability {
            Availability::Restarting => DeadLetterReason::NotCarried,
            Availability::Stopped => DeadLetterReason::ReceiverStopped,
        };
        self.ambient.report(
            &self.path,
            Decision::DeadLetters {
                about: about.clone(),
                count,
                reason,
            },
        );
    }
}

/// Asks the current incarnation of a supervisor.
pub(crate) async fn ask(seat: &Seat, request: Request<Start>) -> Result<Answer, AdminError> {
    let (reply, answer) = oneshot::channel();
    port(seat)
        .ok_or(AdminError::Stopping)?
        .tell(Message::Ask(request, reply));
    answer.await.map_err(|_| AdminError::Stopping)
}

/// The current incarnation of a supervisor.
pub(crate) fn port(seat: &Seat) -> Option<Port> {
    seat.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
