//! What is larger than the store takes.

use actors::store::{Append, Rejected, Snapshot, Store, StoreError};
use actors::testing::conformance::store::draft::{
    append, blob, created, events, note, refused, run, task, write,
};
use impresario::store::{Options, Sqlite};

#[tokio::test]
async fn an_append_over_the_limit_is_refused_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(Options {
        item_bytes: 1_000,
        ..Options::new(folder.path().join("limits.db"))
    })
    .expect("the store opens");
    write(&store, append(task(1), vec![created()])).await;
    let large_event = append(task(1), vec![note("fits"), note(&"x".repeat(1_000))]);
    let large_blob = Append {
        blobs: vec![blob(b"fits"), blob(&[0; 1_001])],
        ..append(task(1), vec![note("fits")])
    };
    for (append, what) in [
        (
            large_event.clone(),
            "task_message does not fit the store, which is limited to 1000 bytes an event and not 1029: put large contents into blobs",
        ),
        (
            large_blob,
            "a blob does not fit the store, which is limited to 1000 bytes and not 1001",
        ),
    ] {
        let refused = refused(&store, append).await;
        assert!(matches!(refused, Rejected::Illegal(_)));
        assert_eq!(refused.to_string(), what);
    }
    let batch = vec![
        append(task(1), vec![note("before")]),
        large_event,
        append(task(1), vec![note("after")]),
    ];
    let answers = store.append(batch).await.expect("a batch");
    assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 2);
    assert_eq!(events(&store, task(1)).await.len(), 3);
    assert_eq!(store.blob(blob(b"fits").hash).await, Ok(None));
}

#[tokio::test]
async fn a_snapshot_over_the_limit_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(Options {
        item_bytes: 10,
        ..Options::new(folder.path().join("limits.db"))
    })
    .expect("the store opens");
    let of = |bytes| Snapshot {
        run: run(1),
        seq: 1,
        body: vec![0; bytes],
    };
    match store.put_snapshot(of(11)).await {
        Err(StoreError::Io { detail, .. }) => {
            assert_eq!(detail, "a snapshot of 11 bytes is over its limit of 10")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.put_snapshot(of(10)).await, Ok(()));
    assert_eq!(store.snapshot(run(1)).await, Ok(Some(of(10))));
}
