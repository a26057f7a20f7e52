//! What was said to a run: heard, shown to its model, and heard again when its conversation begins again. Pure.
//!
//! A run learns late what others have written: what it says itself may be folded before what they said earlier. What its model is
//! shown is the same in either order.

use std::collections::BTreeMap;

use crate::model::{Content, Delegation, Event, EventBody, RunId, Sender, Seq};

use super::state::{Child, Item, Note, RunState, progress};

/// How many words about a delegated run's progress are kept besides the newest.
const KEPT_PROGRESS: usize = 3;

impl RunState {
    /// Said in the room: by itself it knows, and the outcome of what it delegated it is told in another way.
    pub(super) fn said(&mut self, event: &Event, by: Option<RunId>) {
        let EventBody::TaskMessage {
            from,
            to,
            content,
            outcome,
        } = &event.body
        else {
            return;
        };
        let of_child = || by.is_some_and(|run| self.children.contains_key(&run));
        if by == Some(self.id) || *outcome && of_child() {
            return;
        }
        let content = Content::Inline(content.clone());
        let note = Note {
            shared: true,
            to: to.clone(),
            ..private(event.id, from, content)
        };
        self.heard(note);
    }

    /// In the order of the journal, whatever order it was heard in.
    pub(super) fn heard(&mut self, note: Note) {
        let place = self.unseen.partition_point(|other| other.seq < note.seq);
        if self
            .unseen
            .get(place)
            .is_none_or(|other| other.seq != note.seq)
        {
            self.unseen.insert(place, note);
        }
    }

    /// How a run in the background is getting on: the newest word replaces the one before, and wakes nobody.
    pub(super) fn progressed(&mut self, run: RunId, event: &Event) {
        let in_background =
            |child: &&Child| child.delegation == Delegation::Background && child.end.is_none();
        let (Some(child), Some(text)) = (
            self.children.get(&run).filter(in_background),
            progress(&event.body),
        ) else {
            return;
        };
        let from = Sender::Agent(child.agent.as_str().into());
        self.replace_progress(run, event.id);
        self.heard(Note {
            shared: true,
            progress_of: Some(run),
            ..private(event.id, &from, Content::Inline(text))
        });
    }

    /// A model call that was begun meanwhile may have been made from one that is replaced now: the last few are kept.
    pub(super) fn replace_progress(&mut self, run: RunId, by: Seq) {
        let is_older = |note: &Note| note.progress_of == Some(run) && note.seq < by;
        for note in self.unseen.iter_mut().filter(|note| is_older(note)) {
            note.replaced_by.get_or_insert(by);
        }
        let count = self.unseen.iter().filter(|note| is_older(note)).count();
        let mut excess = count.saturating_sub(KEPT_PROGRESS);
        let thinking = self.thinking;
        let is_being_shown = |note: &Note| thinking.is_some_and(|it| note.is_shown(it.seen));
        self.unseen.retain(|note| {
            let goes = excess > 0 && is_older(note) && !is_being_shown(note);
            excess -= usize::from(goes);
            !goes
        });
    }

    /// What was said before the conversation began again is said to the next one, and of a run's progress the newest word alone, as
    /// long as its end was not told.
    pub(super) fn hear_again(&mut self) {
        let note = |item| match item {
            Item::Note(note) => Some(note),
            Item::Turn(_) => None,
        };
        let shown = std::mem::take(&mut self.items).into_iter().filter_map(note);
        let unseen = std::mem::take(&mut self.unseen);
        self.unseen = shown.chain(unseen).collect();
        self.replace_shown_progress();
    }

    /// A word that was shown was not replaced by the one after it: that was of another turn.
    fn replace_shown_progress(&mut self) {
        let children = &self.children;
        let is_told = |run| children.get(&run).is_some_and(|child| child.delivered);
        self.unseen
            .retain(|note| !note.progress_of.is_some_and(is_told));
        let mut newer = BTreeMap::new();
        for note in self.unseen.iter_mut().rev() {
            let Some(run) = note.progress_of else {
                continue;
            };
            if let Some(by) = newer.insert(run, note.seq) {
                note.replaced_by.get_or_insert(by);
            }
        }
    }

    /// What was said before the model call that just ended was made is part of the conversation now.
    pub(super) fn show(&mut self, answered: Seq) {
        let seen = self
            .thinking
            .take()
            .map_or(answered, |thinking| thinking.seen);
        let said = self.unseen.partition_point(|note| note.seq <= seen);
        // What had been replaced by then was not shown, and what was replaced since was.
        let shown = self.unseen.drain(..said).filter(|note| note.is_shown(seen));
        let for_good = |note| Note {
            replaced_by: None,
            ..note
        };
        self.items.extend(shown.map(for_good).map(Item::Note));
    }
}

pub(super) fn private(seq: Seq, from: &Sender, content: Content) -> Note {
    Note {
        seq,
        shared: false,
        to: None,
        progress_of: None,
        replaced_by: None,
        from: from.clone(),
        content,
    }
}

#[cfg(test)]
mod tests;
