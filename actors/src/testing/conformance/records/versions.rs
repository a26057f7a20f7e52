//! Versions, conflicts, limits.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::model::Timestamp;
use crate::store::records::{KEY_BYTES, PUTS, RECORD_BYTES};
use crate::store::{Conflict, Put, Record, StoreError};

use super::{Both, all, expecting, made, put, record, removed};

pub(super) async fn counts_versions(store: &dyn Both) {
    assert_eq!(record(store, "key", "a").await, None);
    for version in 1..=3 {
        let at = Timestamp(version * 1_000);
        let body = json!({ "n": version });
        let change = Put {
            at,
            ..put("key", "a", body.clone())
        };
        assert_eq!(made(store, vec![change]).await, [version]);
        let wanted = Record {
            kind: "key".to_owned(),
            key: "a".to_owned(),
            version,
            at,
            body,
        };
        assert_eq!(record(store, "key", "a").await, Some(wanted));
    }
    assert_eq!(made(store, vec![removed("key", "a")]).await, [0]);
    assert_eq!(record(store, "key", "a").await, None);
    assert_eq!(made(store, vec![removed("key", "a")]).await, [0]);
    assert_eq!(made(store, vec![put("key", "a", 1)]).await, [1]);
    assert_eq!(record(store, "kez", "a").await, None);
    assert_eq!(record(store, "key", "").await, None);
}

pub(super) async fn keeps_any_body(store: &dyn Both) {
    let mut deep = json!("the bottom");
    for _ in 0..1_000 {
        deep = json!([deep]);
    }
    let bodies = [
        Value::Null,
        json!(true),
        json!("\0 \u{1} \u{1}0 \u{10ffff} ' \" \\ %_ \u{e4}"),
        json!([u64::MAX, i64::MIN, 0.1, -0.0, 1e300, 5e-324]),
        json!({ "b": 1, "a": { "": null }, "\0": [] }),
        deep,
    ];
    for (n, body) in bodies.iter().enumerate() {
        let at = Timestamp(u64::MAX - n as u64);
        let change = Put {
            at,
            ..put("any", "\u{1}0 ' \" \\ %_ \u{10ffff}", body.clone())
        };
        made(store, vec![change.clone()]).await;
        let found = record(store, "any", &change.key).await.expect("a record");
        assert_eq!((found.at, found.key), (at, change.key));
        assert!(found.body == *body, "body {n} came back as another one");
    }
}

pub(super) async fn refuses_what_is_not_as_expected(store: &dyn Both) {
    made(store, vec![put("key", "there", 1)]).await;
    for (key, expected, current) in [
        ("there", 0, 1),
        ("there", 2, 1),
        ("there", u64::MAX, 1),
        ("missing", 1, 0),
    ] {
        for change in [put("key", key, 2), removed("key", key)] {
            let answer = store.put_records(vec![expecting(expected, change)]).await;
            let conflict = Conflict {
                kind: "key".to_owned(),
                key: key.to_owned(),
                current,
            };
            assert_eq!(answer, Ok(Err(conflict)));
        }
    }
    let found = all(store, "key").await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].version, &found[0].body), (1, &json!(1)));
    assert_eq!(
        made(store, vec![expecting(0, removed("key", "missing"))]).await,
        [0]
    );
    assert_eq!(
        made(store, vec![expecting(0, put("key", "missing", 1))]).await,
        [1]
    );
    assert_eq!(
        made(store, vec![expecting(1, put("key", "there", 2))]).await,
        [2]
    );
    assert_eq!(
        made(store, vec![expecting(2, removed("key", "there"))]).await,
        [0]
    );
}

pub(super) async fn makes_all_changes_or_none(store: &dyn Both) {
    made(store, vec![put("key", "a", 1), put("key", "b", 1)]).await;
    let before = all(store, "key").await;
    let good = [put("key", "a", 2), put("key", "c", 1), removed("key", "b")];
    for bad in [
        expecting(7, put("key", "d", 1)),
        expecting(0, put("key", "a", 3)),
        put("key", "", 1),
        put("key", "d", "x".repeat(RECORD_BYTES)),
    ] {
        for at in 0..=good.len() {
            let mut changes = good.to_vec();
            changes.insert(at, bad.clone());
            let answer = store.put_records(changes).await;
            assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
            assert_eq!(all(store, "key").await, before);
        }
    }
    assert_eq!(made(store, good.to_vec()).await, [2, 1, 0]);
    let keys = all(store, "key").await.into_iter().map(|it| it.key);
    assert_eq!(keys.collect::<Vec<_>>(), ["a", "c"]);
}

pub(super) async fn sees_its_own_changes(store: &dyn Both) {
    let changes = vec![
        expecting(0, put("key", "a", 1)),
        expecting(1, put("key", "a", 2)),
        expecting(0, put("other", "a", 1)),
        expecting(2, removed("key", "a")),
        expecting(0, put("key", "a", 3)),
    ];
    assert_eq!(made(store, changes).await, [1, 2, 1, 0, 1]);
    let found = record(store, "key", "a").await.expect("a record");
    assert_eq!((found.version, found.body), (1, json!(3)));
    let found = record(store, "other", "a").await.expect("a record");
    assert_eq!((found.version, found.body), (1, json!(1)));
}

pub(super) async fn keeps_to_the_limits(store: &dyn Both) {
    // With its quotes it has as many bytes as are allowed.
    let largest = "x".repeat(RECORD_BYTES - 2);
    let longest = "\u{e4}".repeat(KEY_BYTES / 2);
    let changes = vec![put(&longest, &longest, largest.clone())];
    assert_eq!(made(store, changes).await, [1]);
    let found = record(store, &longest, &longest).await.expect("a record");
    assert!(found.body == json!(largest));
    let over = format!("{longest}x");
    for change in [
        put("key", "a", format!("{largest}x")),
        put(&over, "a", 1),
        put("key", &over, 1),
        put("", "a", 1),
        put("key", "", 1),
        put("key", "a\0", 1),
        put("k\0", "a", 1),
        removed("key", &over),
    ] {
        let answer = store.put_records(vec![change]).await;
        assert!(
            matches!(answer, Err(StoreError::Refused { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(all(store, "key").await, []);
    assert_eq!(made(store, Vec::new()).await, Vec::<u64>::new());
    let many = |count| (0..count).map(|n| put("key", &format!("{n:05}"), n));
    let answer = store.put_records(many(PUTS + 1).collect()).await;
    assert!(matches!(answer, Err(StoreError::Refused { .. })));
    assert_eq!(made(store, many(PUTS).collect()).await, vec![1; PUTS]);
    assert_eq!(all(store, "key").await.len(), PUTS);
}

pub(super) async fn loses_no_change_of_many_writers(store: &dyn Both) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 6;
    let writers = (0..WRITERS).map(|n| async move {
        for _ in 0..EACH {
            raise(store).await;
            made(store, vec![put("own", &n.to_string(), n)]).await;
        }
    });
    join_all(writers).await;
    let count = record(store, "shared", "count").await.expect("a record");
    assert_eq!(
        (count.version, count.body),
        (WRITERS * EACH, json!(WRITERS * EACH))
    );
    let own = all(store, "own").await;
    assert_eq!(own.len() as u64, WRITERS);
    assert!(own.iter().all(|it| it.version == EACH));
}

/// Adds one to a number that others add to as well.
async fn raise(store: &dyn Both) {
    loop {
        let found = record(store, "shared", "count").await;
        let version = found.as_ref().map_or(0, |it| it.version);
        let number = found.and_then(|it| it.body.as_u64()).unwrap_or(0);
        let change = expecting(version, put("shared", "count", number + 1));
        match store.put_records(vec![change]).await.expect("an answer") {
            Ok(versions) => return assert_eq!(versions, [version + 1]),
            Err(conflict) => assert!(conflict.current > version, "{conflict:?}"),
        }
    }
}
