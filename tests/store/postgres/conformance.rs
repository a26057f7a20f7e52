//! PostgreSQL under the suite that every store is put under.

use actors::testing::conformance::records;
use actors::testing::conformance::store::{Subject, history, run};
use futures_util::future::{BoxFuture, FutureExt};
use impresario::store::postgres::Options;
use impresario::store::{Durability, Postgres};

use crate::support::postgres::Schema;

/// One store after another in one schema, because making one takes the server long.
struct InSchema {
    durability: Durability,
    schema: Schema,
}

impl InSchema {
    fn fresh(durability: Durability) -> Option<Self> {
        let schema = Schema::fresh()?;
        Some(Self { durability, schema })
    }

    async fn open(&self) -> Postgres {
        let narrow = self.durability == Durability::Power;
        let defaults = super::options(&self.schema.url());
        let opened = Postgres::open(Options {
            durability: self.durability,
            readers: if narrow { 1 } else { defaults.readers },
            queue: if narrow { 1 } else { defaults.queue },
            ..defaults
        });
        opened.await.expect("the store opens")
    }
}

impl Subject for InSchema {
    type Store = Postgres;

    fn fresh(&self) -> BoxFuture<'_, Postgres> {
        async {
            self.schema.clear();
            self.open().await
        }
        .boxed()
    }

    fn reopen(&self, store: Postgres) -> BoxFuture<'_, Postgres> {
        async move {
            store.check().await.expect("nothing is damaged");
            store.close().await.expect("the store closes");
            drop(store);
            self.open().await
        }
        .boxed()
    }
}

#[tokio::test]
async fn postgres_conforms() {
    if let Some(subject) = InSchema::fresh(Durability::Process) {
        run(&subject).await;
    }
}

#[tokio::test]
async fn postgres_keeps_a_history_when_it_waits_for_the_disk() {
    if let Some(subject) = InSchema::fresh(Durability::Power) {
        history(&subject, 100).await;
    }
}

#[tokio::test]
async fn postgres_keeps_records() {
    if let Some(subject) = InSchema::fresh(Durability::Process) {
        records::run(&subject).await;
    }
}

#[tokio::test]
async fn postgres_keeps_records_when_it_waits_for_the_disk() {
    if let Some(subject) = InSchema::fresh(Durability::Power) {
        records::history(&subject, 100).await;
    }
}
