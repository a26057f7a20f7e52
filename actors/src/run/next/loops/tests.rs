//! Always found on rounds of one to four turns, never on anything that gets somewhere.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{RunId, ToolCall};

/// A turn: what is called with which argument, and what comes of it.
type Turned = (u8, u8, bool, String);

fn turn(number: u32, (tool, arg, fails, result): &Turned) -> Item {
    let call = Call {
        call: ToolCall {
            id: format!("call_{number}"),
            name: format!("tool_{tool}"),
            args: json!({ "b": arg, "a": [1, Value::Null] }),
        },
        phase: CallPhase::Done {
            seq: u64::from(number),
            outcome: if *fails { Outcome::Error } else { Outcome::Ok },
            content: Content::Inline(result.clone()),
        },
        class: None,
        decided: None,
        retries: 0,
        executor: None,
    };
    Item::Turn(Turn {
        seq: u64::from(number),
        number,
        text: format!("words of turn {number}"),
        calls: vec![call],
        opaque: Vec::new(),
    })
}

fn state(turns: &[Turned]) -> RunState {
    let mut state = RunState::new(RunId(uuid::Uuid::nil()));
    state.items = (0..).zip(turns).map(|(n, it)| turn(n, it)).collect();
    state
}

fn note(from: Sender, text: &str) -> Item {
    Item::Note(Note {
        seq: 0,
        shared: false,
        to: None,
        progress_of: None,
        replaced_by: None,
        from,
        content: Content::Inline(text.to_owned()),
    })
}

fn any_turn() -> impl Strategy<Value = Turned> {
    (0..3u8, 0..3u8, any::<bool>(), "[ab]{0,2}")
}

proptest! {
    #[test]
    fn a_round_of_up_to_four_turns_is_found_as_soon_as_it_was_made_often_enough(
        before in prop::collection::vec(any_turn(), 0..10),
        round in prop::collection::vec(any_turn(), 1..=LONGEST),
        least in 2..7u32,
    ) {
        let mut turns = before;
        for _ in 0..least {
            turns.extend(round.iter().cloned());
        }
        let found = find(&state(&turns), least, least);
        prop_assert!(found.is_some_and(|it| it.times >= least));
    }

    #[test]
    fn what_has_another_result_each_time_is_never_a_loop(
        turns in prop::collection::vec(any_turn(), 0..60),
        least in 2..7u32,
    ) {
        // Polling: the calls may be the same for ever, as long as what comes of them is not.
        let polled: Vec<_> = (0..).zip(turns)
            .map(|(n, (tool, arg, fails, result))| (tool, arg, fails, format!("{result} {n}")))
            .collect();
        prop_assert_eq!(find(&state(&polled), least, least), None);
    }

    #[test]
    fn calls_that_are_not_made_again_are_no_loop(
        turns in prop::collection::vec(("[ab]{0,2}", any::<bool>()), 0..60),
        least in 3..7u32,
    ) {
        let new: Vec<_> = (0..).zip(turns).map(|(n, (result, _))| (n, n, false, result)).collect();
        prop_assert_eq!(find(&state(&new), least, least), None);
    }

    #[test]
    fn what_a_person_says_begins_anew(
        turn in any_turn(),
        times in 1..12usize,
        after in 0..2usize,
    ) {
        let turns = vec![turn; times + after];
        let mut said = state(&turns);
        said.items.insert(times, note(Sender::Human, "try something else"));
        prop_assert_eq!(find(&said, 2, 6), None);
    }
}

#[test]
fn each_kind_of_loop_in_words() {
    let same = |n| vec![(0, 0, false, "x".to_owned()); n];
    let two = [(0, 0, false, "x".to_owned()), (1, 0, false, "y".to_owned())];
    let failing = (0..4).map(|n| (0, n, true, "no such file".to_owned()));
    let mut silent = state(&same(3));
    for item in &mut silent.items {
        if let Item::Turn(turn) = item {
            (turn.calls, turn.text) = (Vec::new(), "I am done.".to_owned());
        }
    }
    let words = |state: &RunState| match find(state, 3, 6) {
        Some(found) => format!(
            "{} times since turn {}: {}",
            found.times, found.since, found.what
        ),
        None => "none".to_owned(),
    };
    let all = [
        words(&state(&same(2))),
        words(&state(&same(3))),
        words(&state(&[two.clone(), two.clone(), two].concat())),
        words(&state(&failing.collect::<Vec<_>>())),
        words(&silent),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    none
    3 times since turn 0: `tool_0` with the same arguments gave the same result
    3 times since turn 0: `tool_0`, `tool_1` with the same arguments, in turn, gave the same results
    4 times since turn 0: `tool_0` failed each time with the same error
    3 times since turn 0: the same answer, without doing anything
    ");
}

#[test]
fn what_others_say_counts_and_what_the_runtime_says_does_not() {
    let turns = vec![(0, 0, false, "x".to_owned()); 4];
    let between = |from: &dyn Fn(usize) -> Item| {
        let mut said = state(&turns);
        for place in (1..4).rev() {
            said.items.insert(place, from(place));
        }
        find(&said, 3, 6).map(|found| found.times)
    };
    let agent = || Sender::Agent("ada".into());
    assert_eq!(between(&|n| note(agent(), &format!("news {n}"))), None);
    assert_eq!(between(&|_| note(agent(), "thanks")), Some(3));
    assert_eq!(
        between(&|n| note(Sender::System, &format!("alert {n}"))),
        Some(4)
    );
}

#[test]
fn the_same_work_delegated_again_and_again_is_the_same() {
    let delegated = |n: u8| {
        let run = RunId(uuid::Uuid::from_u128(n.into()));
        (
            0,
            0,
            false,
            format!("ada ({run}) completed:\nnothing found"),
        )
    };
    let mut runs = state(&(1..4).map(delegated).collect::<Vec<_>>());
    assert_eq!(find(&runs, 3, 6), None);
    for item in &mut runs.items {
        if let Item::Turn(turn) = item {
            turn.calls[0].call.name = CREATE_RUN.to_owned();
        }
    }
    assert_eq!(find(&runs, 3, 6).map(|found| found.times), Some(3));
}
