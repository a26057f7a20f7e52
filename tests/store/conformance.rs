//! SQLite under the suite that every store is put under.

use std::sync::atomic::{AtomicU32, Ordering};

use actors::testing::conformance::records;
use actors::testing::conformance::store::{Subject, history, run};
use futures_util::future::{BoxFuture, FutureExt};
use impresario::store::{Durability, Options, Sqlite};
use tempfile::TempDir;

struct InFiles {
    folder: TempDir,
    durability: Durability,
    opened: AtomicU32,
}

impl InFiles {
    fn open(&self, path: std::path::PathBuf) -> Sqlite {
        let durability = self.durability;
        let narrow = durability == Durability::Power;
        let defaults = Options::new(path);
        Sqlite::open(Options {
            durability,
            readers: if narrow { 1 } else { defaults.readers },
            queue: if narrow { 1 } else { defaults.queue },
            ..defaults
        })
        .expect("the store opens")
    }
}

impl Subject for InFiles {
    type Store = Sqlite;

    fn fresh(&self) -> BoxFuture<'_, Sqlite> {
        async {
            let n = self.opened.fetch_add(1, Ordering::Relaxed);
            self.open(self.folder.path().join(format!("{n}.db")))
        }
        .boxed()
    }

    fn reopen(&self, store: Sqlite) -> BoxFuture<'_, Sqlite> {
        async move {
            store.check().await.expect("nothing is damaged");
            let path = store.path().to_owned();
            store.close().await.expect("the store closes");
            drop(store);
            self.open(path)
        }
        .boxed()
    }
}

fn in_files(durability: Durability) -> InFiles {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = AtomicU32::new(0);
    InFiles {
        folder,
        durability,
        opened,
    }
}

#[tokio::test]
async fn sqlite_conforms() {
    run(&in_files(Durability::Process)).await;
}

#[tokio::test]
async fn sqlite_keeps_a_history_when_it_waits_for_the_disk() {
    history(&in_files(Durability::Power), 100).await;
}

#[tokio::test]
async fn sqlite_keeps_records() {
    records::run(&in_files(Durability::Process)).await;
}

#[tokio::test]
async fn sqlite_keeps_records_when_it_waits_for_the_disk() {
    records::history(&in_files(Durability::Power), 100).await;
}
