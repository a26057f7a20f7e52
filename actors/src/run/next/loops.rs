//! Does a run go round in circles? Pure, and a fold: the same conversation gives the same answer after any restart.
//!
//! A *move* is one turn: what it called, with which arguments, what came of it, and what others said before it. Moves that repeat
//! with a period of one to four turns are a loop, and so are calls of one tool that fail again and again with the same error. A call
//! that has another result than last time is progress, so polling something that changes is none. What a person says begins anew.

use crate::model::event::Outcome;
use crate::model::{Content, Sender};
use crate::run::state::{Call, CallPhase, Item, Note, RunState, Turn};
use crate::run::tools::CREATE_RUN;

/// The longest round that is recognised, in turns.
pub const LONGEST: usize = 4;

/// A run that goes round in circles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// How often the round was made.
    pub times: u32,
    /// The turn with which it began.
    pub since: u32,
    /// What was seen, in words.
    pub what: String,
}

/// One turn, as far as it matters here.
#[derive(Debug, PartialEq)]
struct Move<'a> {
    calls: Vec<Made<'a>>,
    /// What it said, if it called nothing.
    text: Option<&'a str>,
    heard: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Made<'a> {
    tool: &'a str,
    args: &'a serde_json::Value,
    end: Option<Outcome>,
    result: String,
}

/// The loop a run is in, if it has made some round at least `least` times; `most` is how many rounds are looked at.
#[must_use]
pub fn find(state: &RunState, least: u32, most: u32) -> Option<Loop> {
    let longest = LONGEST * most.max(least) as usize;
    let (moves, turns) = moves(state, longest);
    let same = (1..=LONGEST).filter_map(|period| {
        let times = rounds(&moves, period);
        (times >= least).then(|| Loop {
            times,
            since: turns[moves.len() - times as usize * period],
            what: round_in_words(&moves[moves.len() - period..]),
        })
    });
    let failing = failing(&moves, &turns).filter(|it| it.times >= least);
    same.chain(failing).max_by_key(|it| it.times)
}

/// How often the last `period` moves were made one after the other, at the end.
fn rounds(moves: &[Move<'_>], period: usize) -> u32 {
    if moves.len() < period {
        return 0;
    }
    let back = moves.iter().rev();
    let same = back.zip(moves.iter().rev().skip(period));
    let same = same.take_while(|(later, earlier)| later == earlier).count();
    u32::try_from(same / period + 1).unwrap_or(u32::MAX)
}

/// Calls of one tool that end with one error, whatever their arguments.
fn failing(moves: &[Move<'_>], turns: &[u32]) -> Option<Loop> {
    let error = |it: &Move<'_>| match it.calls.as_slice() {
        [only] if only.end == Some(Outcome::Error) => {
            Some((only.tool.to_owned(), only.result.clone()))
        }
        _ => None,
    };
    let last = error(moves.last()?)?;
    let same = moves
        .iter()
        .rev()
        .take_while(|it| error(it).as_ref() == Some(&last));
    let times = same.count();
    Some(Loop {
        times: u32::try_from(times).unwrap_or(u32::MAX),
        since: turns[moves.len() - times],
        what: format!("`{}` failed each time with the same error", last.0),
    })
}

fn round_in_words(round: &[Move<'_>]) -> String {
    let tools = round
        .iter()
        .flat_map(|it| it.calls.iter().map(|call| call.tool));
    let mut names: Vec<_> = tools.map(|tool| format!("`{tool}`")).collect();
    names.dedup();
    match (names.as_slice(), round.len()) {
        ([], _) => "the same answer, without doing anything".to_owned(),
        ([one], 1) => format!("{one} with the same arguments gave the same result"),
        (all, _) => format!(
            "{} with the same arguments, in turn, gave the same results",
            all.join(", ")
        ),
    }
}

/// The last moves since a person said something, and the numbers of their turns.
fn moves(state: &RunState, longest: usize) -> (Vec<Move<'_>>, Vec<u32>) {
    let (mut moves, mut turns) = (Vec::new(), Vec::new());
    let newest = state.unseen.iter().any(|note| note.from == Sender::Human);
    let mut heard: Vec<&Note> = Vec::new();
    let mut waiting: Option<&Turn> = None;
    for item in state.items.iter().rev().take_while(|_| !newest) {
        match item {
            Item::Note(note) if note.from == Sender::Human => break,
            Item::Note(note) => heard.push(note),
            Item::Turn(turn) => {
                take(&mut waiting, &mut heard, &mut moves, &mut turns);
                waiting = Some(turn);
            }
        }
        if moves.len() >= longest {
            break;
        }
    }
    take(&mut waiting, &mut heard, &mut moves, &mut turns);
    moves.reverse();
    turns.reverse();
    (moves, turns)
}

/// A turn, with what was heard before it.
fn take<'a>(
    turn: &mut Option<&'a Turn>,
    heard: &mut Vec<&'a Note>,
    moves: &mut Vec<Move<'a>>,
    turns: &mut Vec<u32>,
) {
    let heard = std::mem::take(heard);
    let Some(turn) = turn.take() else { return };
    let counts = |note: &&&Note| note.from != Sender::System && note.progress_of.is_none();
    let told = heard.iter().filter(counts);
    turns.push(turn.number);
    moves.push(Move {
        calls: turn.calls.iter().map(made).collect(),
        text: turn.calls.is_empty().then_some(turn.text.as_str()),
        heard: told
            .map(|note| without_ids(identity(&note.content)))
            .collect(),
    });
}

fn made(call: &Call) -> Made<'_> {
    let (end, result) = match &call.phase {
        CallPhase::Done {
            outcome, content, ..
        } => (Some(*outcome), identity(content)),
        _ => (None, ""),
    };
    // Each delegated run has an id of its own; two that say the same are the same all the same.
    let result = match call.call.name.as_str() {
        CREATE_RUN => without_ids(result),
        _ => result.to_owned(),
    };
    Made {
        tool: &call.call.name,
        args: &call.call.args,
        end,
        result,
    }
}

/// A text, or what is known of it: texts with one hash are the same.
fn identity(content: &Content) -> &str {
    match content {
        Content::Inline(text) => text,
        Content::Blob { blob, .. } => blob,
    }
}

/// A text in which the ids of runs are no difference.
fn without_ids(text: &str) -> String {
    const ID: usize = 32;
    let mut parts = text.split("run_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let id = part
            .get(..ID)
            .filter(|id| uuid::Uuid::try_parse(id).is_ok());
        out.push_str("run_");
        out.push_str(id.map_or(part, |id| &part[id.len()..]));
    }
    out
}

#[cfg(test)]
mod tests;
