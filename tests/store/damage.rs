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

const SEEDS: u64 = 120;

fn options(path: &Path) -> Options {
    Options {
        durability: Durability::Process,
        ..Options::new(path)
    }
}

const TASKS: u128 = 12;

fn snapshot(n: u128) -> Snapshot {
    Snapshot {
        run: run(n),
        seq: 4,
        body: b"state ".repeat(100),
    }
}

/// A store with some of everything, and what to ask it for.
async fn make(path: &Path) -> Names {
    let store = Sqlite::open(options(path)).expect("the store opens");
    let mut names = Names::default();
    for n in 1..=TASKS {
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
        store.put_snapshot(snapshot(n)).await.expect("a snapshot");
        names.tasks.push(task(n));
    }
    store.close().await.expect("the store closes");
    names
}

/// What a store in these bytes answers, before an append, to it, and after it.
async fn ask(path: &Path, bytes: &[u8], names: &Names) -> Result<Answers, StoreError> {
    std::fs::write(path, bytes).expect("the file");
    let store = Sqlite::open(options(path))?;
    let before = of(&store, names, 7).await?;
    for n in 1..=TASKS {
        // A lost snapshot costs time and nothing else, so it may be missing.
        let found = store.snapshot(run(n)).await?;
        assert!(found.is_none_or(|found| found == snapshot(n)));
    }
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
    assert!(tally.found > 60 && tally.harmless > 0, "{tally:?}");
}

/// Where the pages of everything but the events begin: few among many, and what leads to all others.
fn small_pages(path: &Path) -> Vec<usize> {
    let conn = rusqlite::Connection::open(path).expect("a connection");
    conn.prepare("SELECT pgoffset FROM dbstat WHERE name NOT IN ('events', 'blobs', 'snapshots')")
        .expect("the statistics")
        .query_map([], |row| row.get::<_, i64>(0))
        .expect("the pages")
        .map(|start| usize::try_from(start.expect("a page")).expect("a place"))
        .collect()
}

#[tokio::test]
async fn single_bytes_of_indexes_and_lists_never_become_data() {
    const PAGE: usize = 1024;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bytes.db");
    let names = make(&path).await;
    let whole = std::fs::read(&path).expect("the file");
    let pages = small_pages(&path);
    let wanted = ask(&path, &whole, &names)
        .await
        .expect("nothing is damaged");
    let mut tally = Tally::default();
    for start in pages {
        for seed in 0..8 {
            let mut bytes = whole.clone();
            let at = start + Rng::with_seed(seed).usize(..PAGE);
            bytes[at] ^= Rng::with_seed(seed).u8(1..);
            let answers = ask(&path, &bytes, &names).await;
            tally.count(answers, &wanted, &format!("byte {at}"));
        }
    }
    assert!(tally.found > 60 && tally.harmless > 0, "{tally:?}");
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
async fn damage_is_named_and_leaves_everything_else_readable() {
    let other = "is not as it was written";
    for (change, what) in [
        (
            "UPDATE events SET body = replace(body, 'text text', 'test text') WHERE task = 5",
            "event 9 of task_05: row 21474836489 of `events` {other}",
        ),
        (
            "UPDATE events SET agent = 0 WHERE task = 5 AND seq = 3",
            "event 3 of task_05: row 21474836483 of `events` {other}",
        ),
        (
            "DELETE FROM events WHERE task = 5 AND seq = 4",
            "event 4 of task_05: it is missing",
        ),
        (
            "DELETE FROM events WHERE task = 5 AND seq > 9",
            "event 10 of task_05: it is missing",
        ),
        (
            "UPDATE tasks SET head = head - 1 WHERE key = 5",
            "row 5 of `tasks` {other}",
        ),
        (
            "UPDATE runs SET title = 'x' WHERE key = 5",
            "a run of task_05: row 5 of `runs` {other}",
        ),
        (
            "UPDATE runs SET task = 6 WHERE key = 5",
            "event 2 of task_05: row 5 of `runs` {other}",
        ),
        (
            "DELETE FROM runs WHERE key = 5",
            "event 2 of task_05: its run 5 is missing",
        ),
        (
            "UPDATE kinds SET name = 'tool_call_later' WHERE name = 'tool_call_late'",
            "event 8 of task_01: row 8 of `kinds` {other}",
        ),
        (
            "DELETE FROM kinds WHERE name = 'task_created'",
            "event 1 of task_01: its kind 1 is missing",
        ),
        (
            "UPDATE blobs SET bytes = x'00' WHERE key = 5",
            "blob BLOB: row 5 of `blobs` {other}",
        ),
    ] {
        let what = what.replace("{other}", other);
        damaged(change, &what).await;
    }
}

#[tokio::test]
async fn an_index_that_leads_to_another_blob_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let hash = make(&path).await.blobs.swap_remove(4);
    let mut bytes = std::fs::read(&path).expect("the file");
    let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(hash.as_bytes()));
    // In the index the hash is followed by the key of its row, which is 5.
    let index = places.map(|at| at + hash.len()).find(|at| bytes[*at] == 5);
    bytes[index.expect("the index")] = 6;
    std::fs::write(&path, bytes).expect("the file");
    let store = Sqlite::open(options(&path)).expect("the store opens");
    let found = store.blob(hash).await;
    assert!(
        matches!(found, Err(StoreError::Corrupt { .. })),
        "another blob is handed out"
    );
}

/// Makes a store, changes it behind its back, and compares the first damage that its check finds.
async fn damaged(change: &str, what: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed.db");
    let names = make(&path).await;
    let conn = rusqlite::Connection::open(&path).expect("a connection");
    conn.pragma_update(None, "foreign_keys", false)
        .expect("a change unseen");
    conn.execute_batch(change).expect("the change");
    drop(conn);
    let store = Sqlite::open(options(&path)).expect("its indexes are in order");
    let Err(StoreError::Corrupt { place, detail }) = store.check().await else {
        panic!("{change}: the check finds nothing");
    };
    assert_eq!(Path::new(&place), path);
    let detail = detail
        .replace(&"0".repeat(30), "")
        .replace(&names.blobs[4], "BLOB");
    assert_eq!(detail, what, "{change}");
    let said = append(task(12), vec![note("the others go on")]);
    let goes_on = store.append(vec![said]).await.is_ok();
    assert!(goes_on || change.contains("kinds"));
    let query = EventQuery {
        task: task(12),
        after: 1,
        limit: 1,
    };
    assert_eq!(store.events(query).await.map(|it| it.len()), Ok(1));
}
