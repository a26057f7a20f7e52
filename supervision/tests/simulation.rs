//! Both cores under random schedules: whatever can happen does, in every order in which it can, and after each event the
//! invariants hold.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use supervision::report::Decision;
use supervision::restart::{
    Availability, ChildKey, ChildState, Core, DynamicCore, Effect, Event, Incarnation, Reply,
    Request, RequestId, SupervisorCore, Target, TimerId,
};
use supervision::{
    AutoShutdown, Backoff, ChildId, Exit, Flags, Jitter, Kind, Plan, Restart, Shutdown, Strategy,
};

/// How many schedules each core goes through; `IMPRESARIO_TEST_SCHEDULES` asks for more.
fn schedules() -> u64 {
    let asked = std::env::var("IMPRESARIO_TEST_SCHEDULES");
    asked.map_or(25_000, |count| count.parse().expect("a number"))
}

#[test]
fn declared_children_keep_every_invariant() {
    for seed in 0..schedules() {
        let mut random = fastrand::Rng::with_seed(seed);
        let (flags, plans) = declared(&mut random);
        let children = plans.into_iter().map(|plan| (plan, ())).collect();
        let core = SupervisorCore::new(flags.clone(), children).expect("a valid set");
        World::new(seed, random, core, flags, Target::Id("c0".into())).run();
    }
}

#[test]
fn instances_keep_every_invariant() {
    for seed in 0..schedules() {
        let mut random = fastrand::Rng::with_seed(seed);
        let flags = flags(&mut random);
        let template = plan(&mut random, "t", &flags);
        let core = DynamicCore::new(flags.clone(), template).expect("a valid template");
        World::new(seed, random, core, flags, Target::Key(ChildKey(0))).run();
    }
}

fn flags(random: &mut fastrand::Rng) -> Flags {
    let strategies = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ];
    let modes = [
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ];
    Flags::new(strategies[random.usize(0..3)])
        .intensity(random.u32(0..5), Duration::from_millis(random.u64(1..4000)))
        .auto_shutdown(modes[random.usize(0..3)])
}

fn plan(random: &mut fastrand::Rng, id: &str, flags: &Flags) -> Plan {
    let restarts = [Restart::Permanent, Restart::Transient, Restart::Temporary];
    let mut plan = Plan::new(id, Kind::Worker);
    plan.restart = restarts[random.usize(0..3)];
    plan.shutdown = match random.u32(0..3) {
        0 => Shutdown::Kill,
        1 => Shutdown::Infinity,
        _ => Shutdown::After(Duration::from_millis(random.u64(0..100))),
    };
    plan.significant = flags.auto_shutdown != AutoShutdown::Never
        && plan.restart != Restart::Permanent
        && random.bool();
    if random.u32(0..3) == 0 {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(300));
        let jitters = [Jitter::Full, Jitter::None];
        plan.backoff = Some(backoff.jitter(jitters[random.usize(0..2)]));
    }
    plan
}

fn declared(random: &mut fastrand::Rng) -> (Flags, Vec<Plan>) {
    let flags = flags(random);
    let count = random.usize(0..6);
    let plans = (0..count)
        .map(|n| plan(random, &format!("c{n}"), &flags))
        .collect();
    (flags, plans)
}

/// One life, as it really is.
#[derive(Debug, Default)]
struct Process {
    is_up: bool,
    is_asked: bool,
    is_killed: bool,
}

/// What the core has been told of a child's newest life, and nothing it could not know.
#[derive(Debug)]
struct Known {
    incarnation: Incarnation,
    is_alive: bool,
    is_up: bool,
}

#[derive(Debug, PartialEq)]
enum Timer {
    Armed(Duration),
    Fired,
    Done,
}

struct World<C> {
    seed: u64,
    random: fastrand::Rng,
    core: C,
    flags: Flags,
    /// Whom requests name here: ids, or keys.
    targets: Target,
    now: Duration,
    processes: BTreeMap<(ChildKey, Incarnation), Process>,
    known: BTreeMap<ChildKey, Known>,
    ids: HashMap<ChildKey, ChildId>,
    forgotten: HashSet<ChildKey>,
    timers: BTreeMap<TimerId, Timer>,
    mailbox: VecDeque<Event<()>>,
    answered: HashMap<RequestId, u32>,
    restarts: Vec<Duration>,
    has_backoff: bool,
    is_ready: bool,
    /// From here on nothing may be started.
    is_ending: bool,
    is_over: bool,
    stop_was_asked: bool,
    history: Vec<Event<()>>,
}

impl<C> Drop for World<C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {}, after\n{}",
                self.seed,
                self.history
                    .iter()
                    .map(|e| format!("{e:?}\n"))
                    .collect::<String>()
            );
        }
    }
}

impl<C: Core<()>> World<C> {
    fn new(seed: u64, random: fastrand::Rng, core: C, flags: Flags, targets: Target) -> Self {
        let mut world = Self {
            seed,
            random,
            core,
            flags,
            targets,
            now: Duration::ZERO,
            processes: BTreeMap::new(),
            known: BTreeMap::new(),
            ids: HashMap::new(),
            forgotten: HashSet::new(),
            timers: BTreeMap::new(),
            mailbox: VecDeque::from([Event::Boot]),
            answered: HashMap::new(),
            restarts: Vec::new(),
            has_backoff: false,
            is_ready: false,
            is_ending: false,
            is_over: false,
            stop_was_asked: false,
            history: Vec::new(),
        };
        let rows = world.core.rows(Duration::ZERO);
        world.has_backoff = rows.iter().any(|row| {
            world
                .core
                .plan(row.key)
                .is_some_and(|plan| plan.backoff.is_some())
        });
        world
    }

    fn run(mut self) {
        for _ in 0..self.random.u32(5..60) {
            match self.random.u32(0..20) {
                0..10 => self.deliver(),
                10..15 => self.befall(),
                15..17 => self.fire(),
                17..19 => self.request(),
                _ if self.random.u32(0..4) == 0 => self.send(Event::Stop),
                _ => self.now += Duration::from_millis(self.random.u64(0..1500)),
            }
        }
        self.settle();
        self.check_settled();
        self.check_aftermath();
    }

    fn send(&mut self, event: Event<()>) {
        self.mailbox.push_back(event);
    }

    /// Something happens to one of the processes.
    fn befall(&mut self) {
        let Some(n) = self.processes.len().checked_sub(1) else {
            return;
        };
        let n = self.random.usize(0..=n);
        let (&(key, incarnation), process) = self.processes.iter_mut().nth(n).expect("the nth");
        let event = match (process.is_up, self.random.u32(0..10)) {
            (_, 0) => Event::Exited(key, incarnation, Exit::Killed),
            (false, 1) => Event::StartFailed(key, incarnation, "nope".into()),
            (false, 2) => Event::Declined(key, incarnation),
            (false, _) => {
                process.is_up = true;
                return self.send(Event::Started(key, incarnation));
            }
            _ if process.is_killed => Event::Exited(key, incarnation, Exit::Killed),
            (true, 1..4) if process.is_asked => Event::Exited(key, incarnation, Exit::SHUTDOWN),
            (true, 4) => Event::Exited(key, incarnation, Exit::Normal),
            (true, 5) => Event::Exited(key, incarnation, Exit::SHUTDOWN),
            (true, 6) => Event::Exited(key, incarnation, Exit::failed("boom")),
            (true, _) => return,
        };
        self.processes.remove(&(key, incarnation));
        self.send(event);
    }

    /// Time passes until the next timer runs out.
    fn fire(&mut self) {
        let due = |(timer, state): (&TimerId, &Timer)| match state {
            Timer::Armed(at) => Some((*at, *timer)),
            _ => None,
        };
        if let Some((at, timer)) = self.timers.iter().filter_map(due).min() {
            self.now = self.now.max(at);
            self.timers.insert(timer, Timer::Fired);
            self.send(Event::Timer(timer));
        }
    }

    fn request(&mut self) {
        let id = RequestId(self.answered.len() as u64);
        self.answered.insert(id, 0);
        let n = self.random.u64(0..7);
        let target = match self.targets {
            Target::Id(_) => Target::Id(format!("c{n}").into()),
            Target::Key(_) => Target::Key(ChildKey(n)),
        };
        let wish = match self.random.u32(0..5) {
            0 | 1 => {
                let flags = self.flags.clone();
                let name = match self.targets {
                    Target::Id(_) => format!("c{n}"),
                    Target::Key(_) => "t".to_owned(),
                };
                let plan = plan(&mut self.random, &name, &flags);
                self.has_backoff |= plan.backoff.is_some();
                Request::Add(plan, ())
            }
            2 => Request::Terminate(target),
            3 => Request::Restart(target),
            _ => Request::Delete(target),
        };
        self.send(Event::Request(id, wish));
    }

    fn deliver(&mut self) {
        let Some(event) = self.mailbox.pop_front() else {
            return;
        };
        self.history.push(event.clone());
        self.learn(&event);
        let effects = self.core.apply(self.now, event);
        for effect in effects {
            self.perform(effect);
        }
        self.check_rows();
    }

    fn learn(&mut self, event: &Event<()>) {
        match event {
            Event::Started(key, incarnation) => {
                let known = self.known.get_mut(key).expect("a child that was started");
                known.is_up |= known.incarnation == *incarnation;
            }
            Event::StartFailed(key, ..) | Event::Declined(key, _) | Event::Exited(key, ..) => {
                let known = self.known.get_mut(key).expect("a child that was started");
                (known.is_alive, known.is_up) = (false, false);
            }
            Event::Timer(timer) => {
                self.timers.insert(*timer, Timer::Done);
            }
            Event::Stop => {
                self.is_ending = true;
                self.stop_was_asked = true;
            }
            Event::Boot | Event::Request(..) => {}
        }
    }

    fn perform(&mut self, effect: Effect<()>) {
        let is_answer = matches!(effect, Effect::Reply(..));
        assert!(is_answer || !self.is_over, "after the end: {effect:?}");
        match effect {
            Effect::Start(key, incarnation, id, ()) => self.start(key, incarnation, id),
            Effect::RequestStop(key, incarnation) => {
                self.expect_alive(key, incarnation);
                if let Some(process) = self.processes.get_mut(&(key, incarnation)) {
                    assert!(!process.is_asked, "asked twice to stop: {key:?}");
                    process.is_asked = true;
                }
            }
            Effect::Kill(key, incarnation) => {
                self.expect_alive(key, incarnation);
                if let Some(process) = self.processes.get_mut(&(key, incarnation)) {
                    process.is_killed = true;
                }
            }
            Effect::Arm(timer, after) => {
                let armed = Timer::Armed(self.now + after);
                assert_eq!(self.timers.insert(timer, armed), None, "armed twice");
            }
            Effect::Disarm(timer) => {
                let before = self.timers.insert(timer, Timer::Done);
                assert!(
                    matches!(before, Some(Timer::Armed(_) | Timer::Fired)),
                    "{timer:?} was not armed"
                );
            }
            Effect::Reply(request, reply) => self.answer(request, &reply),
            Effect::Down(key, availability) => self.down(key, availability),
            Effect::Forget(key) => {
                assert!(!self.is_alive(key), "forgotten alive: {key:?}");
                assert!(self.forgotten.insert(key), "forgotten twice: {key:?}");
            }
            Effect::Report(decision) => self.report(&decision),
            Effect::Ready => {
                assert!(
                    !self.is_ready && !self.is_ending,
                    "not the time to be ready"
                );
                self.is_ready = true;
            }
            Effect::BootFailed(..) => {
                assert!(!self.is_ready, "it had booted");
                self.end();
            }
            Effect::Exit(exit) => {
                assert!(matches!(exit, Exit::Shutdown(_)), "{exit:?}");
                self.end();
            }
        }
    }

    fn end(&mut self) {
        assert!(self.processes.is_empty(), "{:?} outlive it", self.processes);
        let is_armed = |timer: &Timer| matches!(timer, Timer::Armed(_));
        assert!(!self.timers.values().any(is_armed), "{:?}", self.timers);
        (self.is_ending, self.is_over) = (true, true);
    }

    fn is_alive(&self, key: ChildKey) -> bool {
        self.known.get(&key).is_some_and(|known| known.is_alive)
    }

    fn expect_alive(&self, key: ChildKey, incarnation: Incarnation) {
        let known = self.known.get(&key).expect("a child that was started");
        assert!(known.is_alive && known.incarnation == incarnation);
    }

    fn start(&mut self, key: ChildKey, incarnation: Incarnation, id: ChildId) {
        assert!(!self.is_ending, "started after the decision to end: {id}");
        assert!(!self.forgotten.contains(&key), "started forgotten: {id}");
        let same = |(other, _): &&(ChildKey, Incarnation)| self.ids[other] == id;
        assert!(
            !self.processes.keys().any(|one| same(&one)),
            "two live {id}"
        );
        let before = self.known.get(&key).map_or(0, |known| {
            assert!(!known.is_alive, "may be alive: {id}");
            known.incarnation.0
        });
        assert_eq!(incarnation.0, before + 1, "incarnations count");
        let known = Known {
            incarnation,
            is_alive: true,
            is_up: false,
        };
        self.ids.insert(key, id);
        self.known.insert(key, known);
        self.processes
            .insert((key, incarnation), Process::default());
    }

    fn answer(&mut self, request: RequestId, reply: &Reply) {
        let answers = self.answered.get_mut(&request).expect("a request");
        *answers += 1;
        assert_eq!(*answers, 1, "{request:?} was answered again: {reply:?}");
        if let Reply::Started(key, incarnation) = reply {
            self.expect_alive(*key, *incarnation);
        }
    }

    fn down(&mut self, key: ChildKey, availability: Availability) {
        assert!(!self.is_alive(key), "down, but alive: {key:?}");
        let returns = availability == Availability::Restarting;
        assert!(!(returns && self.is_ending), "{key:?} will not come back");
    }

    fn report(&mut self, decision: &Decision) {
        match decision {
            Decision::GaveUp(..) | Decision::AutoShutdown(_) => self.is_ending = true,
            Decision::Restarting { .. } => {
                self.restarts.push(self.now);
                self.check_intensity();
            }
            _ => {}
        }
    }

    /// Waits of a backoff do not count towards the period, which is another test's business.
    fn check_intensity(&self) {
        let from = self.now.saturating_sub(self.flags.intensity.within);
        let recent = self.restarts.iter().filter(|at| **at >= from).count();
        let allowed = self.flags.intensity.restarts as usize;
        assert!(
            self.has_backoff || recent <= allowed,
            "{recent} restarts, {allowed} allowed"
        );
    }

    fn check_rows(&self) {
        let rows = self.core.rows(self.now);
        for row in &rows {
            assert!(!self.forgotten.contains(&row.key), "{row:?} was forgotten");
            let known = self.known.get(&row.key);
            let (is_alive, is_up) = known.map_or((false, false), |one| (one.is_alive, one.is_up));
            assert_eq!(row.state.is_active(), is_alive, "{row:?}");
            assert!(row.state != ChildState::Running || is_up, "{row:?}");
            assert!(row.state != ChildState::Starting || !is_up, "{row:?}");
            assert_eq!(
                row.incarnation,
                known.map_or(Incarnation(0), |one| one.incarnation)
            );
        }
        let listed = rows.iter().filter(|row| row.state.is_active()).count();
        let alive = self.known.values().filter(|known| known.is_alive).count();
        assert_eq!(listed, alive, "a live child is not listed");
    }

    /// Nothing new happens; what is under way comes to its end.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.mailbox.is_empty() {
                self.deliver();
            } else if !self.obey() {
                let before = self.mailbox.len();
                self.fire();
                if self.mailbox.len() == before {
                    return;
                }
            }
        }
        panic!("it does not settle");
    }

    /// Whoever starts comes up, whoever is to end ends; whether there was anybody.
    fn obey(&mut self) -> bool {
        let acts = |(_, process): &(&_, &mut Process)| {
            !process.is_up || process.is_asked || process.is_killed
        };
        let Some((&(key, incarnation), process)) = self.processes.iter_mut().find(acts) else {
            return false;
        };
        if !process.is_up && !process.is_killed {
            process.is_up = true;
            self.send(Event::Started(key, incarnation));
            return true;
        }
        let exit = if process.is_killed {
            Exit::Killed
        } else {
            Exit::SHUTDOWN
        };
        self.processes.remove(&(key, incarnation));
        self.send(Event::Exited(key, incarnation, exit));
        true
    }

    fn check_settled(&self) {
        let unanswered = self.answered.values().filter(|answers| **answers != 1);
        assert_eq!(unanswered.count(), 0, "unanswered: {:?}", self.answered);
        assert_eq!(self.is_ending, self.is_over, "it does not come to its end");
        assert!(self.is_ready || self.is_over, "neither up nor gone");
        let rests = |state| matches!(state, ChildState::Running | ChildState::Stopped);
        for row in self.core.rows(self.now) {
            assert!(rests(row.state), "{row:?} hangs");
        }
    }

    /// Whatever still arrives, nothing follows but answers.
    fn check_aftermath(&mut self) {
        if !self.is_over {
            return;
        }
        self.request();
        self.send(Event::Stop);
        self.send(Event::Timer(TimerId(0)));
        let starts: Vec<_> = self
            .known
            .iter()
            .map(|(key, one)| (*key, one.incarnation))
            .collect();
        for (key, incarnation) in starts {
            self.send(Event::Exited(key, incarnation, Exit::Killed));
            self.send(Event::Started(key, incarnation));
        }
        while !self.mailbox.is_empty() {
            let event = self.mailbox.pop_front().expect("an event");
            for effect in self.core.apply(self.now, event) {
                self.perform(effect);
            }
        }
    }
}
