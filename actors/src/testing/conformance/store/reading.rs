//! Lists, pages, blobs, snapshots and contents.

use crate::model::run::Parent;
use crate::model::{Content, Delegation, EventBody, Sender, Step, TaskId, event::Outcome};
use crate::store::{Append, EventQuery, Snapshot, Store};

use super::draft::{
    append, blob, completed, created, definition, events, note, of_run, of_task, queued, run,
    started, task, working, write,
};

pub(super) async fn lists_in_order_of_creation(store: &dyn Store) {
    // Identifiers of one millisecond come in any order.
    let order = [5, 3, 9, 1];
    let batch = order.map(|n| append(task(n), vec![created()]));
    store.append(batch.to_vec()).await.expect("a batch");
    assert_eq!(ids(store, false).await, order.map(task));
    let drafts = order.map(|n| queued(run(n)));
    write(store, append(task(3), drafts.to_vec())).await;
    write(store, append(task(3), vec![queued(run(4)), queued(run(2))])).await;
    write(store, append(task(9), vec![queued(run(7))])).await;
    let runs = store.runs(task(3)).await.expect("runs");
    let runs: Vec<_> = runs.into_iter().map(|row| row.id).collect();
    assert_eq!(runs, [5, 3, 9, 1, 4, 2].map(run));
}

async fn ids(store: &dyn Store, unfinished: bool) -> Vec<TaskId> {
    let tasks = store.tasks(unfinished).await.expect("tasks");
    tasks.into_iter().map(|row| row.id).collect()
}

pub(super) async fn lists_the_unfinished(store: &dyn Store) {
    for n in 1..=5 {
        working(store, task(n), run(n)).await;
    }
    let text = String::new;
    for (n, end) in [
        (
            1,
            EventBody::TaskCompleted {
                result: Content::Inline(text()),
            },
        ),
        (3, EventBody::TaskFailed { error: text() }),
        (4, EventBody::TaskCancelled { reason: text() }),
    ] {
        write(store, append(task(n), vec![of_task(end)])).await;
    }
    write(store, append(task(2), vec![completed(run(2), 1)])).await;
    assert_eq!(ids(store, true).await, [2, 5].map(task));
    assert_eq!(ids(store, false).await, [1, 2, 3, 4, 5].map(task));
}

pub(super) async fn pages_through_events(store: &dyn Store) {
    for n in [1, 2] {
        let mut drafts = vec![created()];
        drafts.extend((2..=10).map(|id| note(&format!("{id}"))));
        write(store, append(task(n), drafts)).await;
    }
    for (after, limit, wanted) in [
        (0, 3, 1..=3),
        (3, 3, 4..=6),
        (8, 5, 9..=10),
        (9, usize::MAX, 10..=10),
        (0, usize::MAX, 1..=10),
    ] {
        let wanted: Vec<_> = wanted.collect();
        assert_eq!(
            page(store, after, limit).await,
            wanted,
            "after {after}, {limit}"
        );
    }
    for (after, limit) in [(0, 0), (10, 5), (11, 5), (1 << 32, 5), (u64::MAX, 5)] {
        assert_eq!(
            page(store, after, limit).await,
            Vec::<u64>::new(),
            "after {after}, {limit}"
        );
    }
}

async fn page(store: &dyn Store, after: u64, limit: usize) -> Vec<u64> {
    let task = task(1);
    let query = EventQuery { task, after, limit };
    let events = store.events(query).await.expect("events");
    assert!(events.iter().all(|event| event.task_id == task));
    events.iter().map(|event| event.id).collect()
}

pub(super) async fn shows_a_run_what_concerns_it(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let delegated = |n: u128, by: u128| {
        let mut draft = queued(run(n));
        let EventBody::RunQueued { spec } = &mut draft.body else {
            panic!("it is queued");
        };
        spec.parent = Some(Parent {
            run: run(by),
            step: Step { turn: 0, index: 0 },
            delegation: Delegation::Background,
            up_to: 1,
        });
        draft
    };
    let said = EventBody::TaskMessage {
        from: Sender::Human,
        to: None,
        content: "to all".to_owned(),
        outcome: false,
    };
    let drafts = vec![
        delegated(2, 1),
        started(run(2), 1),
        delegated(3, 2),
        started(run(3), 1),
        of_run(run(3), 1, said),
        completed(run(3), 1),
        completed(run(2), 1),
    ];
    write(store, append(task(1), drafts)).await;
    let all = events(store, task(1)).await;
    for (of, least) in [
        (1, vec![1, 2, 3, 4, 5, 8, 10]),
        (2, vec![1, 4, 5, 6, 7, 8, 9, 10]),
        (3, vec![1, 6, 7, 8, 9]),
    ] {
        for limit in [1, 3, 100] {
            let (task, mut after, mut shown) = (task(1), 0, Vec::new());
            loop {
                let query = EventQuery { task, after, limit };
                let page = store.events_for(query, run(of)).await.expect("a page");
                assert!(page.last <= after + limit as u64, "no more than {limit}");
                (after, shown) = (page.last, [shown, page.events].concat());
                if page.is_end {
                    break;
                }
            }
            assert_eq!(after, 10, "it looks at all");
            assert!(shown.is_sorted_by_key(|event| event.id));
            assert!(shown.iter().all(|event| all.contains(event)), "as it is");
            let ids: Vec<_> = shown.iter().map(|event| event.id).collect();
            let lacks: Vec<_> = least.iter().filter(|id| !ids.contains(id)).collect();
            assert!(
                lacks.is_empty(),
                "run {of} is not shown {lacks:?} of {ids:?}"
            );
        }
    }
}

pub(super) async fn knows_nothing_of_strangers(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    assert_eq!(store.task(task(2)).await, Ok(None));
    assert_eq!(store.runs(task(2)).await, Ok(Vec::new()));
    assert_eq!(events(store, task(2)).await, []);
    assert_eq!(store.snapshot(run(1)).await, Ok(None));
    for hash in ["", "no hash", &blob(b"never stored").hash] {
        assert_eq!(store.blob(hash.to_owned()).await, Ok(None));
    }
}

pub(super) async fn keeps_blobs_once(store: &dyn Store) {
    let large: Vec<u8> = (0..=u8::MAX).cycle().take(3 << 20).collect();
    let contents = [&b""[..], b"\0\xff", &large];
    for n in [1, 2] {
        let blobs = contents.iter().chain(&contents).map(|bytes| blob(bytes));
        let append = Append {
            blobs: blobs.collect(),
            ..append(task(n), vec![created()])
        };
        write(store, append).await;
    }
    for bytes in contents {
        let found = store.blob(blob(bytes).hash).await.expect("blob");
        assert!(
            found.is_some_and(|found| found == bytes),
            "{} bytes",
            bytes.len()
        );
    }
}

pub(super) async fn keeps_the_newest_snapshot(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let of = |n, seq, body: &[u8]| Snapshot {
        run: run(n),
        seq,
        body: body.to_vec(),
    };
    let large = vec![7; 1 << 20];
    for snapshot in [of(1, 2, b"first"), of(2, 9, b""), of(1, 300, &large)] {
        assert_eq!(store.put_snapshot(snapshot.clone()).await, Ok(()));
        assert_eq!(store.snapshot(snapshot.run).await, Ok(Some(snapshot)));
    }
    // One that comes late is older than what is kept.
    assert_eq!(store.put_snapshot(of(1, 299, b"late")).await, Ok(()));
    assert_eq!(store.snapshot(run(1)).await, Ok(Some(of(1, 300, &large))));
    assert_eq!(store.put_snapshot(of(1, 300, b"again")).await, Ok(()));
    assert_eq!(store.snapshot(run(1)).await, Ok(Some(of(1, 300, b"again"))));
    assert_eq!(store.snapshot(run(2)).await, Ok(Some(of(2, 9, b""))));
}

pub(super) async fn keeps_large_contents(store: &dyn Store) {
    working(store, task(1), run(1)).await;
    let mut written = Vec::new();
    for size in [0, 1, 4_000, 4_096, 70_000, 2 << 20] {
        let body = EventBody::ToolCallCompleted {
            step: Step { turn: 0, index: 0 },
            outcome: Outcome::Ok,
            content: Content::Inline("ü".repeat(size)),
        };
        written.extend(write(store, append(task(1), vec![of_run(run(1), 1, body)])).await);
    }
    assert!(events(store, task(1)).await[3..] == written);
}

pub(super) async fn keeps_any_text(store: &dyn Store) {
    let texts = [
        "",
        "\0",
        "a\0b",
        "\"',;--\\\\u0000{}",
        "𝄞 ünïcödé \u{202e}\u{feff}\u{10ffff}",
        "\r\n\t\u{1b}[31m\u{7f}\u{2028}",
        "true",
        "null",
        "{\"blob\":1}",
    ];
    for (n, text) in (1..).zip(texts) {
        let mut definition = definition(text);
        definition.project = text.to_owned();
        definition.source =
            serde_json::json!({ text: [text, 0.1, 1e300, -0.0, u64::MAX, i64::MIN] });
        let mut spec = super::draft::spec(text.into());
        spec.title = text.to_owned();
        let body = EventBody::TaskCreated {
            definition: Box::new(definition),
        };
        let spec = EventBody::RunQueued {
            spec: Box::new(spec),
        };
        let drafts = vec![of_task(body), of_run(run(n), 0, spec), note(text)];
        let written = write(store, append(task(n), drafts)).await;
        assert_eq!(events(store, task(n)).await, written);
        let row = store.task(task(n)).await.expect("task").expect("task");
        assert_eq!((&*row.name, &*row.project), (text, text));
        let row = store.runs(task(n)).await.expect("runs").remove(0);
        assert_eq!((row.agent.as_str(), &*row.title), (text, text));
    }
}

pub(super) async fn keeps_deeply_nested_values(store: &dyn Store) {
    let deep = (0..300).fold(serde_json::Value::Null, |inner, _| {
        serde_json::json!([inner])
    });
    let mut definition = definition("deep");
    definition.source = deep;
    let body = EventBody::TaskCreated {
        definition: Box::new(definition),
    };
    let written = write(store, append(task(1), vec![of_task(body)])).await;
    assert_eq!(events(store, task(1)).await, written);
}
