//! What befalls a seed, drawn from it: accidents at moments, faults at times and events, what people do, and how little is allowed.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Map, json};

use super::person::Wish;
use super::troupe::{AGENTS, Habits};
use crate::fault::plan::SUPERVISORS;
use crate::fault::{Fault, FaultPlan, Kind, Target, When};
use crate::model::budget::OnExceeded;
use crate::model::{AgentSpec, Budget, TaskDefinition};
use crate::testing::moments::Accident;

/// Everything that befalls one seed.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The seed.
    pub seed: u64,
    /// How the models behave.
    pub habits: Habits,
    /// What goes wrong in each life of the node, by moment.
    pub lives: Vec<Vec<(u64, Accident)>>,
    /// What is played by the system itself.
    pub faults: FaultPlan,
    /// What people do, each so long after the start of the first life.
    pub wishes: Vec<(Duration, Wish)>,
    /// Whether budgets and times are short.
    pub is_tight: bool,
}

impl Trial {
    /// Crashes, kills and power failures alone.
    #[must_use]
    pub fn plain(seed: u64) -> Self {
        Self {
            lives: accidents(seed),
            ..Self::calm(seed)
        }
    }

    /// Nothing at all.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            habits: Habits::of(seed),
            lives: Vec::new(),
            faults: FaultPlan::default(),
            wishes: Vec::new(),
            is_tight: false,
        }
    }

    /// Everything that there is.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x7214);
        let mut trial = Self::plain(seed);
        let is_even = trial.habits.is_even();
        trial.habits.wild = trial.habits.failures && random.bool();
        for _ in 0..random.usize(0..4) {
            trial.disturb(&mut random, is_even);
        }
        for _ in 0..random.usize(0..4) {
            trial.faults.0.push(fault(&mut random, is_even));
        }
        for _ in 0..random.usize(0..4) {
            let at = Duration::from_millis(random.u64(0..3_000));
            trial.wishes.push((at, Wish::drawn(&mut random, is_even)));
        }
        trial.wishes.sort_by_key(|(at, _)| *at);
        trial.is_tight = !is_even && random.u8(0..4) == 0;
        trial
    }

    /// One more accident, of the store or of a machine.
    fn disturb(&mut self, random: &mut Rng, is_even: bool) {
        let moment = random.u64(1..160);
        let second = |n| Duration::from_millis(n);
        let accident = match random.u8(0..8) {
            0..2 => Accident::Full(second(random.u64(1..30_000))),
            2..4 => Accident::FailedSync,
            4 => Accident::StoreDies {
                written: random.bool(),
            },
            5 if !is_even => Accident::Unplug(None),
            _ => Accident::Unplug(Some(second(random.u64(1..8_000)))),
        };
        let nth = random.usize(..self.lives.len());
        self.lives[nth].push((moment, accident));
        if matches!(accident, Accident::StoreDies { .. }) {
            self.lives.insert(nth + 1, Vec::new());
        }
    }

    /// Makes a task so tight as the trial has it.
    pub fn tighten(&self, task: &mut TaskDefinition) {
        let mut random = Rng::with_seed(self.seed ^ 0x7164);
        let strikes = |fault: &Fault| {
            fault.kind == Kind::Hang && matches!(fault.target, Target::Agent(_) | Target::Run(_))
        };
        let hangs = self.faults.0.iter().any(strikes);
        let is_watched = hangs || (self.habits.wild && random.bool());
        for agent in task.agents.values_mut() {
            let after = Duration::from_millis(random.u64(2_000..15_000));
            agent.hang_after = is_watched.then_some(after);
            if self.is_tight {
                tighten(&mut random, agent);
            }
        }
        if self.is_tight && random.bool() {
            task.limits.budget = budget(&mut random, 3);
        }
    }
}

fn tighten(random: &mut Rng, agent: &mut AgentSpec) {
    agent.settings = Map::from_iter([("max_tokens".to_owned(), json!(50))]);
    if random.bool() {
        agent.budget = budget(random, 1);
    }
    agent.on_exceeded = match random.u8(0..3) {
        0 => Some(OnExceeded::Ask),
        1 => Some(OnExceeded::Fail),
        _ => None,
    };
    agent.run_timeout_ms = (random.u8(0..4) == 0).then(|| random.u64(200..20_000));
}

fn budget(random: &mut Rng, times: u64) -> Budget {
    match random.u8(0..3) {
        0 => Budget {
            tokens: Some(random.u64(200..3_000) * times),
            ..Budget::default()
        },
        1 => Budget {
            cost_usd_micros: Some(random.u64(200..4_000) * times),
            ..Budget::default()
        },
        _ => Budget {
            turns: Some(random.u64(1..6) * times),
            ..Budget::default()
        },
    }
}

/// What goes wrong in each life of the node.
fn accidents(seed: u64) -> Vec<Vec<(u64, Accident)>> {
    let mut random = Rng::with_seed(seed ^ 0xacc1);
    let mut lives = vec![Vec::new()];
    for _ in 0..random.usize(1..5) {
        let moment = random.u64(1..160);
        let accident = match random.u8(0..8) {
            0..3 => Accident::Crash,
            3 => Accident::PowerOff,
            _ => Accident::Kill(random.u64(..)),
        };
        let last = lives.last_mut().expect("a life");
        last.push((moment, accident));
        if accident == Accident::PowerOff {
            lives.push(Vec::new());
        }
    }
    lives
}

/// The types of events that faults follow upon.
const EVENTS: [&str; 8] = [
    "run_queued",
    "run_started",
    "model_call_started",
    "model_call_completed",
    "tool_call_started",
    "tool_call_completed",
    "task_message",
    "run_completed",
];

fn fault(random: &mut Rng, is_even: bool) -> Fault {
    let (target, kind) = loop {
        let target = target(random);
        let word = *random.choice(target.kinds()).expect("a kind");
        let kind = kind(random, word);
        if !is_even || is_harmless(&target, kind) {
            break (target, kind);
        }
    };
    let when = when(random, &target, kind);
    Fault {
        target,
        kind,
        when,
        seed: random.u64(..),
    }
}

/// Whether all ends as it would have without it.
fn is_harmless(target: &Target, kind: Kind) -> bool {
    match target {
        Target::Agent(_) | Target::Run(_) => kind != Kind::Hang,
        Target::Supervisor(_) | Target::Node | Target::Link(..) => true,
        Target::Provider(_) => matches!(kind, Kind::Delay(_)),
        Target::Executor(_) => matches!(kind, Kind::Duplicate | Kind::Disconnect),
    }
}

fn target(random: &mut Rng) -> Target {
    let name = |random: &mut Rng| match random.bool() {
        true => "*".to_owned(),
        false => (*random.choice(&AGENTS).expect("an agent")).to_owned(),
    };
    match random.u8(0..10) {
        0 => Target::Agent(name(random)),
        1 => Target::Run("*".to_owned()),
        2..5 => Target::Provider("stage".to_owned()),
        5..7 => Target::Executor("*".to_owned()),
        7 => Target::Link(name(random), name(random)),
        8 => Target::Supervisor((*random.choice(SUPERVISORS).expect("one")).to_owned()),
        _ => Target::Node,
    }
}

fn kind(random: &mut Rng, word: &str) -> Kind {
    match word {
        "panic" => Kind::Panic,
        "kill" => Kind::Kill,
        "hang" => Kind::Hang,
        "drop" => Kind::Drop,
        "duplicate" => Kind::Duplicate,
        "corrupt" => Kind::Corrupt,
        "error" => Kind::Error,
        "disconnect" => Kind::Disconnect,
        _ => Kind::Delay(Duration::from_millis(random.u64(1..4_000))),
    }
}

/// For how many milliseconds a node lives at least: one that is ended before it has written anything gets no further in any life.
const ALIVE: u64 = 50;

fn when(random: &mut Rng, target: &Target, kind: Kind) -> When {
    // What strikes an actor again and again keeps a run from ever getting any further.
    let is_actor = matches!(target, Target::Agent(_) | Target::Run(_));
    let is_passed = !matches!(target, Target::Supervisor(_) | Target::Node) && kind != Kind::Kill;
    match random.u8(0..4) {
        0 => {
            let least = if *target == Target::Node { ALIVE } else { 0 };
            When::At(Duration::from_millis(random.u64(0..2_000).max(least)))
        }
        1 if is_passed => When::Chance(f64::from(random.u8(1..20)) / 100.0),
        2 if is_passed && !is_actor => When::Every(Duration::from_millis(random.u64(300..5_000))),
        _ => When::On {
            event: (*random.choice(&EVENTS).expect("an event")).to_owned(),
            nth: Some(random.u64(1..8)),
        },
    }
}
