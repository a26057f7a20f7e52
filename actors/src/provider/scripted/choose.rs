//! Which entry of a script answers. PURE.

use super::ready::{Ready, ReadyEntry};
use crate::model::ChatMessage;

/// The entry that answers this conversation after `failed` failures in its newest turn; none when the script is used up.
///
/// The turns that are already in the conversation are gone through first, each with the message that was newest then, so
/// that the choice needs nothing but the conversation.
pub(super) fn choose(script: &Ready, messages: &[ChatMessage], failed: usize) -> Option<usize> {
    let mut used = vec![false; script.0.len()];
    for (place, message) in messages.iter().enumerate() {
        if matches!(message, ChatMessage::Assistant { .. }) {
            take(&script.0, &mut used, newest(&messages[..place]), usize::MAX);
        }
    }
    take(&script.0, &mut used, newest(messages), failed)
}

/// The first unused entry that fits `newest`. Failures before it are used up, at most `failed` of them.
fn take(
    entries: &[ReadyEntry],
    used: &mut [bool],
    newest: &str,
    mut failed: usize,
) -> Option<usize> {
    for (place, entry) in entries.iter().enumerate() {
        if used[place] || !fits(entry, newest) {
            continue;
        }
        used[place] = true;
        if entry.fail.is_none() || failed == 0 {
            return Some(place);
        }
        failed -= 1;
    }
    None
}

fn fits(entry: &ReadyEntry, newest: &str) -> bool {
    entry.when.as_ref().is_none_or(|when| when.is_match(newest))
}

/// The text of the newest message.
pub(super) fn newest(messages: &[ChatMessage]) -> &str {
    messages.last().map_or("", text)
}

/// The text of a message, whoever said it.
pub(super) fn text(message: &ChatMessage) -> &str {
    match message {
        ChatMessage::User { text }
        | ChatMessage::Assistant { text, .. }
        | ChatMessage::Tool { text, .. } => text,
    }
}

/// What a used-up script says: its last `say`, of an entry without `when` if there is one.
pub(super) fn last_say(script: &Ready) -> Option<usize> {
    let says = |entry: &ReadyEntry| entry.say.is_some() && entry.fail.is_none();
    let plain = |entry: &ReadyEntry| says(entry) && entry.when.is_none();
    let last = |wanted: &dyn Fn(&ReadyEntry) -> bool| script.0.iter().rposition(wanted);
    last(&plain).or_else(|| last(&says))
}
