//! The world around a core: processes, timers, and a mailbox.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use supervision::restart::{
    ChildKey, Core, Event, Incarnation, Request, RequestId, Target, TimerId,
};
use supervision::{ChildId, Exit, Flags, Plan};

use super::{NEEDS, plan};

/// One life, as it really is.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) is_up: bool,
    pub(super) is_asked: bool,
    pub(super) is_killed: bool,
}

/// What the core has been told of a child's newest life, and nothing it could not know.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) incarnation: Incarnation,
    pub(super) is_alive: bool,
    pub(super) is_up: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Timer {
    Armed(Duration),
    Fired,
    Done,
}

pub(super) struct World<C> {
    pub(super) seed: u64,
    pub(super) random: fastrand::Rng,
    pub(super) core: C,
    pub(super) flags: Flags,
    /// Whom requests name here: ids, or keys.
    pub(super) targets: Target,
    pub(super) now: Duration,
    pub(super) processes: BTreeMap<(ChildKey, Incarnation), Process>,
    pub(super) known: BTreeMap<ChildKey, Known>,
    pub(super) ids: HashMap<ChildKey, ChildId>,
    pub(super) forgotten: HashSet<ChildKey>,
    pub(super) timers: BTreeMap<TimerId, Timer>,
    pub(super) mailbox: VecDeque<Event<()>>,
    pub(super) answered: HashMap<RequestId, u32>,
    pub(super) restarts: Vec<Duration>,
    pub(super) has_backoff: bool,
    /// Restarts that are forgiven to single children, all together.
    pub(super) budgets: usize,
    /// Those that were given up and still run.
    pub(super) lost: Vec<(ChildKey, Incarnation)>,
    /// What is not available.
    pub(super) missing: BTreeSet<&'static str>,
    /// From here on nobody hangs.
    pub(super) is_settling: bool,
    pub(super) is_ready: bool,
    /// From here on nothing may be started.
    pub(super) is_ending: bool,
    pub(super) is_over: bool,
    pub(super) stop_was_asked: bool,
    pub(super) history: Vec<Event<()>>,
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
    pub(super) fn new(
        seed: u64,
        random: fastrand::Rng,
        core: C,
        flags: Flags,
        targets: Target,
    ) -> Self {
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
            budgets: 0,
            lost: Vec::new(),
            missing: BTreeSet::new(),
            is_settling: false,
            is_ready: false,
            is_ending: false,
            is_over: false,
            stop_was_asked: false,
            history: Vec::new(),
        };
        let rows = world.core.rows(Duration::ZERO);
        for row in rows {
            let plan = world.core.plan(row.key).expect("a plan").clone();
            world.meet(&plan);
        }
        world
    }

    fn meet(&mut self, plan: &Plan) {
        self.has_backoff |= plan.backoff.is_some();
        self.budgets += plan.budget.map_or(0, |budget| budget.restarts as usize);
    }

    /// How many events there were.
    pub(super) fn run(mut self) -> usize {
        for _ in 0..self.random.u32(5..60) {
            match self.random.u32(0..20) {
                0..10 => self.deliver(),
                10..14 => self.befall(),
                14 => self.come_or_go(),
                15..17 => self.fire(),
                17..19 => self.request(),
                _ if self.random.u32(0..4) == 0 => self.send(Event::Stop),
                _ => self.now += Duration::from_millis(self.random.u64(0..1500)),
            }
        }
        self.settle();
        self.check_settled();
        self.check_aftermath();
        self.history.len()
    }

    pub(super) fn send(&mut self, event: Event<()>) {
        self.mailbox.push_back(event);
    }

    /// Something that children may depend on comes or goes.
    fn come_or_go(&mut self) {
        let need = NEEDS[self.random.usize(0..NEEDS.len())];
        let is_there = self.missing.remove(need);
        if !is_there {
            self.missing.insert(need);
        }
        self.send(Event::Need(need.into(), is_there));
    }

    /// One that was given up ends after all.
    fn lost_ends(&mut self) {
        if let Some((key, incarnation)) = self.lost.pop() {
            self.send(Event::Exited(key, incarnation, Exit::Killed));
        }
    }

    /// Something happens to one of the processes.
    fn befall(&mut self) {
        if self.random.u32(0..8) == 0 {
            return self.lost_ends();
        }
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

    pub(super) fn request(&mut self) {
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
                self.meet(&plan);
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
            Event::StartFailed(key, incarnation, _)
            | Event::Declined(key, incarnation)
            | Event::Exited(key, incarnation, _) => {
                let known = self.known.get_mut(key).expect("a child that was started");
                if known.incarnation == *incarnation {
                    (known.is_alive, known.is_up) = (false, false);
                }
            }
            Event::Timer(timer) => {
                self.timers.insert(*timer, Timer::Done);
            }
            Event::Stop => {
                self.is_ending = true;
                self.stop_was_asked = true;
            }
            Event::Boot
            | Event::Request(..)
            | Event::Need(..)
            | Event::Vitals(..)
            | Event::Leave(..) => {}
        }
    }

    /// Nothing new happens; what is under way comes to its end.
    fn settle(&mut self) {
        for need in std::mem::take(&mut self.missing) {
            self.send(Event::Need(need.into(), true));
        }
        self.is_settling = true;
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
}
