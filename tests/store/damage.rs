//! A damaged file is an error or has no effect; it is never data.

use std::path::Path;

use actors::store::{Append, Appended, EventQuery, Snapshot, Store, StoreError};
use actors::testing::conformance::store::draft::{
    append, blob, completed, created, fenced, note, of_run, queued, run, started, task, write,
};
use actors::testing::conformance::store::every_kind;
use actors::testing::conformance::store::state::{Names, State, of};
use fastrand::Rng;
use impresario::store::{Durability, Options, Sqlite};

const SEEDS: u64 = 200;

fn options(path: &Path) -> Options {
    Options {
        durability: Durability::Process,
        ..Options::new(path)
    }
}

/// A store with some of everything, and what to ask it for.
async fn make(path: &Path) -> Names {
    let store = Sqlite::open(options(path)).expect("the store opens");
    let mut names = Names::default();
    for n in 1..=12 {
        let drafts = vec![created(), queued(run(n)), started(run(n), 1)];
        let bytes = vec![b'a'; usize::try_from(n * 400).expect("a size")];
        names.blobs.push(blob(&bytes).hash);
        let blobs = vec![blob(&bytes)];
        write(
            &store,
            Append {
                blobs,
                ..append(task(n), drafts)
            },
        )
        .await;
        let said = every_kind()
            .into_iter()
            .filter(|it| it.kind().starts_with("tool_"));
        let drafts = said.map(|body| of_run(run(n), 1, body)).collect();
        write(&store, fenced(task(n), (run(n), 1), drafts)).await;
        write(
            &store,
            append(
                task(n),
                vec![note(&"text ".repeat(300)), completed(run(n), 1)],
            ),
        )
        .await;
        let (run, seq, body) = (run(n), 4, b"state ".repeat(100));
        store
            .put_snapshot(Snapshot { run, seq, body })
            .await
            .expect("a snapshot");
        names.tasks.push(task(n));
        names.runs.push(run);
    }
    store.close().await.expect("the store closes");
    names
}

/// What a store in these bytes answers, before an append, to it, and after it.
async fn ask(path: &Path, bytes: &[u8], names: &Names) -> Result<Answers, StoreError> {
    std::fs::write(path, bytes).expect("the file");
    let store = Sqlite::open(options(path))?;
    let before = of(&store, names, 7).await?;
    let said = append(task(3), vec![note("afterwards"), queued(run(100))]);
    let blobs = vec![blob(b"afterwards")];
    let answer = store.append(vec![Append { blobs, ..said }]).await?;
    Ok((before, answer, of(&store, names, 100).await?))
}

type Answers = (State, Appended, State);

#[derive(Debug, Default)]
struct Tally {
    found: usize,
    harmless: usize,
}

impl Tally {
    /// Damage was found or has no effect.
    fn count(&mut self, answers: Result<Answers, StoreError>, wanted: &Answers, how: &str) {
        match answers {
            Ok(answers) => {
                assert!(answers == *wanted, "{how}: other data without an error");
                self.harmless += 1;
            }
            Err(StoreError::Corrupt { .. }) => self.found += 1,
            Err(other) => panic!("{how}: {other:?}"),
        }
    }
}

fn overwrite(rng: &mut Rng, bytes: &mut [u8]) {
    for _ in 0..rng.usize(1..4) {
        let start = rng.usize(..bytes.len());
        let end = bytes.len().min(start + rng.usize(1..64));
        rng.fill(&mut bytes[start..end]);
    }
}

#[tokio::test]
async fn overwritten_bytes_never_become_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.db");
    let names = make(&path).await;
    let whole = std::fs::read(&path).expect("the file");
    let wanted = ask(&path, &whole, &names)
        .await
        .expect("nothing is damaged");
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let mut bytes = whole.clone();
        overwrite(&mut Rng::with_seed(seed), &mut bytes);
        tally.count(
            ask(&path, &bytes, &names).await,
            &wanted,
            &format!("seed {seed}"),
        );
    }
    assert!(tally.found > 100 && tally.harmless > 0, "{tally:?}");
}

#[tokio::test]
async fn a_file_that_was_cut_off_never_becomes_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.db");
    let names = make(&path).await;
    let whole = std::fs::read(&path).expect("the file");
    let wanted = ask(&path, &whole, &names)
        .await
        .expect("nothing is damaged");
    let mut tally = Tally::default();
    let mut rng = Rng::with_seed(1);
    for _ in 0..40 {
        let left = rng.usize(1..whole.len());
        let answers = ask(&path, &whole[..left], &names).await;
        tally.count(answers, &wanted, &format!("{left} bytes are left"));
    }
    assert_eq!(tally.found, 40);
}

#[tokio::test]
async fn damage_to_one_task_leaves_the_others_readable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.db");
    let names = make(&path).await;
    let conn = rusqlite::Connection::open(&path).expect("a connection");
    conn.execute_batch(
        "UPDATE events SET body = replace(body, 'text text', 'test text') WHERE task = 5",
    )
    .expect("the change");
    drop(conn);
    let store = Sqlite::open(options(&path)).expect("the rows of tasks and runs are in order");
    for (n, id) in (1..).zip(&names.tasks) {
        let query = EventQuery {
            task: *id,
            after: 0,
            limit: 100,
        };
        match store.events(query).await {
            Ok(events) => assert!(n != 5 && events.len() > 5),
            Err(StoreError::Corrupt { place, detail }) => {
                assert_eq!((Path::new(&place), n), (&*path, 5));
                let which = format!("event 9 of {id}: a row of `events` is not as it was written");
                assert_eq!(detail, which);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let found = store.check().await.expect_err("the check finds it");
    assert!(matches!(found, StoreError::Corrupt { .. }), "{found:?}");
    write(
        &store,
        append(task(5), vec![note("the task itself goes on")]),
    )
    .await;
}
