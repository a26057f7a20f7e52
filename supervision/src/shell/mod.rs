//! The shell around a core: one ractor actor that performs what the core wants done and never waits while doing so.

mod actor;
mod alarms;
mod estate;
mod seat;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::actor::Frame;
pub(crate) use self::actor::{Made, SupervisorLauncher};
use self::alarms::Alarms;
pub(crate) use self::estate::Estate;
pub(crate) use self::seat::{Answer, Desk, Message, Port, Row, Seat, ask, port};
use crate::actor::Slot;
use crate::child::{FateSink, Launch, Live, Need, Start};
use crate::exit::Exit;
use crate::health::Pulse;
use crate::incarnation::{Extra, Fate, Path, StartFailure, Taken};
use crate::report::{About, Decision};
use crate::restart::{
    ChildKey, ChildRow, ChildState, Core, Effect, Event, Incarnation, Reply, Request, RequestId,
    Target, TimerId,
};
use crate::spec::ChildId;

/// As far away as a timer can be.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A boxed core over real children.
pub(crate) type AnyCore = Box<dyn Core<Start> + Send>;

/// An incarnation that is starting or up.
struct Running {
    about: About,
    live: Live,
}

struct Shell {
    core: AnyCore,
    frame: Arc<Frame>,
    myself: Desk,
    /// Whether nothing is left to do.
    is_over: bool,
    origin: Instant,
    /// When the event was told that is being dealt with.
    now: Instant,
    live: BTreeMap<ChildKey, Running>,
    /// Those that were given up and have not ended yet.
    lost: BTreeMap<(ChildKey, Incarnation), (About, Live)>,
    /// What some child depends on, and is being watched.
    needs: BTreeSet<Arc<str>>,
    /// What the start that is being told of handed over.
    extra: Option<(ChildKey, Extra)>,
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
    alarms: Alarms,
    /// What is still to be told to the core, and whether somebody is at it.
    events: VecDeque<Event<Start>>,
    is_applying: bool,
    /// Where they are put that are to be performed, while nobody is at it.
    effects: Vec<Effect<Start>>,
    next_request: u64,
    #[cfg(feature = "testing")]
    held: Option<Vec<Message>>,
}

impl Drop for Shell {
    /// Killed: its children die with it, the last first. The actor library's own links would kill them in the order of a hash.
    fn drop(&mut self) {
        for running in self.live.values().rev() {
            running.live.remove();
        }
    }
}

impl Shell {
    fn new(frame: Arc<Frame>, myself: Desk, made: Made) -> Self {
        let rows = made.core.rows(Duration::ZERO);
        for (row, start) in rows.into_iter().zip(&made.starts) {
            if let Some(plan) = made.core.plan(row.key) {
                let about = About {
                    child: row.id,
                    incarnation: row.incarnation,
                    restart: plan.restart,
                };
                frame.inboxes.meet(row.key, &about, &*start.launcher);
            }
        }
        let now = Instant::now();
        let mut shell = Self {
            core: made.core,
            frame,
            myself,
            is_over: false,
            origin: now,
            now,
            live: BTreeMap::new(),
            lost: BTreeMap::new(),
            needs: BTreeSet::new(),
            extra: None,
            waiting: HashMap::new(),
            alarms: Alarms::default(),
            events: VecDeque::new(),
            is_applying: false,
            effects: Vec::new(),
            next_request: 0,
            #[cfg(feature = "testing")]
            held: None,
        };
        if shell.frame.inboxes.ambient.is_restrained() {
            shell.core.restrain();
        }
        made.starts
            .iter()
            .for_each(|start| shell.watch(&start.needs));
        shell
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
            Message::Timer(timer) => self.apply(Event::Timer(timer)),
            Message::Ask(request, reply) => self.ask(*request, reply),
            Message::Rows(reply) => drop(reply.send(self.rows())),
            Message::Kill(target, reply) => drop(reply.send(self.kill(&target))),
            Message::Stop => self.apply(Event::Stop),
            Message::Need(need, is_there) => self.apply(Event::Need(need, is_there)),
            Message::NeedGone(need) => {
                self.needs.remove(&need);
                self.apply(Event::Need(need, true));
            }
            #[cfg(feature = "testing")]
            Message::Hold(_) | Message::Release => {}
        }
    }

    fn fate(&mut self, key: ChildKey, incarnation: Incarnation, fate: Fate) {
        if self.lost.contains_key(&(key, incarnation)) {
            return self.fate_of_lost(key, incarnation, fate);
        }
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

    /// What comes of one that was given up concerns nobody any more.
    fn fate_of_lost(&mut self, key: ChildKey, incarnation: Incarnation, fate: Fate) {
        let exit = match fate {
            Fate::Started(_) => return,
            Fate::StartFailed(failure) => Exit::Failed(failure.reason),
            Fate::InboxTaken => Exit::Killed,
            Fate::Declined => Exit::Normal,
            Fate::Exited(exit) => exit,
        };
        if let Some((about, _)) = self.lost.remove(&(key, incarnation)) {
            self.report(Decision::LostEnded(about, exit));
        }
    }

    fn live(&self, key: ChildKey, incarnation: Incarnation) -> Option<&Live> {
        let running = self.live.get(&key)?;
        (running.about.incarnation == incarnation).then_some(&running.live)
    }

    fn report(&self, decision: Decision) {
        let inboxes = &self.frame.inboxes;
        inboxes.ambient.report(&inboxes.path, decision);
    }

    fn ask(&mut self, mut request: Request<Start>, reply: oneshot::Sender<Answer>) {
        if let Request::Add(plan, start) = &mut request {
            plan.needs = start.needs_of();
            self.watch(&start.needs);
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.waiting.insert(id, reply);
        self.apply(Event::Request(id, request));
    }

    fn rows(&self) -> Vec<Row> {
        let with = |row: ChildRow| {
            let live = self.live.get(&row.key).map(|running| &running.live);
            Row {
                inbox: self.frame.inboxes.depth(row.key),
                port: live.and_then(|live| live.port().cloned()),
                under_way: live.map(|live| live.pulse.under_way()).unwrap_or_default(),
                since_progress: live.and_then(|live| live.pulse.vitals().silent),
                row,
            }
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
        live.inspect(|running| running.live.kill()).is_some()
    }

    /// Performs what follows from an event. What an effect leads to comes after all effects that were decided before it.
    fn apply(&mut self, event: Event<Start>) {
        if std::mem::replace(&mut self.is_applying, true) {
            return self.events.push_back(event);
        }
        let mut effects = std::mem::take(&mut self.effects);
        let mut next = Some(event);
        while let Some(event) = next {
            self.now = Instant::now();
            let now = self.now.saturating_duration_since(self.origin);
            self.core.apply_into(now, event, &mut effects);
            effects.drain(..).for_each(|effect| self.perform(effect));
            next = self.events.pop_front();
        }
        self.effects = effects;
        self.is_applying = false;
    }

    fn perform(&mut self, effect: Effect<Start>) {
        match effect {
            Effect::Start(key, incarnation, id, start) => self.start(key, incarnation, id, &start),
            Effect::RequestStop(key, incarnation) => {
                self.live(key, incarnation).map(Live::request_stop);
            }
            Effect::Kill(key, incarnation) => self.kill_by_rule(key, incarnation),
            Effect::Arm(timer, after) => self.arm(timer, after),
            Effect::Disarm(timer) => self.alarms.disarm(timer),
            Effect::Reply(request, reply) => self.reply(request, reply),
            Effect::Down(key, outlook) => self.frame.inboxes.down(key, outlook),
            Effect::Forget(key) => self.frame.inboxes.forget(key),
            Effect::Report(decision) => self.report(decision),
            Effect::Examine(key, incarnation) => {
                let vitals = self.live(key, incarnation).map(|live| live.pulse.vitals());
                if let Some(vitals) = vitals {
                    self.apply(Event::Vitals(key, incarnation, vitals));
                }
            }
            Effect::Nudge(key, incarnation) => {
                let live = self.live(key, incarnation);
                live.inspect(|live| live.pulse.nudge());
            }
            Effect::Cancel(key, incarnation) => {
                let live = self.live(key, incarnation);
                live.inspect(|live| live.pulse.cancel());
            }
            Effect::Abandon(key, incarnation) => self.abandon(key, incarnation),
            Effect::AskLeave(key, incarnation) => {
                let wait = self.frame.inboxes.ambient.leave();
                self.apply(Event::Leave(key, incarnation, wait));
            }
            Effect::Ready => {
                self.frame.inboxes.ready();
                let _ = self.frame.slot.up();
                self.frame.fate.tell(Fate::Started(None));
            }
            Effect::BootFailed(child, reason) => {
                let reason = format!("child `{child}` could not be started: {reason}").into();
                let child = Some(child);
                self.frame.slot.start_failed(StartFailure { child, reason });
                self.is_over = true;
            }
            Effect::Exit(exit) => {
                self.frame.slot.exit(exit);
                self.is_over = true;
            }
        }
    }

    /// Kills one that is to stop, or one that hangs.
    fn kill_by_rule(&self, key: ChildKey, incarnation: Incarnation) {
        let is_stopping = self.core.state(key) == Some(ChildState::Stopping);
        let kill = if is_stopping {
            Live::remove
        } else {
            Live::kill
        };
        self.live(key, incarnation).map(kill);
    }

    fn start(&mut self, key: ChildKey, incarnation: Incarnation, id: ChildId, start: &Start) {
        let Some(plan) = self.core.plan(key) else {
            return;
        };
        let inboxes = &self.frame.inboxes;
        let path = Path::below(&inboxes.path, &id);
        let about = About {
            child: id,
            incarnation,
            restart: plan.restart,
        };
        let pulse = plan.hang.as_ref().map(|_| Pulse::watched());
        let estate = inboxes.meet(key, &about, &*start.launcher);
        let launch = Launch {
            ambient: inboxes.ambient.clone(),
            supervisor: inboxes.path.clone(),
            path,
            about: about.clone(),
            estate,
            slot: Slot::leashed(self.frame.alive.clone()),
            pulse: pulse.unwrap_or_default(),
            fate: FateSink::Supervisor(self.myself.clone(), key, incarnation),
        };
        if let Some(live) = start.launcher.launch(launch) {
            let running = Running { about, live };
            self.live.insert(key, running);
        }
    }

    fn abandon(&mut self, key: ChildKey, incarnation: Incarnation) {
        let Some(running) = self.live.remove(&key) else {
            return;
        };
        running.live.abandon();
        let lost = (running.about, running.live);
        self.lost.insert((key, incarnation), lost);
    }

    /// Hears of it whenever something that a child depends on comes or goes.
    fn watch(&mut self, needs: &[Need]) {
        for (need, available) in needs {
            if !self.needs.insert(need.clone()) {
                continue;
            }
            let (need, mut available) = (need.clone(), available.clone());
            let is_there = *available.borrow_and_update();
            self.apply(Event::Need(need.clone(), is_there));
            let myself = self.myself.clone();
            self.frame.slot.attached().spawn(async move {
                while available.changed().await.is_ok() {
                    let is_there = *available.borrow_and_update();
                    let _ = myself.send(Message::Need(need.clone(), is_there));
                }
                let _ = myself.send(Message::NeedGone(need));
            });
        }
    }

    fn arm(&self, timer: TimerId, after: Duration) {
        // So far away that nobody sees whether it is kept.
        let at = self.now.checked_add(after);
        let at = at.unwrap_or_else(|| self.now + FAR);
        self.alarms.arm(timer, at, self.frame.slot.attached(), || {
            let myself = self.myself.clone();
            Box::new(move |timer| {
                let _ = myself.send(Message::Timer(timer));
            })
        });
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
