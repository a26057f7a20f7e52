//! What every store must do.
//!
//! Describe your store to the suite with a [`Subject`] and call [`run`] from a test; [`history`] tries further seeds of the random
//! part. Everything is measured against [`Memory`](crate::store::Memory), which is the contract in its shortest form. The suite
//! panics at the first thing that is wrong and prints the name of the case.

mod appends;
mod bodies;
pub mod draft;
mod histories;
mod lifecycle;
mod reading;
pub mod state;

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::store::{Memory, Store};

pub use bodies::every_kind;
pub use histories::history;

/// How the suite gets at an implementation.
pub trait Subject: Sync {
    /// The implementation.
    type Store: Store;

    /// A new, empty store, independent of all others.
    fn fresh(&self) -> BoxFuture<'_, Self::Store>;

    /// Closes a store and opens it again on what it left behind; a store that forgets is given back as it is.
    fn reopen(&self, store: Self::Store) -> BoxFuture<'_, Self::Store>;
}

/// [`Memory`] as a subject: it forgets.
#[derive(Debug, Clone, Copy)]
pub struct InMemory;

impl Subject for InMemory {
    type Store = Memory;

    fn fresh(&self) -> BoxFuture<'_, Memory> {
        ready(Memory::default()).boxed()
    }

    fn reopen(&self, store: Memory) -> BoxFuture<'_, Memory> {
        ready(store).boxed()
    }
}

type Case = for<'a> fn(&'a dyn Store) -> BoxFuture<'a, ()>;

macro_rules! cases {
    ($($file:ident::$name:ident,)*) => {
        &[$((stringify!($name), |store| $file::$name(store).boxed())),*]
    };
}

const CASES: &[(&str, Case)] = cases![
    appends::numbers_each_task_without_gaps,
    appends::keeps_every_field,
    appends::numbers_causes,
    appends::keeps_every_kind_of_event,
    appends::keeps_the_largest_numbers,
    appends::writes_an_append_whole_or_not_at_all,
    appends::lets_no_refused_append_spoil_the_batch,
    appends::shows_an_append_the_ones_before_it,
    appends::accepts_nothing_at_all,
    appends::takes_many_appenders_at_once,
    appends::shows_readers_whole_appends_only,
    lifecycle::fences_exactly,
    lifecycle::raises_the_epoch_at_each_claim,
    lifecycle::refuses_what_does_not_fit,
    lifecycle::refuses_what_comes_after_the_end,
    lifecycle::accepts_late_results_after_the_end,
    lifecycle::folds_the_rows,
    reading::lists_in_order_of_creation,
    reading::lists_the_unfinished,
    reading::pages_through_events,
    reading::shows_a_run_what_concerns_it,
    reading::knows_nothing_of_strangers,
    reading::keeps_blobs_once,
    reading::keeps_the_newest_snapshot,
    reading::keeps_large_contents,
    reading::keeps_any_text,
    reading::keeps_deeply_nested_values,
];

/// How many random histories [`run`] tries.
const HISTORIES: u64 = 8;

/// Runs the whole suite.
///
/// # Panics
/// At the first case that fails.
pub async fn run<S: Subject>(subject: &S) {
    for (name, case) in CASES {
        let _named = Named((*name).to_owned());
        case(&subject.fresh().await).await;
    }
    for seed in 0..HISTORIES {
        history(subject, seed).await;
    }
}

/// Names the case when it panics.
pub(super) struct Named(pub(super) String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a store does not conform: {}", self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_conforms() {
        run(&InMemory).await;
    }
}
