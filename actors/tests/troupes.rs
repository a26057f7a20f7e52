//! Teams and accidents drawn from seeds. `TROUPE=17 cargo test -p impresario-actors --test it seeds` plays one of them and shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::journal::JournalError;
use actors::model::{Event, TaskId, TaskStatus};
use actors::provider::Provider;
use actors::system::{System, SystemError};
use actors::testing::recorder::Requests;
use actors::testing::sim::{Accident, Moments, Stage, settle};
use fastrand::Rng;

use crate::support::requests::{Record, every_answer_was_to_the_right_request};
use crate::support::troupe::{self, Habits, Troupe};
use crate::support::{check, virtual_time};

/// How many seeds are played in an ordinary run.
const TROUPES: u64 = 1_000;

/// How many lives a task may need.
const LIVES: u64 = 12;

struct Played {
    status: Option<TaskStatus>,
    events: Vec<Event>,
    stage: Stage,
    requests: Requests,
    moments: u64,
    tree_is_gone: bool,
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

fn play(seed: u64) -> Played {
    let requests = Requests::default();
    let habits = Habits {
        failures: !seed.is_multiple_of(3),
        trouble: seed.is_multiple_of(2),
    };
    let troupe: Arc<dyn Provider> = Arc::new(Troupe::new(seed, habits));
    let stage = Stage::with_provider(requests.before(troupe), seed);
    if !seed.is_multiple_of(4) {
        stage.manners.slow(seed, Duration::from_millis(40));
    }
    let mut plan = accidents(seed).into_iter();
    let mut moments_passed = 0;
    for life in 0..LIVES {
        let moments = Moments::with(plan.next().unwrap_or_default());
        let mut stage = stage.clone();
        stage.seed = seed.wrapping_mul(31).wrapping_add(life);
        let lived = virtual_time(async {
            let work = async {
                let system = stage.open(&moments).await;
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
            let events = virtual_time(stage.journal(id));
            return Played {
                status,
                events,
                stage,
                requests,
                moments: moments_passed,
                tree_is_gone,
            };
        }
    }
    panic!("no end after {LIVES} lives");
}

fn text(events: &[Event]) -> String {
    let lines = events
        .iter()
        .map(|event| serde_json::to_string(event).expect("json"));
    lines.collect::<Vec<_>>().join("\n")
}

fn check(seed: u64) -> u64 {
    let played = play(seed);
    assert!(
        played.status.is_some_and(TaskStatus::is_terminal),
        "it ended {:?}\n{}",
        played.status,
        text(&played.events)
    );
    assert!(played.tree_is_gone, "something is left of the tree");
    virtual_time(async {
        check::journal(&played.stage.store, &played.events).await;
        let record = Record::new(&played.events, &*played.stage.store).await;
        every_answer_was_to_the_right_request(&record, &played.requests.all());
    });
    check::payments(&played.events, &played.stage.outside);
    if seed.is_multiple_of(8) {
        let again = play(seed);
        similar_asserts(&text(&played.events), &text(&again.events));
    }
    played.moments
}

fn similar_asserts(first: &str, second: &str) {
    if first == second {
        return;
    }
    let differing = first.lines().zip(second.lines()).position(|(a, b)| a != b);
    let at = differing.unwrap_or(first.lines().count().min(second.lines().count()));
    panic!(
        "the same seed gave another journal from event {}:\n{:?}\n{:?}",
        at + 1,
        first.lines().nth(at),
        second.lines().nth(at)
    );
}

#[test]
fn whatever_happens_a_task_comes_to_its_end_and_the_journal_is_true() {
    std::panic::set_hook(Box::new(|_| {}));
    if let Ok(seed) = std::env::var("TROUPE") {
        let _ = std::panic::take_hook();
        let seed = seed.parse().expect("a seed is a number");
        println!("{:?}", accidents(seed));
        println!("{}", text(&play(seed).events));
        check(seed);
        return;
    }
    let seeds = std::env::var("TROUPES").map_or(TROUPES, |seeds| seeds.parse().expect("a number"));
    let (next, moments) = (AtomicU64::new(0), AtomicU64::new(0));
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match std::panic::catch_unwind(|| check(seed)) {
                        Ok(passed) => drop(moments.fetch_add(passed, Ordering::Relaxed)),
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned();
                            let text = text.unwrap_or_else(|| "?".to_owned());
                            failed.lock().expect("not poisoned").push((seed, text));
                        }
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("not poisoned");
    failed.sort();
    println!("{seeds} seeds, {} moments", moments.into_inner());
    for (seed, text) in failed.iter().take(40) {
        println!(
            "TROUPE={seed}: {}",
            text.chars().take(600).collect::<String>()
        );
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed",
        failed.len()
    );
}
