//! The order of keys, prefixes, pages.

use crate::store::RecordQuery;

use super::{Both, all, made, put, records};

/// Keys whose order differs between languages, between encodings and between cases, and those that mean something in patterns.
const KEYS: &[&str] = &[
    "Z",
    "a",
    "B",
    "b",
    "\u{e4}",
    "z",
    "aa",
    "a-b",
    "a_b",
    "a%b",
    "a.b",
    "a b",
    "ab",
    "A",
    "10",
    "9",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{10ffff}\u{10ffff}",
    "\u{1}",
    "\u{1}0",
    "'",
    "\"",
    "\\",
    "%",
    "_",
    "a/",
    "a/1",
    "a0",
    "\u{301}e",
    "e\u{301}",
    "\u{e9}",
];

fn sorted() -> Vec<&'static str> {
    let mut keys = KEYS.to_vec();
    keys.sort_unstable_by_key(|key| key.as_bytes());
    keys
}

async fn filled(store: &dyn Both) {
    let of = |kind: &str| KEYS.iter().map(|key| put(kind, key, *key)).collect();
    for kind in ["key", "kex", "kez", "KEY", "ke"] {
        made(store, of(kind)).await;
    }
}

pub(super) async fn lists_in_the_order_of_bytes(store: &dyn Both) {
    filled(store).await;
    let found = all(store, "key").await;
    assert!(found.iter().all(|it| it.kind == "key" && it.body == it.key));
    let keys: Vec<_> = found.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, sorted());
    assert_eq!(all(store, "k").await, []);
    assert_eq!(all(store, "").await, []);
}

pub(super) async fn finds_by_prefix_and_page(store: &dyn Both) {
    filled(store).await;
    let sorted = sorted();
    for prefix in ["", "a", "a/", "a_", "%", "\u{10ffff}", "\u{1}", "c", "b"] {
        for after in [
            "",
            "\u{1}",
            "a",
            "a.b",
            "ab",
            "aa0",
            "\u{10ffff}",
            "\u{10ffff}\u{10ffff}x",
        ] {
            let fits = |key: &&&str| key.starts_with(prefix) && key.as_bytes() > after.as_bytes();
            let wanted: Vec<_> = sorted.iter().filter(fits).copied().collect();
            for limit in [0, 1, 3, usize::MAX] {
                let query = RecordQuery {
                    kind: "key".to_owned(),
                    prefix: prefix.to_owned(),
                    after: after.to_owned(),
                    limit,
                };
                let found = records(store, query).await;
                let found: Vec<_> = found.iter().map(|it| it.key.as_str()).collect();
                let wanted = &wanted[..wanted.len().min(limit)];
                assert_eq!(found, wanted, "{prefix:?} after {after:?}");
            }
        }
    }
}
