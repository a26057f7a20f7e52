//! Tasks that are removed, with what belongs to them and nothing else.

use futures_util::future::join_all;

use crate::model::event::Outcome;
use crate::model::{Content, EventBody, RunId, Step, TaskId, TaskStatus};
use crate::store::{Announce, Append, Blob, Draft, Snapshot, StoreError, TaskQuery};
use crate::testing::conformance::store::draft::{
    append, blob, completed, created, events, note, of_run, of_task, queued, refused, run, started,
    task, working, write,
};
use crate::testing::conformance::store::state::{Names, of};

use super::Both;
use super::outbox::places;
use super::tasks::standing;

async fn remove(store: &dyn Both, task: TaskId) -> bool {
    let removed = store.remove_task(task).await;
    removed.expect("the store must remove a task that has ended")
}

fn content(blob: &Blob) -> Content {
    Content::Blob {
        blob: blob.hash.clone(),
        bytes: blob.bytes.len() as u64,
        preview: "{\"blob\":\"".to_owned(),
    }
}

/// A result that is in a blob.
pub(super) fn result(run: RunId, blob: &Blob) -> Draft {
    let body = EventBody::ToolCallCompleted {
        step: Step { turn: 0, index: 0 },
        outcome: Outcome::Ok,
        content: content(blob),
    };
    of_run(run, 1, body)
}

/// A task with a run that has a snapshot, with a result in a blob that also is the task's own.
async fn ended(store: &dyn Both, n: u128, large: &Blob) {
    let end = EventBody::TaskCompleted {
        result: content(large),
    };
    let drafts = vec![
        created(),
        queued(run(n)),
        started(run(n), 1),
        result(run(n), large),
        completed(run(n), 1),
        of_task(end),
    ];
    let blobs = vec![large.clone()];
    write(
        store,
        Append {
            blobs,
            ..append(task(n), drafts)
        },
    )
    .await;
    let snapshot = Snapshot {
        run: run(n),
        seq: 3,
        body: b"state".to_vec(),
    };
    store.put_snapshot(snapshot).await.expect("a snapshot");
}

pub(super) async fn removes_all_of_a_task(store: &dyn Both) {
    store.announce(Announce::Everything);
    let names = |tasks: &[u128]| Names {
        tasks: tasks.iter().map(|n| task(*n)).collect(),
        runs: tasks.iter().map(|n| run(*n)).collect(),
        blobs: tasks
            .iter()
            .map(|n| blob(&[u8::try_from(*n).expect("a byte"); 50]).hash)
            .collect(),
    };
    let [one, two, three] = [1, 2, 3].map(|n| blob(&[n; 50]));
    ended(store, 1, &one).await;
    ended(store, 3, &three).await;
    let (before, announced) = (of(store, &names(&[1, 3, 2]), 9).await, places(store).await);
    ended(store, 2, &two).await;
    assert!(remove(store, task(2)).await);
    assert!(
        of(store, &names(&[1, 3, 2]), 9).await == before,
        "it is as if it had never been"
    );
    assert_eq!(places(store).await, announced);
    assert_eq!(store.find_run(run(2)).await, Ok(None));
    assert!(!remove(store, task(2)).await);
    assert!(!remove(store, task(9)).await);
    refused(store, append(task(2), vec![note("too late")])).await;
    ended(store, 2, &two).await;
    assert_eq!(events(store, task(2)).await.len(), 6);
    assert_eq!(store.blob(two.hash).await, Ok(Some(two.bytes)));
    for n in [3, 2, 1] {
        assert!(remove(store, task(n)).await);
    }
    assert_eq!(store.tasks(false).await, Ok(Vec::new()));
    assert_eq!(places(store).await, []);
}

pub(super) async fn leaves_a_task_that_goes_on(store: &dyn Both) {
    for (n, status) in (1..).zip(TaskStatus::ALL) {
        write(store, standing(n, "one", status)).await;
        let answer = store.remove_task(task(n)).await;
        match status.is_terminal() {
            true => assert_eq!(answer, Ok(true)),
            false => {
                assert!(
                    matches!(answer, Err(StoreError::Refused { .. })),
                    "{answer:?}"
                );
                assert!(!events(store, task(n)).await.is_empty());
            }
        }
    }
    let query = TaskQuery {
        project: None,
        statuses: Vec::new(),
        after: None,
        newest_first: false,
        limit: 9,
    };
    let left = store.page_of_tasks(query).await.expect("the tasks");
    assert_eq!(
        left.iter().map(|row| row.id).collect::<Vec<_>>(),
        [task(1), task(2)]
    );
}

pub(super) async fn keeps_a_blob_for_whoever_else_refers_to_it(store: &dyn Both) {
    let [shared, own, unused] = [&b"shared"[..], b"own", b"nobody refers to it"].map(blob);
    let there = async |blob: &Blob| {
        store
            .blob(blob.hash.clone())
            .await
            .expect("a blob")
            .is_some()
    };
    for n in 1..=3 {
        ended(store, n, &shared).await;
    }
    working(store, task(4), run(4)).await;
    let drafts = vec![
        result(run(4), &own),
        result(run(4), &own),
        result(run(4), &shared),
    ];
    let blobs = vec![own.clone(), unused.clone()];
    write(
        store,
        Append {
            blobs,
            ..append(task(4), drafts)
        },
    )
    .await;
    for n in 1..=3 {
        assert!(remove(store, task(n)).await);
        assert!(there(&shared).await && there(&own).await);
    }
    let reason = String::new();
    let end = of_task(EventBody::TaskCancelled { reason });
    write(store, append(task(4), vec![end])).await;
    assert!(remove(store, task(4)).await);
    assert!(!there(&shared).await && !there(&own).await);
    // It may belong to an event that is still to come.
    assert!(there(&unused).await);
    ended(store, 5, &shared).await;
    assert!(
        there(&shared).await,
        "what was removed can be written again"
    );
}

pub(super) async fn removes_while_others_write(store: &dyn Both) {
    let shared = blob(b"shared by all of them");
    let working = (1..=6_u128).map(|n| {
        let shared = shared.clone();
        async move {
            for round in 0..4 {
                ended(store, n * 100 + round, &shared).await;
                let found = store.blob(shared.hash.clone()).await.expect("a blob");
                assert!(
                    found.is_some(),
                    "it was removed while somebody refers to it"
                );
                assert!(remove(store, task(n * 100 + round)).await);
            }
            ended(store, n, &shared).await;
        }
    });
    join_all(working).await;
    let left = store.tasks(false).await.expect("the tasks");
    assert_eq!(left.len(), 6);
    assert_eq!(store.blob(shared.hash).await, Ok(Some(shared.bytes)));
}
