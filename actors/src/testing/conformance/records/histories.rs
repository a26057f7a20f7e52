//! Random histories: whatever is changed, a store answers and shows what [`Memory`] does.

use fastrand::Rng;

use crate::model::{EventBody, Seq, TaskId, TaskStatus, Timestamp};
use crate::store::{Announce, Append, Memory, Put, RecordQuery, Records, TaskQuery};
use crate::testing::conformance::store::draft::{append, blob, note, of_task, run, task};
use crate::testing::conformance::store::state::{Names, of};
use crate::testing::conformance::store::{Named, Subject};

use super::outbox::{announced, only};
use super::removal::result;
use super::tasks::standing;
use super::{Both, put};

const STEPS: usize = 120;

/// So few of each that they meet.
const TASKS: u128 = 8;
const KEYS: [&str; 6] = ["a", "a/1", "a/2", "b", "\u{e4}", "\u{1}0"];

/// Does what `seed` says to a fresh store and to [`Memory`], reopening the store now and then, and compares every answer and in the end
/// everything there is.
///
/// # Panics
/// At the first difference.
pub async fn history<S: Subject<Store: Records>>(subject: &S, seed: u64) {
    let _named = Named(format!("history of records, seed {seed}"));
    let mut rng = Rng::with_seed(seed);
    let memory = Memory::default();
    let mut store = subject.fresh().await;
    let mut seen = Seen::default();
    for _ in 0..STEPS {
        let what = rng.u64(..);
        let wanted = step(&memory, &mut Rng::with_seed(what), &mut seen.memory).await;
        let found = step(&store, &mut Rng::with_seed(what), &mut seen.store).await;
        assert_eq!(found, wanted);
        if rng.u8(..30) == 0 {
            store = subject.reopen(store).await;
            // What is to be announced is forgotten.
            memory.announce(Announce::Nothing);
            store.announce(Announce::Nothing);
        }
    }
    let (found, wanted) = (everything(&store).await, everything(&memory).await);
    assert!(found == wanted, "{found}\n\n{wanted}");
}

/// How far each outbox was read.
#[derive(Default)]
struct Seen {
    memory: u64,
    store: u64,
}

/// One thing that is asked for, and the answer in words. Positions may differ from store to store.
async fn step(store: &dyn Both, rng: &mut Rng, seen: &mut u64) -> String {
    match rng.u8(..20) {
        0..6 => format!("{:?}", store.put_records(puts(rng)).await),
        6..8 => format!("{:?}", store.records(record_query(rng)).await),
        8..13 => format!("{:?}", store.append(batch(rng)).await),
        13 => {
            store.announce(announce(rng));
            String::new()
        }
        14 => {
            let found = announced(store, *seen, rng.usize(1..5)).await;
            *seen = found.last().map_or(*seen, |it| it.position);
            let places: Vec<_> = found.iter().map(|it| (it.task, it.seq)).collect();
            format!("{places:?}")
        }
        15 => format!("{:?}", store.forget_announced(*seen).await),
        16 | 17 => format!("{:?}", store.remove_task(some_task(rng)).await),
        _ => format!("{:?}", store.page_of_tasks(task_query(rng)).await),
    }
}

fn some_task(rng: &mut Rng) -> TaskId {
    task(rng.u128(1..=TASKS))
}

fn puts(rng: &mut Rng) -> Vec<Put> {
    let count = rng.usize(..4);
    (0..count).map(|_| some_put(rng)).collect()
}

fn some_put(rng: &mut Rng) -> Put {
    let key = rng.choice(KEYS).unwrap_or_default();
    let kind = ["one", "two"][rng.usize(..2)];
    let mut change = put(kind, key, rng.u8(..));
    change.at = Timestamp(rng.u64(..));
    change.expected = (rng.u8(..3) == 0).then(|| rng.u64(..4));
    change.body = change.body.filter(|_| rng.u8(..4) > 0);
    change
}

fn record_query(rng: &mut Rng) -> RecordQuery {
    RecordQuery {
        kind: ["one", "two"][rng.usize(..2)].to_owned(),
        prefix: ["", "a", "a/", "b"][rng.usize(..4)].to_owned(),
        after: ["", "a", "a/1", "b"][rng.usize(..4)].to_owned(),
        limit: rng.usize(..5),
    }
}

fn announce(rng: &mut Rng) -> Announce {
    match rng.u8(..4) {
        0 => Announce::Nothing,
        1 => only(&["task_created", "task_completed"]),
        2 => only(&["task_message"]),
        _ => Announce::Everything,
    }
}

fn batch(rng: &mut Rng) -> Vec<Append> {
    let count = rng.usize(1..4);
    (0..count).map(|_| some_append(rng)).collect()
}

fn some_append(rng: &mut Rng) -> Append {
    let n = rng.u128(1..=TASKS);
    let large = blob(&[rng.u8(..3); 20]);
    let reason = String::new();
    match rng.u8(..8) {
        0 | 1 => standing(n, ["one", "two"][rng.usize(..2)], status(rng)),
        2 => append(task(n), vec![of_task(EventBody::TaskCancelled { reason })]),
        3 => append(task(n), vec![note("hear"), note("hear")]),
        // Refused where the task has no such run, with what stands before it.
        4 => append(task(n), vec![note("lost?"), result(run(n), &large)]),
        _ => Append {
            blobs: vec![large.clone()],
            ..append(task(n), begun(n, result(run(n), &large)))
        },
    }
}

fn begun(n: u128, then: crate::store::Draft) -> Vec<crate::store::Draft> {
    use crate::testing::conformance::store::draft::{created, queued, started};
    vec![created(), queued(run(n)), started(run(n), 1), then]
}

fn status(rng: &mut Rng) -> TaskStatus {
    TaskStatus::ALL[rng.usize(..5)]
}

fn task_query(rng: &mut Rng) -> TaskQuery {
    let project = ["one", "two", "default"][rng.usize(..3)];
    TaskQuery {
        project: rng.bool().then(|| project.to_owned()),
        statuses: (0..rng.usize(..3)).map(|_| status(rng)).collect(),
        after: rng.bool().then(|| some_task(rng)),
        newest_first: rng.bool(),
        limit: rng.usize(..6),
    }
}

async fn everything(store: &dyn Both) -> String {
    let names = Names {
        tasks: (1..=TASKS).map(task).collect(),
        runs: (1..=TASKS).map(run).collect(),
        blobs: (0..3).map(|n| blob(&[n; 20]).hash).collect(),
    };
    let state = of(store, &names, 100).await;
    let mut kept = Vec::new();
    for kind in ["one", "two"] {
        kept.push(super::all(store, kind).await);
    }
    let outbox: Vec<(TaskId, Seq)> = super::outbox::places(store).await;
    format!("{state:#?}\n{kept:#?}\n{outbox:#?}")
}
