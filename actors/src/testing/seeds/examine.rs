//! Plays a seed and holds what came of it against everything that must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::person::Wish;
use super::plays::{Played, play, text};
use super::requests::{Record, every_answer_was_to_the_right_request};
use super::trace::{Did, requests};
use super::trial::Trial;
use super::{check, virtual_time};
use crate::model::{Event, EventBody, RunId, Seq, Step, TaskStatus};
use crate::testing::census::Census;

/// What befell a seed that was played, or why it failed.
pub type Verdict = Result<BTreeMap<String, u64>, String>;

/// Plays a trial twice and examines it. A promise that is broken is the error, in words.
///
/// # Errors
/// The first promise that was broken.
pub fn examine(trial: &Trial) -> Verdict {
    let unknown = || "?".to_owned();
    catch_unwind(AssertUnwindSafe(|| examined(trial))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let word = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(word).unwrap_or_else(unknown)
    })
}

fn examined(trial: &Trial) -> BTreeMap<String, u64> {
    let played = play(trial);
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
    nothing_is_asked_after_the_end(&played);
    if trial.habits.is_even() && !is_cancelled(trial, &played) {
        outside_it_is_as_without_accidents(&played);
    }
    let again = play(trial);
    is_the_same(&text(&played.events), &text(&again.events));
    assert_eq!(played.census, again.census, "the same befell");
    let census = Census::default();
    census.add(&played.census);
    census.note("seeds");
    census.all()
}

/// Whether a person's cancel came before its end, which accidents may have put off.
fn is_cancelled(trial: &Trial, played: &Played) -> bool {
    let cancels = |wish: &Wish| matches!(wish, Wish::Cancel);
    let is_wanted = trial.wishes.iter().any(|(_, wish)| cancels(wish));
    is_wanted && played.status == Some(TaskStatus::Cancelled)
}

/// Of a run that has ended no model is asked any more, unless it was continued.
fn nothing_is_asked_after_the_end(played: &Played) {
    let mut over = BTreeMap::<RunId, Seq>::new();
    let mut events = played.events.iter().peekable();
    for fact in &played.facts {
        while let Some(event) = events.next_if(|event| event.id <= fact.head) {
            let Some(run) = event.run_id else { continue };
            if event.body.is_run_end() {
                over.insert(run, event.id);
            } else if matches!(event.body, EventBody::RunContinued { .. }) {
                over.remove(&run);
            }
        }
        if let Did::Asked(request) = &fact.did
            && let Some(end) = over.get(&request.run)
        {
            let (run, head) = (request.run, fact.head);
            panic!("{run} ended at event {end} and asked a model at event {head}");
        }
    }
}

/// Where nothing but accidents goes wrong, a call that was never in doubt was made as it is made without them.
fn outside_it_is_as_without_accidents(played: &Played) {
    let calm = play(&Trial::calm(played.seed));
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
