//! The deliverer ends at any moment, and nothing is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::model::{RunId, TaskId};
use actors::registry::webhooks::plan::Outcome;
use actors::store::{
    Announce, Announced, Conflict, Memory, Put, Record, RecordQuery, Records, RunRow, StoreError,
    TaskQuery, TaskRow,
};
use futures_util::future::{BoxFuture, FutureExt};
use impresario::webhook::Options;

use super::{Bed, Scripted, child, new_webhook};

/// A store one of whose writes fails: before it is done, or after it, so that whoever writes does not know.
pub(super) struct Fails {
    pub(super) inner: Arc<Memory>,
    pub(super) left: AtomicUsize,
    pub(super) is_done: bool,
}

impl Fails {
    fn write<'a, T: Send + 'a>(
        &'a self,
        write: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let error = || StoreError::Io {
            place: "the disk".to_owned(),
            detail: "it failed on purpose".to_owned(),
        };
        async move {
            let left = self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            match left {
                Ok(1) if self.is_done => write.await.and(Err(error())),
                Ok(1) => Err(error()),
                _ => write.await,
            }
        }
        .boxed()
    }
}

impl Records for Fails {
    fn record(&self, kind: &str, key: &str) -> BoxFuture<'_, Result<Option<Record>, StoreError>> {
        self.inner.record(kind, key)
    }
    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        self.inner.records(query)
    }
    fn put_records(
        &self,
        puts: Vec<Put>,
    ) -> BoxFuture<'_, Result<Result<Vec<u64>, Conflict>, StoreError>> {
        let inner = self.inner.clone();
        self.write(async move { inner.put_records(puts).await }.boxed())
    }
    fn page_of_tasks(&self, query: TaskQuery) -> BoxFuture<'_, Result<Vec<TaskRow>, StoreError>> {
        self.inner.page_of_tasks(query)
    }
    fn find_run(&self, run: RunId) -> BoxFuture<'_, Result<Option<RunRow>, StoreError>> {
        self.inner.find_run(run)
    }
    fn announce(&self, what: Announce) {
        self.inner.announce(what);
    }
    fn announced(
        &self,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Announced>, StoreError>> {
        self.inner.announced(after, limit)
    }
    fn forget_announced(&self, up_to: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let inner = self.inner.clone();
        self.write(async move { inner.forget_announced(up_to).await }.boxed())
    }
    fn remove_task(&self, task: TaskId) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.inner.remove_task(task)
    }
}

/// Whatever write fails: each event of the task arrives, those that arrive twice under one id, and there is one alert.
#[tokio::test(start_paused = true)]
async fn every_write_of_it_may_fail() {
    for is_done in [false, true] {
        for n in 1.. {
            let inner = Arc::new(Memory::default());
            let left = AtomicUsize::new(usize::MAX);
            let fails = Arc::new(Fails {
                inner: inner.clone(),
                left,
                is_done,
            });
            let bed = Bed::over(inner, fails.clone()).await;
            let hooks = bed.hooks(Options::default());
            hooks
                .create(new_webhook("ours", "https://example.com/", &[]))
                .await
                .unwrap();
            let mut is_first = true;
            let carrier = Scripted::new(&bed, move |_| {
                let status = if std::mem::take(&mut is_first) {
                    500
                } else {
                    200
                };
                Some(Outcome::Answered(status))
            });
            fails.left.store(n, Ordering::SeqCst);
            let sending = child(hooks.deliverer_over(&bed.system, carrier.clone())).await;
            let task = bed.task("ours", "broken").await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let events = bed.system.events(task, 0, 100).await.unwrap();
            let public = events.iter().filter(|event| !event.body.is_private());
            let expected: BTreeSet<u64> = public.map(|event| event.id).collect();
            let letters = carrier.letters();
            let event = |body: &str| {
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                body["data"]["event"].as_u64().unwrap()
            };
            let sent: BTreeSet<_> = letters
                .iter()
                .map(|(_, it)| (event(&it.body), &it.id))
                .collect();
            let arrived: BTreeSet<u64> = sent.iter().map(|(event, _)| *event).collect();
            assert_eq!(arrived, expected, "write {n}");
            assert_eq!(
                sent.len(),
                expected.len(),
                "two ids of one event, write {n}"
            );
            let alerts = events.iter().filter(|event| event.body.kind() == "alert");
            assert_eq!(alerts.count(), 1, "write {n}");
            sending.stop().await;
            bed.close().await;
            // All writes there are have failed once.
            if fails.left.load(Ordering::SeqCst) > 0 {
                assert!(n > 10);
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_under_way_is_made_again_under_the_same_id() {
    let bed = Bed::open().await;
    let hooks = bed.hooks(Options::default());
    hooks
        .create(new_webhook(
            "ours",
            "https://example.com/",
            &["task_completed"],
        ))
        .await
        .unwrap();
    let silent = Scripted::new(&bed, |_| None);
    let sending = child(hooks.deliverer_over(&bed.system, silent.clone())).await;
    bed.task("ours", "lead").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    sending.stop().await;
    // Another life of the node, with a handle of its own.
    let taken = Scripted::new(&bed, |_| Some(Outcome::Answered(200)));
    let hooks = bed.hooks(Options::default());
    let sending = child(hooks.deliverer_over(&bed.system, taken.clone())).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (first, second) = (silent.letters(), taken.letters());
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(
        (&first[0].1.id, &first[0].1.body),
        (&second[0].1.id, &second[0].1.body)
    );
    sending.stop().await;
    bed.close().await;
}
