//! The shell around a core: one ractor actor that performs what the core wants done and never waits while doing so.

mod actor;
mod estate;
mod seat;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use self::actor::Frame;
pub(crate) use self::actor::{Made, SupervisorLauncher};
pub(crate) use self::estate::Estate;
pub(crate) use self::seat::{Answer, Message, Port, Row, Seat, ask, port};
use crate::child::{Extra, Fate, Launch, Live, Start, StartFailure};
use crate::inbox::Taken;
use crate::report::About;
use crate::restart::{
    ChildKey, ChildRow, Core, Effect, Event, Incarnation, Reply, Request, RequestId, Target,
    TimerId,
};
use crate::spec::ChildId;

/// A boxed core over real children.
pub(crate) type AnyCore = Box<dyn Core<Start> + Send>;

struct Shell {
    core: AnyCore,
    frame: Arc<Frame>,
    myself: ActorRef<Message>,
    origin: tokio::time::Instant,
    live: BTreeMap<ChildKey, (Incarnation, Live)>,
    /// What the start that is being told of handed over.
    extra: Option<(ChildKey, Extra)>,
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
    timers: HashMap<TimerId, AbortHandle>,
    next_request: u64,
    #[cfg(feature = "testing")]
    held: Option<Vec<Message>>,
}

impl Drop for Shell {
    /// Killed: its children die with it, the last first. The actor library's own links would kill them in the order of a hash.
    fn drop(&mut self) {
        for (_, live) in self.live.values().rev() {
            live.kill();
        }
    }
}

impl Shell {
    fn new(frame: Arc<Frame>, myself: ActorRef<Message>, made: Made) -> Self {
        let rows = made.core.rows(Duration::ZERO);
        for (row, start) in rows.into_iter().zip(&made.starts) {
            if let Some(plan) = made.core.plan(row.key) {
                let about = About {
                    child: row.id,
                    incarnation: row.incarnation,
                    restart: plan.restart,
                };
                frame.inboxes.meet(row.key, about, &*start.launcher);
            }
        }
        Self {
            core: made.core,
            frame,
            myself,
            origin: tokio::time::Instant::now(),
            live: BTreeMap::new(),
            extra: None,
            waiting: HashMap::new(),
            timers: HashMap::new(),
            next_request: 0,
            #[cfg(feature = "testing")]
            held: None,
        }
    }

    #[cfg(feature = "testing")]
    fn hear(&mut self, message: Message) {
        match (&mut self.held, message) {
            (held, Message::Hold(holding)) => {
                held.get_or_insert_default();
                let _ = holding.send(());
            }
            (_, Message::Release) => {
                for message in self.held.take().unwrap_or_default() {
                    self.hear_now(message);
                }
            }
            (Some(held), message) if !message.is_question() => held.push(message),
            (_, message) => self.hear_now(message),
        }
    }

    #[cfg(not(feature = "testing"))]
    fn hear(&mut self, message: Message) {
        self.hear_now(message);
    }

    fn hear_now(&mut self, message: Message) {
        match message {
            Message::Fate(key, incarnation, fate) => self.fate(key, incarnation, fate),
            Message::Timer(timer) => {
                self.timers.remove(&timer);
                self.apply(Event::Timer(timer));
            }
            Message::Ask(request, reply) => self.ask(request, reply),
            Message::Rows(reply) => drop(reply.send(self.rows())),
            Message::Kill(target, reply) => drop(reply.send(self.kill(&target))),
            Message::Stop => self.apply(Event::Stop),
            #[cfg(feature = "testing")]
            Message::Hold(_) | Message::Release => {}
        }
    }

    fn fate(&mut self, key: ChildKey, incarnation: Incarnation, fate: Fate) {
        let event = match fate {
            Fate::Started(extra) => {
                self.extra = extra.map(|extra| (key, extra));
                self.apply(Event::Started(key, incarnation));
                self.extra = None;
                return;
            }
            Fate::StartFailed(failure) => Event::StartFailed(key, incarnation, failure.reason),
            Fate::InboxTaken => {
                self.frame.inboxes.forget(key);
                Event::StartFailed(key, incarnation, Taken.to_string().into())
            }
            Fate::Declined => Event::Declined(key, incarnation),
            Fate::Exited(exit) => Event::Exited(key, incarnation, exit),
        };
        if self.live(key, incarnation).is_some() {
            self.live.remove(&key);
        }
        self.apply(event);
    }

    fn live(&self, key: ChildKey, incarnation: Incarnation) -> Option<&Live> {
        let (of, live) = self.live.get(&key)?;
        (*of == incarnation).then_some(live)
    }

    fn ask(&mut self, request: Request<Start>, reply: oneshot::Sender<Answer>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.waiting.insert(id, reply);
        self.apply(Event::Request(id, request));
    }

    fn rows(&self) -> Vec<Row> {
        let with = |row: ChildRow| Row {
            inbox: self.frame.inboxes.depth(row.key),
            port: self
                .live
                .get(&row.key)
                .and_then(|(_, live)| live.port().cloned()),
            row,
        };
        let rows = self.core.rows(self.origin.elapsed());
        rows.into_iter().map(with).collect()
    }

    fn kill(&self, target: &Target) -> bool {
        let is_meant = |key: &ChildKey| match target {
            Target::Key(meant) => key == meant,
            Target::Id(id) => self.core.plan(*key).is_some_and(|plan| plan.id == *id),
        };
        let live = match target {
            Target::Key(key) => self.live.get(key),
            Target::Id(_) => {
                let mut live = self.live.iter();
                live.find(|(key, _)| is_meant(key)).map(|(_, live)| live)
            }
        };
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
            Effect::Start(key, incarnation, id, start) => self.start(key, incarnation, id, &start),
            Effect::RequestStop(key, incarnation) => {
                self.live(key, incarnation).map(Live::request_stop);
            }
            Effect::Kill(key, incarnation) => {
                self.live(key, incarnation).map(Live::kill);
            }
            Effect::Arm(timer, after) => self.arm(timer, after),
            Effect::Disarm(timer) => {
                self.timers.remove(&timer).inspect(AbortHandle::abort);
            }
            Effect::Reply(request, reply) => self.reply(request, reply),
            Effect::Down(key, outlook) => self.frame.inboxes.down(key, outlook),
            Effect::Forget(key) => self.frame.inboxes.forget(key),
            Effect::Report(decision) => {
                let inboxes = &self.frame.inboxes;
                inboxes.ambient.report(&inboxes.path, decision);
            }
            Effect::Ready => {
                self.frame.inboxes.ready();
                let _ = self.frame.slot.up();
                (self.frame.fate)(Fate::Started(None));
            }
            Effect::BootFailed(child, reason) => {
                let reason = format!("child `{child}` could not be started: {reason}").into();
                let child = Some(child);
                self.frame.slot.start_failed(StartFailure { child, reason });
                self.myself.stop(None);
            }
            Effect::Exit(exit) => {
                self.frame.slot.exit(exit);
                self.myself.stop(None);
            }
        }
    }

    fn start(&mut self, key: ChildKey, incarnation: Incarnation, id: ChildId, start: &Start) {
        let Some(plan) = self.core.plan(key) else {
            return;
        };
        let inboxes = &self.frame.inboxes;
        let path = format!("{}/{id}", inboxes.path).into();
        let about = About {
            child: id,
            incarnation,
            restart: plan.restart,
        };
        inboxes.meet(key, about.clone(), &*start.launcher);
        let (supervisor, alive) = (self.myself.clone(), self.frame.alive.clone());
        let launch = Launch {
            ambient: inboxes.ambient.clone(),
            supervisor: inboxes.path.clone(),
            path,
            about,
            estate: inboxes.estate_of(key),
            fate: Arc::new(move |fate| {
                let _alive = &alive;
                let _ = supervisor.cast(Message::Fate(key, incarnation, fate));
            }),
        };
        if let Some(live) = start.launcher.launch(launch) {
            self.live.insert(key, (incarnation, live));
        }
    }

    fn arm(&mut self, timer: TimerId, after: Duration) {
        let myself = self.myself.clone();
        let handle = self.frame.attached.spawn(async move {
            tokio::time::sleep(after).await;
            let _ = myself.cast(Message::Timer(timer));
        });
        self.timers.insert(timer, handle);
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        let extra = match (&reply, &self.extra) {
            (Reply::Started(key, _), Some((of, extra))) if key == of => Some(extra.clone()),
            _ => None,
        };
        if let Some(waiting) = self.waiting.remove(&request) {
            let _ = waiting.send(Answer { reply, extra });
        }
    }
}
