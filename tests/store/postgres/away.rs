//! The database goes away and comes back: nothing is lost, nothing is there twice, and every wait ends.

use std::time::Duration;

use actors::model::{Event, EventBody, Timestamp};
use actors::store::{Append, Appended, Put, Records, Store, StoreError};
use actors::testing::conformance::store::draft::{
    append, created, events, note, of_task, task, write,
};
use fastrand::Rng;
use impresario::store::Postgres;
use impresario::store::postgres::Options;

use crate::support::postgres::Schema;
use crate::support::proxy::{Proxy, Trouble};

/// A store behind a line that can be broken, with one task.
struct Behind {
    proxy: Proxy,
    store: Postgres,
    schema: Schema,
}

impl Behind {
    async fn open(change: impl FnOnce(&mut Options)) -> Option<Self> {
        let schema = Schema::fresh()?;
        // Making the tables may take longer than what is changed allows.
        drop(super::open(&schema.url()).await);
        let proxy = Proxy::before(schema.address());
        let mut options = super::options(&schema.url_at(&proxy.address));
        change(&mut options);
        let store = Postgres::open(options).await.expect("the store opens");
        write(&store, append(task(1), vec![created()])).await;
        Some(Self {
            proxy,
            store,
            schema,
        })
    }

    /// What others see of it, over a line of their own.
    async fn said(&self) -> Vec<String> {
        let store = super::open(&self.schema.url()).await;
        store.check().await.expect("nothing is damaged");
        events(&store, task(1)).await[1..]
            .iter()
            .map(content)
            .collect()
    }
}

fn content(event: &Event) -> String {
    match &event.body {
        EventBody::TaskMessage { content, .. } => content.clone(),
        other => panic!("{other:?}"),
    }
}

fn says(text: &str) -> Append {
    append(task(1), vec![note(text)])
}

/// Appends as the journal does: what may pass is tried again.
async fn insist(store: &Postgres, batch: Vec<Append>) -> (Appended, u32) {
    for tries in 1..50 {
        match store.append(batch.clone()).await {
            Ok(appended) => return (appended, tries),
            Err(error) => assert!(error.may_pass(), "{error:?}"),
        }
    }
    panic!("it never comes back");
}

const BATCHES: u64 = 80;

#[tokio::test]
async fn what_breaks_is_neither_lost_nor_doubled() {
    let Some(behind) = Behind::open(|_| {}).await else {
        return;
    };
    let mut rng = Rng::with_seed(3);
    let mut wanted = Vec::new();
    for n in 1..=BATCHES {
        let troubles = [Trouble::Unbegun, Trouble::Lost, Trouble::Unanswered];
        if let Some(trouble) = troubles.get(rng.usize(..4)) {
            behind.proxy.trouble(1, *trouble);
        }
        if rng.u8(..4) == 0 {
            behind.proxy.cut();
            behind.proxy.refuse(rng.u32(..4));
        }
        let texts = ["a", "b"].map(|side| format!("{n} {side}"));
        let batch = texts.iter().map(|text| says(text)).collect();
        let (appended, _) = insist(&behind.store, batch).await;
        let numbers = appended.into_iter().map(|one| one.expect("it fits")[0].id);
        assert!(numbers.eq([2 * n, 2 * n + 1]), "batch {n}");
        assert!(behind.proxy.had_trouble(), "nothing went wrong at {n}");
        wanted.extend(texts);
        if rng.u8(..4) == 0 {
            behind.proxy.cut();
            behind.proxy.refuse(rng.u32(..3));
            let found = events(&behind.store, task(1)).await;
            assert_eq!(found.len(), 1 + wanted.len(), "a read waits");
        }
    }
    assert_eq!(behind.said().await, wanted);
}

/// Each change of a record is made once, whatever becomes of the line, and each task is removed once.
#[tokio::test]
async fn what_breaks_changes_no_record_twice() {
    let Some(behind) = Behind::open(|_| {}).await else {
        return;
    };
    let (store, mut rng) = (&behind.store, Rng::with_seed(5));
    for n in 1..=30 {
        let mut ended = vec![created()];
        let reason = String::new();
        ended.push(of_task(EventBody::TaskCancelled { reason }));
        write(store, append(task(2), ended)).await;
        for round in 0..2 {
            let troubles = [Trouble::Unbegun, Trouble::Lost, Trouble::Unanswered];
            behind.proxy.trouble(1, troubles[rng.usize(..3)]);
            let put = Put {
                kind: "count".to_owned(),
                key: "one".to_owned(),
                expected: None,
                at: Timestamp(0),
                body: Some(n.into()),
            };
            match round {
                0 => assert_eq!(store.put_records(vec![put]).await, Ok(Ok(vec![n]))),
                _ => assert_eq!(store.remove_task(task(2)).await, Ok(true)),
            }
            assert!(behind.proxy.had_trouble(), "nothing went wrong at {n}");
        }
    }
    assert_eq!(behind.said().await, Vec::<String>::new());
}

/// Nobody can say in time whether it was written: the caller is told to try again, and that is when it turns out.
#[tokio::test]
async fn what_nobody_knows_of_is_asked_about_later() {
    let few = |options: &mut Options| options.patience = Duration::from_millis(200);
    let Some(behind) = Behind::open(few).await else {
        return;
    };
    let mut wanted = Vec::new();
    for (n, trouble) in [Trouble::Unanswered, Trouble::Lost].into_iter().enumerate() {
        for again in [true, false] {
            let text = format!("{n} {again}");
            behind.proxy.trouble(1, trouble);
            behind.proxy.refuse(u32::MAX);
            let error = behind.store.append(vec![says(&text)]).await;
            assert!(error.is_err_and(|error| error.may_pass()), "{text}");
            behind.proxy.refuse(0);
            // The journal tries the same again with what has come to it since; a caller that is gone does not.
            let more = says(&format!("{text}, more"));
            let batch = match again {
                true => vec![says(&text), more],
                false => vec![more],
            };
            let count = batch.len();
            let (appended, tries) = insist(&behind.store, batch).await;
            assert_eq!((appended.len(), tries), (count, 1));
            if again || trouble == Trouble::Unanswered {
                wanted.push(text.clone());
            }
            wanted.push(format!("{text}, more"));
            let numbers = appended
                .into_iter()
                .flatten()
                .flatten()
                .map(|event| event.id);
            let last = wanted.len() as u64 + 1;
            assert!(numbers.eq(last + 1 - count as u64..=last), "{text}");
        }
    }
    assert_eq!(behind.said().await, wanted);
}

/// The line is there and carries nothing: the answer to the commit is given up, and the server ends the transaction it was never told to end.
#[tokio::test]
async fn a_line_that_carries_nothing_is_given_up() {
    let fast = |options: &mut Options| {
        options.statement_timeout = Duration::from_millis(800);
        options.lock_timeout = Duration::from_millis(400);
    };
    let Some(behind) = Behind::open(fast).await else {
        return;
    };
    behind.proxy.trouble(1, Trouble::Stalled);
    let (appended, _) = insist(&behind.store, vec![says("once")]).await;
    assert!(behind.proxy.had_trouble());
    assert_eq!(appended[0].as_ref().map(|events| events[0].id), Ok(2));
    assert_eq!(behind.said().await, ["once"]);
}

#[tokio::test]
async fn every_wait_for_a_server_that_stays_away_ends() {
    let few = |options: &mut Options| options.patience = Duration::from_millis(200);
    let Some(behind) = Behind::open(few).await else {
        return;
    };
    behind.proxy.cut();
    behind.proxy.refuse(u32::MAX);
    let store = &behind.store;
    let readers = (0..20).map(|_| store.task(task(1)));
    for read in futures_util::future::join_all(readers).await {
        assert!(read.is_err_and(|error| error.may_pass()));
    }
    let error = store.append(vec![says("nothing")]).await.expect_err("away");
    let told = error.to_string();
    assert!(told.contains("cannot be reached"), "{told}");
    behind.proxy.trouble(1, Trouble::Unanswered);
    behind.proxy.refuse(0);
    write(store, says("something")).await;
    behind.proxy.refuse(u32::MAX);
    assert_eq!(store.close().await, Ok(()), "its line is still there");
    assert_eq!(store.append(Vec::new()).await, Err(StoreError::Closed));
    assert_eq!(store.task(task(1)).await, Err(StoreError::Closed));
    assert_eq!(store.close().await, Err(StoreError::Closed));
    assert_eq!(behind.said().await, ["something"]);
}
