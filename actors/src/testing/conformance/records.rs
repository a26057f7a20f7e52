//! What every store of records must do.
//!
//! The [`Subject`] is that of [the suite of stores](super::store), for a store that implements [`Records`] as well: call [`run`] from a
//! test; [`history`] tries further seeds of the random part, in which [`Memory`](crate::store::Memory) is what is right. The suite panics
//! at the first thing that is wrong and prints the name of the case.

mod histories;
mod listing;
mod outbox;
mod removal;
mod tasks;
mod versions;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::Value;

use crate::model::Timestamp;
use crate::store::{Put, Record, RecordQuery, Records, Store};

use super::store::{Named, Subject};

pub use histories::history;

/// A store that keeps records too.
trait Both: Store + Records {}

impl<S: Store + Records> Both for S {}

type Case = for<'a> fn(&'a dyn Both) -> BoxFuture<'a, ()>;

macro_rules! cases {
    ($($file:ident::$name:ident,)*) => {
        &[$((stringify!($name), |store| $file::$name(store).boxed())),*]
    };
}

const CASES: &[(&str, Case)] = cases![
    versions::counts_versions,
    versions::keeps_any_body,
    versions::refuses_what_is_not_as_expected,
    versions::makes_all_changes_or_none,
    versions::sees_its_own_changes,
    versions::keeps_to_the_limits,
    versions::loses_no_change_of_many_writers,
    listing::lists_in_the_order_of_bytes,
    listing::finds_by_prefix_and_page,
    tasks::lists_the_tasks_that_are_asked_for,
    tasks::pages_are_stable_while_tasks_are_created,
    tasks::finds_a_run_of_any_task,
    outbox::announces_what_is_asked_for,
    outbox::announces_what_was_committed_and_nothing_else,
    outbox::gives_no_position_twice,
    outbox::shows_positions_in_order_to_those_who_follow,
    removal::removes_all_of_a_task,
    removal::leaves_a_task_that_goes_on,
    removal::keeps_a_blob_for_whoever_else_refers_to_it,
    removal::removes_while_others_write,
];

/// How many random histories [`run`] tries.
const HISTORIES: u64 = 8;

/// Runs the whole suite.
///
/// # Panics
/// At the first case that fails.
pub async fn run<S: Subject<Store: Records>>(subject: &S) {
    for (name, case) in CASES {
        let _named = Named((*name).to_owned());
        case(&subject.fresh().await).await;
    }
    for seed in 0..HISTORIES {
        history(subject, seed).await;
    }
}

/// A change of a record, whatever its version.
fn put(kind: &str, key: &str, body: impl Into<Value>) -> Put {
    Put {
        kind: kind.to_owned(),
        key: key.to_owned(),
        expected: None,
        at: Timestamp(1_700_000_000_000),
        body: Some(body.into()),
    }
}

/// The removal of a record, whatever its version.
fn removed(kind: &str, key: &str) -> Put {
    Put {
        body: None,
        ..put(kind, key, Value::Null)
    }
}

fn expecting(expected: u64, put: Put) -> Put {
    let expected = Some(expected);
    Put { expected, ..put }
}

/// Makes changes that must be accepted; the versions.
async fn made(store: &dyn Both, puts: Vec<Put>) -> Vec<u64> {
    let answer = store.put_records(puts).await;
    answer
        .expect("the store must take changes")
        .expect("these changes fit and must be made")
}

async fn record(store: &dyn Both, kind: &str, key: &str) -> Option<Record> {
    let found = store.record(kind, key).await;
    found.expect("the store must read a record")
}

async fn records(store: &dyn Both, query: RecordQuery) -> Vec<Record> {
    let found = store.records(query).await;
    found.expect("the store must read records")
}

/// All records of a kind.
async fn all(store: &dyn Both, kind: &str) -> Vec<Record> {
    let query = RecordQuery {
        kind: kind.to_owned(),
        prefix: String::new(),
        after: String::new(),
        limit: usize::MAX,
    };
    records(store, query).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::conformance::store::InMemory;

    #[tokio::test]
    async fn memory_conforms() {
        run(&InMemory).await;
    }
}
