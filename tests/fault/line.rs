//! The line to the database breaks at a transaction, at its beginning, before its end or on the way of the answer: nobody notices, and
//! nothing is done twice.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::crash::{MAY_BE_ONE, Outcome, calm, counts, play_over};
use crate::support::postgres::Schema;
use crate::support::proxy::{Proxy, Trouble};

#[test]
fn the_line_to_the_database_breaks() {
    let Some(schema) = Schema::fresh() else {
        return;
    };
    let calm = calm(Some(&schema));
    let last = counts(&calm.passed)["append"] - MAY_BE_ONE;
    let left = Mutex::new((1..=last).step_by(4));
    let next = || left.lock().expect("no panic").next();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let schema = Schema::fresh().expect("a server");
                let proxy = Proxy::before(schema.address());
                // The first commit is that of the schema's version.
                while let Some(nth) = next() {
                    break_at(nth + 1, &proxy, &schema, &calm);
                }
            });
        }
    });
}

fn break_at(nth: u32, proxy: &Proxy, schema: &Schema, calm: &Outcome) {
    // What is not even begun is the journal's to try again; of the rest the store finds out by itself.
    let trouble = match nth % 3 {
        0 => Trouble::Lost,
        1 => Trouble::Unbegun,
        _ => Trouble::Unanswered,
    };
    proxy.trouble(nth, trouble);
    proxy.refuse_after(nth % 4);
    let url = schema.url_at(&proxy.address);
    let outcome = play_over(&[], Some(schema), Some(&url));
    assert!(proxy.had_trouble(), "nothing broke at commit {nth}");
    outcome.check(calm);
    assert_eq!(outcome.record.doubts(), BTreeSet::new());
}
