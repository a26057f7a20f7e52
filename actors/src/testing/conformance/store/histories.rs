//! Random histories: whatever is written, a store answers and shows what [`Memory`] does.

use fastrand::Rng;

use crate::model::{EventBody, RunId, TaskId, Timestamp};
use crate::store::{Append, Draft, Memory, RunRow, Snapshot, Store};

use super::draft::{
    append, blob, created, note, of_run, of_task, queued, restarted, run, started, task,
};
use super::state::{Names, of};
use super::{Named, Subject, bodies};

const BATCHES: usize = 40;

/// Writes the history of `seed` to a fresh store and to [`Memory`], reopening the store now and then, and compares every answer and
/// in the end everything there is.
///
/// # Panics
/// At the first difference.
pub async fn history<S: Subject>(subject: &S, seed: u64) {
    let _named = Named(format!("history of seed {seed}"));
    let mut history = History::new(seed);
    let mut store = subject.fresh().await;
    for _ in 0..BATCHES {
        let batch = history.batch().await;
        let wanted = history.memory.append(batch.clone()).await;
        assert_eq!(store.append(batch).await, wanted);
        let snapshot = history.snapshot();
        let wanted = history.memory.put_snapshot(snapshot.clone()).await;
        assert_eq!(store.put_snapshot(snapshot).await, wanted);
        if history.rng.u8(..10) == 0 {
            history.compare(&store).await;
            store = subject.reopen(store).await;
            history.compare(&store).await;
        }
    }
    history.compare(&store).await;
}

struct History {
    rng: Rng,
    memory: Memory,
    names: Names,
    now: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            memory: Memory::default(),
            names: Names {
                tasks: vec![task(0)],
                runs: vec![run(0)],
                blobs: vec![String::new()],
            },
            now: 1_700_000_000_000,
        }
    }

    async fn compare(&mut self, store: &dyn Store) {
        let page = self.rng.usize(1..50);
        let wanted = of(&self.memory, &self.names, 1_000).await;
        assert_eq!(of(store, &self.names, page).await, wanted);
    }

    async fn batch(&mut self) -> Vec<Append> {
        let mut batch = Vec::new();
        for _ in 0..self.rng.usize(..6) {
            let mut append = self.append().await;
            for draft in &mut append.drafts {
                self.garnish(draft);
            }
            if self.rng.u8(..8) == 0 {
                let bytes = bodies::text(&mut self.rng).into_bytes();
                append.blobs.push(blob(&bytes));
                self.names.blobs.push(blob(&bytes).hash);
            }
            batch.push(append);
        }
        batch
    }

    fn garnish(&mut self, draft: &mut Draft) {
        self.now += self.rng.u64(..1_000);
        draft.at = Timestamp(self.now);
        draft.cause = self.rng.bool().then(|| self.rng.u64(..50).into());
        draft.agent = match self.rng.u8(..4) {
            0 => None,
            1 => Some(bodies::text(&mut self.rng).as_str().into()),
            _ => draft.agent.take(),
        };
    }

    async fn append(&mut self) -> Append {
        match self.rng.u8(..10) {
            0..3 => self.new_task(),
            3..5 => self.new_run(),
            5..9 => self.of_known_run().await,
            _ => self.of_anything(),
        }
    }

    fn new_task(&mut self) -> Append {
        let (task, run) = (TaskId(self.uuid()), self.run());
        self.names.tasks.push(task);
        let drafts = [created(), queued(run), started(run, 1), note("go")];
        let length = self.rng.usize(1..=drafts.len());
        append(task, drafts[..length].to_vec())
    }

    fn new_run(&mut self) -> Append {
        let task = self.task();
        let drafts = [self.run(), self.run()].map(queued);
        append(task, drafts[..self.rng.usize(1..=2)].to_vec())
    }

    /// Events of a run under its present epoch, or nearly so.
    async fn of_known_run(&mut self) -> Append {
        let task = self.task();
        let runs = self.memory.runs(task).await.expect("memory never fails");
        let Some(row) = self.rng.choice(runs) else {
            return append(task, vec![self.task_event()]);
        };
        let mut drafts = Vec::new();
        for _ in 0..self.rng.usize(1..5) {
            drafts.push(self.event_of(&row));
        }
        let epoch = match self.rng.u8(..12) {
            0 => row.epoch + 1,
            1 => row.epoch.saturating_sub(1),
            _ => row.epoch,
        };
        Append {
            fence: (self.rng.u8(..4) > 0).then_some((row.id, epoch)),
            ..append(task, drafts)
        }
    }

    fn event_of(&mut self, row: &RunRow) -> Draft {
        match self.rng.u8(..10) {
            0 => restarted(row.id, row.epoch + self.rng.u64(..3)),
            1 => of_run(row.id, row.epoch, bodies::any(&mut self.rng)),
            _ => of_run(row.id, row.epoch, self.unremarkable()),
        }
    }

    /// An event that ends nothing, so that histories become long.
    fn unremarkable(&mut self) -> EventBody {
        loop {
            let body = bodies::any(&mut self.rng);
            let kind = body.kind();
            if kind.starts_with("tool") || kind.starts_with("model") || kind.contains("message") {
                return body;
            }
        }
    }

    fn task_event(&mut self) -> Draft {
        of_task(bodies::any(&mut self.rng))
    }

    fn of_anything(&mut self) -> Append {
        let (task, run) = (self.task(), self.rng.choice(self.names.runs.clone()));
        let drafts = (0..self.rng.usize(..4)).map(|_| match run {
            Some(run) if self.rng.bool() => of_run(run, 1, bodies::any(&mut self.rng)),
            _ => self.task_event(),
        });
        append(task, drafts.collect())
    }

    fn snapshot(&mut self) -> Snapshot {
        let runs = self.names.runs.clone();
        Snapshot {
            run: self.rng.choice(runs).unwrap_or(run(0)),
            seq: self.rng.u64(..20),
            body: bodies::text(&mut self.rng).into_bytes(),
        }
    }

    fn task(&mut self) -> TaskId {
        let recent = self.names.tasks.len().saturating_sub(4);
        bodies::pick(&mut self.rng, &self.names.tasks[recent..])
    }

    fn run(&mut self) -> RunId {
        let run = RunId(self.uuid());
        self.names.runs.push(run);
        run
    }

    fn uuid(&mut self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.rng.u128(..))
    }
}
