//! Plays a troupe of a seed to its end, through whatever goes wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use actors::journal::JournalError;
use actors::model::{Event, TaskId, TaskStatus};
use actors::provider::Provider;
use actors::system::{System, SystemError};
use actors::testing::sim::{Accident, Moments, Stage, settle};
use fastrand::Rng;

use super::trace::{Fact, Trace};
use super::troupe::{self, Habits, Troupe};
use super::{expect_panics, virtual_time};

/// How many lives a task may need.
const LIVES: u64 = 12;

/// What came of a seed.
pub(crate) struct Played {
    pub(crate) seed: u64,
    pub(crate) status: Option<TaskStatus>,
    pub(crate) events: Vec<Event>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) stage: Stage,
    pub(crate) moments: u64,
    pub(crate) tree_is_gone: bool,
}

/// The seeds that the tests of single promises look at.
const EXAMPLES: std::ops::Range<u64> = 10_000..10_120;

/// Some troupes, with accidents, played once.
pub(crate) fn examples() -> &'static [Played] {
    static PLAYED: LazyLock<Vec<Played>> =
        LazyLock::new(|| each(EXAMPLES, |seed| play(seed, accidents(seed))));
    &PLAYED
}

/// Does something for each seed, on all processors; the results in the order of the seeds.
pub(crate) fn each<R: Send>(
    seeds: std::ops::Range<u64>,
    work: impl Fn(u64) -> R + Send + Sync,
) -> Vec<R> {
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

/// What goes wrong in each life of the node.
pub(crate) fn accidents(seed: u64) -> Vec<Vec<(u64, Accident)>> {
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

/// The task, created unless it is there: a caller whose creation was cut off looks before it tries again.
async fn create(stage: &Stage, system: &System, seed: u64) -> TaskId {
    loop {
        if let Some(task) = stage.store_task().await {
            return task;
        }
        match system.create_task(troupe::task(stage, seed)).await {
            Ok(task) => return task,
            Err(SystemError::Journal(JournalError::Lost) | SystemError::Silent) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Lives with a task as a person would who answers what is asked, until it has ended.
async fn see_through(system: &System, id: TaskId, seed: u64) -> Option<TaskStatus> {
    let mut random = Rng::with_seed(seed ^ 0x40b0);
    for round in 0..20 {
        let status = settle(system, id, Duration::from_secs(900)).await;
        if status != Some(TaskStatus::NeedsAttention) {
            if status.is_none() {
                eprintln!("{}", system.tree().await);
            }
            return status;
        }
        tokio::time::sleep(Duration::from_secs(random.u64(1..30))).await;
        let answer = *random.choice(&["retry", "it was paid"]).expect("an answer");
        if round < 12 {
            let _ = system.answer(id, answer).await;
        } else {
            let _ = system.cancel(id, "it does not get any further").await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    system.task(id).await.ok().map(|row| row.status)
}

/// A stage for the troupe of a seed.
pub(crate) fn stage(seed: u64) -> Stage {
    let troupe: Arc<dyn Provider> = Arc::new(Troupe::new(seed, Habits::of(seed)));
    let stage = Stage::with_provider(troupe, seed);
    if !seed.is_multiple_of(4) {
        stage.manners.slow(seed, Duration::from_millis(40));
    }
    stage
}

/// Plays a seed with these accidents, those of each life of the node.
pub(crate) fn play(seed: u64, accidents: Vec<Vec<(u64, Accident)>>) -> Played {
    expect_panics();
    let stage = stage(seed);
    let trace = Trace::of(&stage);
    let mut plan = accidents.into_iter();
    let mut moments_passed = 0;
    for life in 0..LIVES {
        let moments = Moments::with(plan.next().unwrap_or_default());
        let mut stage = stage.clone();
        stage.seed = seed.wrapping_mul(31).wrapping_add(life);
        let lived = virtual_time(async {
            let work = async {
                let system = stage.open_with(&moments, |deps| trace.watch(deps)).await;
                let id = create(&stage, &system, seed).await;
                let status = see_through(&system, id, seed + life).await;
                system.shutdown().await;
                let tree = system.tree().await;
                (status, tree.children.is_empty(), id)
            };
            tokio::select! {
                biased;
                () = moments.power_off() => None,
                lived = work => Some(lived),
            }
        });
        moments_passed += moments.passed();
        if let Some((status, tree_is_gone, id)) = lived {
            return Played {
                seed,
                status,
                events: virtual_time(stage.journal(id)),
                facts: trace.all(),
                stage,
                moments: moments_passed,
                tree_is_gone,
            };
        }
    }
    panic!("no end after {LIVES} lives");
}

/// A journal in words.
pub(crate) fn text(events: &[Event]) -> String {
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(event).expect("json"));
    lines.collect::<Vec<_>>().join("\n")
}
