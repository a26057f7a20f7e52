//! A thousand teams drawn from seeds, each with accidents of its own: whatever is killed, the task comes to its end, its journal is
//! true, and what was done outside was done once or is in doubt. The same seed gives the same journal.
//!
//! `TROUPE=17 cargo test -p impresario-actors --test it seeds` plays one of them and shows it.

use std::collections::BTreeSet;

use actors::model::{Event, EventBody, RunId, Step, TaskStatus};

use crate::support::plays::{Played, accidents, each, play, text};
use crate::support::requests::{Record, every_answer_was_to_the_right_request};
use crate::support::trace::requests;
use crate::support::troupe::Habits;
use crate::support::{check, virtual_time};

/// How many seeds are played in an ordinary run.
const TROUPES: u64 = 1_000;

/// Seeds beyond them that once found something.
const FOUND: [u64; 1] = [3_342];

fn examine(seed: u64) -> u64 {
    let played = play(seed, accidents(seed));
    assert!(
        played.status.is_some_and(TaskStatus::is_terminal),
        "it ended {:?}\n{}",
        played.status,
        text(&played.events)
    );
    assert!(played.tree_is_gone, "something is left of the tree");
    virtual_time(async {
        check::journal(&played.stage.store, &played.events).await;
        let record = Record::new(&played.events, &*played.stage.store).await;
        let asked: Vec<_> = requests(&played.facts).map(|(_, asked)| asked).collect();
        every_answer_was_to_the_right_request(&record, &asked);
    });
    check::payments(&played.events, &played.stage.outside);
    if Habits::of(seed).is_even() {
        outside_it_is_as_without_accidents(&played);
    }
    let again = play(seed, accidents(seed));
    is_the_same(&text(&played.events), &text(&again.events));
    played.moments
}

/// Where nothing but accidents goes wrong, a call that was never in doubt was made as it is made without them.
fn outside_it_is_as_without_accidents(played: &Played) {
    let calm = play(played.seed, Vec::new());
    assert_eq!(calm.status, Some(TaskStatus::Completed));
    assert_eq!(played.status, calm.status, "\n{}", text(&played.events));
    let (wanted, paid) = (
        calm.stage.outside.payments(),
        played.stage.outside.payments(),
    );
    assert!(wanted.values().all(|times| *times == 1));
    let doubted = in_doubt(&played.events);
    for what in wanted.keys().chain(paid.keys()) {
        let is_as_wanted = wanted.get(what) == paid.get(what);
        assert!(
            is_as_wanted || doubted.contains(what.as_str()),
            "{what} was paid {:?} times, and {:?} without accidents\n{}",
            paid.get(what),
            wanted.get(what),
            text(&played.events)
        );
    }
}

/// What the calls pay that the journal says were in doubt.
fn in_doubt(events: &[Event]) -> BTreeSet<&str> {
    let doubts = events.iter().filter_map(|event| match &event.body {
        EventBody::ToolCallInDoubt { step, .. } => Some((event.run_id?, *step)),
        _ => None,
    });
    doubts.filter_map(|doubt| what(events, doubt)).collect()
}

fn what(events: &[Event], (run, at): (RunId, Step)) -> Option<&str> {
    events.iter().find_map(|event| match &event.body {
        EventBody::ModelCallCompleted { turn, calls, .. }
            if (event.run_id, *turn) == (Some(run), at.turn) =>
        {
            calls[at.index as usize].args["what"].as_str()
        }
        _ => None,
    })
}

fn is_the_same(first: &str, second: &str) {
    if first == second {
        return;
    }
    let differing = first.lines().zip(second.lines()).position(|(a, b)| a != b);
    let at = differing.unwrap_or(first.lines().count().min(second.lines().count()));
    panic!(
        "the same seed gave another journal from event {}:\n{:?}\n{:?}",
        at + 1,
        first.lines().nth(at),
        second.lines().nth(at)
    );
}

/// Why a seed failed, if it did.
fn failure(seed: u64) -> Result<u64, String> {
    let unknown = || "?".to_owned();
    std::panic::catch_unwind(|| examine(seed)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let word = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(word).unwrap_or_else(unknown)
    })
}

#[test]
fn whatever_happens_a_task_comes_to_its_end_and_the_journal_is_true() {
    if let Ok(seed) = std::env::var("TROUPE") {
        let seed = seed.parse().expect("a seed is a number");
        println!("{:?}", accidents(seed));
        println!("{}", text(&play(seed, accidents(seed)).events));
        examine(seed);
        return;
    }
    let seeds = std::env::var("TROUPES").map_or(TROUPES, |seeds| seeds.parse().expect("a number"));
    let mut results = each(0..seeds, failure);
    results.extend(FOUND.map(failure));
    println!(
        "{seeds} seeds, {} moments",
        results.iter().flatten().sum::<u64>()
    );
    let failed: Vec<_> = (0..seeds)
        .chain(FOUND)
        .zip(&results)
        .filter(|(_, it)| it.is_err())
        .collect();
    for (seed, result) in failed.iter().take(40) {
        let text = result.as_ref().expect_err("it failed");
        println!(
            "TROUPE={seed}: {}",
            text.chars().take(600).collect::<String>()
        );
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed",
        failed.len()
    );
}
