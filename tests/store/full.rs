//! No space left.

use actors::store::{Append, Store, StoreError};
use actors::testing::conformance::store::draft::{
    append, blob, created, events, note, run, task, working, write,
};
use actors::testing::conformance::store::state::{Names, of};
use impresario::store::{Options, Sqlite};

use super::child::{self, Child};

fn is_full(answer: &Result<impl std::fmt::Debug, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Full { .. }))
}

/// A batch of which one part would fit and the whole does not.
fn too_much() -> Vec<Append> {
    let mut batch = vec![append(task(1), vec![note("small")]); 2];
    let large = note(&"x".repeat(4 << 20));
    batch.insert(1, append(task(1), vec![large]));
    batch
}

#[tokio::test]
async fn a_database_at_its_limit_takes_what_still_fits() {
    let folder = tempfile::tempdir().expect("a folder");
    let limited = |pages| Options {
        max_pages: Some(pages),
        ..Options::new(folder.path().join("full.db"))
    };
    let store = Sqlite::open(limited(1_000)).expect("the store opens");
    working(&store, task(1), run(1)).await;
    let names = Names {
        tasks: vec![task(1)],
        ..Names::default()
    };
    let before = of(&store, &names, 10).await;
    for _ in 0..3 {
        assert!(is_full(&store.append(too_much()).await));
        assert_eq!(of(&store, &names, 10).await, before);
    }
    let blob = Append {
        blobs: vec![blob(&vec![7; 2 << 20])],
        ..append(task(1), vec![note("with a blob")])
    };
    assert!(is_full(&store.append(vec![blob.clone()]).await));
    assert_eq!(
        write(&store, append(task(1), vec![note("fits")])).await[0].id,
        4
    );
    store.close().await.expect("the store closes");
    let larger = Sqlite::open(limited(20_000)).expect("the store opens");
    write(&larger, blob).await;
    let answers = larger.append(too_much()).await.expect("there is space now");
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(events(&larger, task(1)).await.len(), 8);
}

#[test]
fn a_full_disk_is_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = child::with_disk(folder.path(), "size=3m") else {
        return;
    };
    let mut child = Child::start_in(disk, "store::full::on_a_small_disk", folder.path());
    assert_eq!(child.next_line().as_deref(), Some("survived"));
}

#[test]
#[ignore = "a child process of another test"]
fn on_a_small_disk() {
    let Some(folder) = child::place() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let ballast = folder.join("ballast");
        let store = Sqlite::open(Options::new(folder.join("full.db"))).expect("the store opens");
        write(&store, append(task(1), vec![created()])).await;
        let mut written = 1;
        for _ in 0..3 {
            fill(&ballast);
            written += append_until_full(&store).await;
            assert_eq!(events(&store, task(1)).await.len(), written);
            std::fs::remove_file(&ballast).expect("space is made");
            let answers = store
                .append(vec![append(task(1), vec![note("again")])])
                .await;
            assert!(answers.expect("there is space")[0].is_ok());
            written += 1;
        }
        fill(&ballast);
        let second = Sqlite::open(Options::new(folder.join("second.db")));
        assert!(is_full(&second), "{second:?}");
        store.check().await.expect("nothing is damaged");
        drop(store);
        std::fs::remove_file(&ballast).expect("space is made");
        let store = Sqlite::open(Options::new(folder.join("full.db"))).expect("the store opens");
        assert_eq!(events(&store, task(1)).await.len(), written);
    });
    child::say("survived");
}

/// Leaves no space at all.
fn fill(ballast: &std::path::Path) {
    let mut file = std::fs::File::create(ballast).expect("ballast");
    let full = std::io::copy(&mut std::io::repeat(0), &mut file).expect_err("the disk is small");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
}

async fn append_until_full(store: &Sqlite) -> usize {
    for written in 0..10_000 {
        let answer = store
            .append(vec![append(task(1), vec![note(&"x".repeat(500))])])
            .await;
        if let Err(error) = answer {
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
            return written;
        }
    }
    panic!("the disk is never full");
}
