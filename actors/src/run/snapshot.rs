//! A run's state without its texts, so that a long run is not folded from its beginning. Pure.
//!
//! A snapshot names the events whose texts it needs instead of repeating them, so a run's storage stays linear in its content.

use std::collections::BTreeMap;

use crate::model::{Content, Event, EventBody, Seq, Step};

use super::state::{CallPhase, Item, Note, RunState, Turn};

/// Events after which a new snapshot is worth its while.
pub const EVERY: u64 = 64;

/// So many parts of a state are written again for each event since the snapshot before.
const SHARE: u64 = 8;

/// After how many events a new snapshot of a state is worth its while: a large one is written less often, so that all snapshots of
/// a run together cost in proportion to what it has done, and not to its square.
#[must_use]
pub fn after(state: &RunState) -> u64 {
    let calls = state.last_turn().map_or(0, |turn| turn.calls.len());
    let parts = state.items.len() + state.unseen.len() + state.children.len() + calls;
    EVERY.max(u64::try_from(parts).unwrap_or(u64::MAX) / SHARE)
}

/// A state that cannot be read back; the run is then folded from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot cannot be used: {0}")]
pub struct Unusable(String);

/// Writes a state down without its texts.
///
/// # Errors
/// Never for a state that was folded from events.
pub fn write(state: &RunState) -> Result<Vec<u8>, Unusable> {
    serde_json::to_vec(state).map_err(|error| Unusable(error.to_string()))
}

/// Reads a state without its texts.
///
/// # Errors
/// What is wrong with the bytes.
pub fn read(body: &[u8]) -> Result<RunState, Unusable> {
    serde_json::from_slice(body).map_err(|error| Unusable(error.to_string()))
}

/// The events whose texts a state needs.
#[must_use]
pub fn refers_to(state: &RunState) -> Vec<Seq> {
    let of_turn = |turn: &Turn| {
        let done = turn.calls.iter().filter_map(|call| {
            if let CallPhase::Done { seq, .. } = call.phase {
                Some(seq)
            } else {
                None
            }
        });
        std::iter::once(turn.seq).chain(done).collect::<Vec<_>>()
    };
    let of_item = |item: &Item| match item {
        Item::Note(note) => vec![note.seq],
        Item::Turn(turn) => of_turn(turn),
    };
    let mut seqs: Vec<_> = state
        .items
        .iter()
        .flat_map(of_item)
        .chain(state.unseen.iter().map(|note| note.seq))
        .collect();
    seqs.push(state.queued);
    seqs.sort_unstable();
    seqs.dedup();
    seqs
}

/// Puts the texts back.
///
/// # Errors
/// Names the first event that is missing or holds something else than the state needs of it.
pub fn hydrate(
    state: &mut RunState,
    events: impl IntoIterator<Item = Event>,
) -> Result<(), Unusable> {
    let events: BTreeMap<Seq, Event> = events.into_iter().map(|event| (event.id, event)).collect();
    let find = |seq: Seq| {
        events
            .get(&seq)
            .map(|event| &event.body)
            .ok_or_else(|| Unusable(format!("event {seq} is missing")))
    };
    match find(state.queued)? {
        EventBody::RunQueued { spec } => state.spec = Some((**spec).clone()),
        _ => return Err(mismatch(state.queued)),
    }
    for item in &mut state.items {
        match item {
            Item::Note(note) => fill_note(note, find(note.seq)?)?,
            Item::Turn(turn) => fill_turn(turn, &find)?,
        }
    }
    state
        .unseen
        .iter_mut()
        .try_for_each(|note| fill_note(note, find(note.seq)?))
}

fn mismatch(seq: Seq) -> Unusable {
    Unusable(format!("event {seq} holds something else"))
}

fn fill_note(note: &mut Note, body: &EventBody) -> Result<(), Unusable> {
    note.content = match body {
        EventBody::Message { content, .. } | EventBody::RunContinued { content, .. } => {
            content.clone()
        }
        body @ EventBody::RunProgress { .. } => {
            Content::Inline(super::state::progress(body).unwrap_or_default())
        }
        EventBody::TaskMessage { content, .. } => Content::Inline(content.clone()),
        EventBody::Alert { note, .. } => Content::Inline(note.clone()),
        _ => return Err(mismatch(note.seq)),
    };
    Ok(())
}

fn fill_turn<'a>(
    turn: &mut Turn,
    find: &impl Fn(Seq) -> Result<&'a EventBody, Unusable>,
) -> Result<(), Unusable> {
    let EventBody::ModelCallCompleted {
        text,
        calls,
        opaque,
        ..
    } = find(turn.seq)?
    else {
        return Err(mismatch(turn.seq));
    };
    (turn.text, turn.opaque) = (text.clone(), opaque.clone());
    if calls.len() != turn.calls.len() {
        return Err(mismatch(turn.seq));
    }
    for ((index, call), asked) in (0..).zip(&mut turn.calls).zip(calls) {
        call.call = asked.clone();
        if let CallPhase::Done { seq, content, .. } = &mut call.phase {
            *content = result(
                find(*seq)?,
                Step {
                    turn: turn.number,
                    index,
                },
            )
            .ok_or_else(|| mismatch(*seq))?;
        }
    }
    Ok(())
}

fn result(body: &EventBody, at: Step) -> Option<Content> {
    match body {
        EventBody::ToolCallCompleted { step, content, .. } if *step == at => Some(content.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RunId, Sender};

    #[test]
    fn the_larger_a_run_the_fewer_its_snapshots() {
        let mut state = RunState::new(RunId(uuid::Uuid::nil()));
        let note = |seq| {
            let said = Content::Inline(String::new());
            Item::Note(crate::run::notes::private(seq, &Sender::Human, said))
        };
        let mut written = 0;
        let mut next = after(&state);
        for seq in 1..=100_000 {
            state.items.push(note(seq));
            if seq == next {
                written += state.items.len();
                next = seq + after(&state);
            }
        }
        assert_eq!(after(&RunState::new(state.id)), EVERY);
        assert!(written < 1_000_000, "{written} parts for 100,000 events");
    }
}
