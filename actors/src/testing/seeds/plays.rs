//! Plays a troupe of a seed to its end, through whatever goes wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::person::Person;
use super::trace::{Fact, Trace};
use super::trial::Trial;
use super::troupe::{self, Troupe};
use super::{expect_panics, virtual_time};
use crate::fault::{Kind, Target};
use crate::journal::JournalError;
use crate::model::{Event, EventBody, TaskId, TaskStatus, Whom};
use crate::provider::Provider;
use crate::system::{System, SystemError};
use crate::testing::census::Census;
use crate::testing::sim::{Moments, Stage};

/// How many lives a task may need.
const LIVES: u64 = 12;

/// What came of a seed.
pub struct Played {
    /// Its seed.
    pub seed: u64,
    /// How its task stands at the end.
    pub status: Option<TaskStatus>,
    /// Its journal.
    pub events: Vec<Event>,
    /// What was really done.
    pub facts: Vec<Fact>,
    /// Where it was played.
    pub stage: Stage,
    /// How many moments passed.
    pub moments: u64,
    /// Whether nothing was left of the tree.
    pub tree_is_gone: bool,
    /// What befell it, and how often.
    pub census: BTreeMap<String, u64>,
}

/// Does something for each seed, on all processors; the results in the order of the seeds.
pub fn each<R: Send>(seeds: std::ops::Range<u64>, work: impl Fn(u64) -> R + Send + Sync) -> Vec<R> {
    let (next, done) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| seeds.contains(seed))
                {
                    let result = work(seed);
                    done.lock().expect("not poisoned").push((seed, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("not poisoned");
    done.sort_by_key(|(seed, _)| *seed);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The task, created unless it is there: a caller whose creation was cut off looks before it tries again.
async fn create(stage: &Stage, system: &System, trial: &Trial) -> TaskId {
    loop {
        if let Some(task) = stage.store_task().await {
            return task;
        }
        let mut task = troupe::task(stage, trial.seed);
        trial.tighten(&mut task);
        match system.create_task(task).await {
            Ok(task) => return task,
            Err(
                SystemError::Journal(JournalError::Lost | JournalError::Store(_))
                | SystemError::Silent,
            ) => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A stage for the troupe of a seed.
#[must_use]
pub fn stage(trial: &Trial, census: &Census) -> Stage {
    let seed = trial.seed;
    let troupe: Arc<dyn Provider> = Arc::new(Troupe::new(seed, trial.habits, census.clone()));
    let stage = Stage::with_provider(troupe, seed);
    if !seed.is_multiple_of(4) {
        stage.manners.slow(seed, Duration::from_millis(40));
    }
    stage
}

/// One life of the node.
struct Life<'a> {
    trial: &'a Trial,
    nth: u64,
    stage: Stage,
    trace: &'a Trace,
    moments: Moments,
}

/// What came of a life that was not cut off: how the task stands, whether the tree is gone, and which task it is.
type Lived = (Option<TaskStatus>, bool, TaskId);

/// How long one life may last.
const LONG: Duration = Duration::from_secs(6 * 3_600);

/// How long a node may take to stop.
const STOPPED: Duration = Duration::from_secs(600);

impl Life<'_> {
    /// `None` if it is gone on with in another life.
    async fn live(&self) -> Option<Lived> {
        tokio::select! {
            biased;
            () = self.moments.power_off() => None,
            lived = self.open() => lived,
        }
    }

    async fn open(&self) -> Option<Lived> {
        let moments = self.moments.clone();
        let change = |deps: &mut crate::system::Deps| {
            self.trace.watch(deps);
            deps.faults = self.trial.faults.clone();
            deps.end_node = Some(Arc::new(move |_| moments.cut_power()));
        };
        let system = self.stage.open_with(&self.moments, change).await;
        let ended = tokio::select! {
            biased;
            () = self.dead_store() => None,
            _ = system.ended() => {
                self.moments.census().note("the node gave up");
                None
            }
            ended = self.work(&system) => Some(ended),
        };
        let stopped = tokio::time::timeout(STOPPED, system.shutdown()).await;
        assert!(stopped.is_ok(), "the node does not stop within {STOPPED:?}");
        let is_gone = system.tree().await.children.is_empty();
        let (status, task) = ended?;
        Some((status, is_gone, task))
    }

    /// Its operator notices after a while.
    async fn dead_store(&self) {
        self.moments.store_died().await;
        let mut random = fastrand::Rng::with_seed(self.trial.seed);
        tokio::time::sleep(Duration::from_millis(random.u64(0..60_000))).await;
    }

    async fn work(&self, system: &System) -> (Option<TaskStatus>, TaskId) {
        let task = create(&self.stage, system, self.trial).await;
        let person = Person {
            system,
            task,
            trace: self.trace,
            census: self.moments.census(),
            in_flight: in_flight(self.trial),
        };
        let acts = async {
            match self.nth {
                0 => person.act(&self.trial.wishes).await,
                // Whoever paused something does not remember it.
                _ => person.resume(Whom::Task).await,
            }
            std::future::pending::<()>().await;
        };
        let seen = async {
            let status = person.see_through(self.trial.seed + self.nth).await;
            if status.is_none() && self.moments.is_store_dead() {
                std::future::pending::<()>().await;
            }
            // A node without a task would be ended anew in each of its lives.
            let mut faults = self.trial.faults.0.iter();
            let is_quiet = faults.all(|fault| fault.target != Target::Node);
            if is_quiet && status.is_some_and(TaskStatus::is_terminal) {
                person.nothing_begins().await;
            }
            status
        };
        tokio::select! {
            biased;
            status = seen => (status, task),
            () = acts => (None, task),
        }
    }
}

/// Whether faults may keep back what was begun on its way to a model, to a tool.
fn in_flight(trial: &Trial) -> (bool, bool) {
    let delays = |to: fn(&Target) -> bool| {
        let mut faults = trial.faults.0.iter();
        faults.any(|fault| to(&fault.target) && matches!(fault.kind, Kind::Delay(_)))
    };
    let model = delays(|target| matches!(target, Target::Provider(_)));
    (
        model,
        delays(|target| matches!(target, Target::Executor(_))),
    )
}

/// Plays a trial to its end.
///
/// # Panics
/// When it does not come to an end, or a promise is broken meanwhile.
#[must_use]
pub fn play(trial: &Trial) -> Played {
    expect_panics();
    let (seed, census) = (trial.seed, Census::default());
    let stage = stage(trial, &census);
    let trace = Trace::of(&stage);
    let mut plan = trial.lives.iter().cloned();
    let mut moments_passed = 0;
    for nth in 0..LIVES {
        let moments = Moments::with(plan.next().unwrap_or_default());
        let mut stage = stage.clone();
        stage.seed = seed.wrapping_mul(31).wrapping_add(nth);
        let life = Life {
            trial,
            nth,
            stage,
            trace: &trace,
            moments,
        };
        let lived = virtual_time(async { tokio::time::timeout(LONG, life.live()).await });
        let lived = lived.unwrap_or_else(|_| {
            let so_far = so_far(&life.stage);
            panic!("it goes on for more than {LONG:?}:\n{so_far}")
        });
        moments_passed += life.moments.passed();
        census.add(&life.moments.census().all());
        if let Some((status, tree_is_gone, id)) = lived {
            let events = virtual_time(life.stage.journal(id));
            count(&census, &events);
            return Played {
                seed,
                status,
                events,
                facts: trace.all(),
                stage: life.stage,
                moments: moments_passed,
                tree_is_gone,
                census: census.all(),
            };
        }
    }
    panic!("no end after {LIVES} lives:\n{}", so_far(&stage));
}

/// The journal of a play that does not come to its end.
fn so_far(stage: &Stage) -> String {
    virtual_time(async {
        match stage.store_task().await {
            Some(task) => text(&stage.journal(task).await),
            None => "there is no task".to_owned(),
        }
    })
}

/// What the journal says of what befell.
fn count(census: &Census, events: &[Event]) {
    for event in events {
        match &event.body {
            EventBody::FaultInjected { target, fault, .. } => {
                let place = target.split(':').next().unwrap_or_default();
                let kind = fault.split(' ').next().unwrap_or_default();
                census.note(format!("fault: {kind} of {place}"));
            }
            EventBody::RunQueued { spec } => census.note(format!("run at depth {}", spec.depth)),
            body if COUNTED.contains(&body.kind()) => {
                census.note(format!("event: {}", body.kind()))
            }
            _ => {}
        }
    }
}

/// The events that say that something befell.
const COUNTED: [&str; 17] = [
    "task_completed",
    "task_failed",
    "task_cancelled",
    "task_needs_attention",
    "run_retrying",
    "run_restarted",
    "run_quarantined",
    "run_cancelled",
    "run_failed",
    "tool_call_in_doubt",
    "tool_call_late",
    "budget_exceeded",
    "supervisor_restart",
    "supervisor_gave_up",
    "topology_changed",
    "model_call_interrupted",
    "alert",
];

/// A journal in words.
pub fn text(events: &[Event]) -> String {
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(event).expect("json"));
    lines.collect::<Vec<_>>().join("\n")
}
