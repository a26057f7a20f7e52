//! What HTTP model APIs have in common on the wire. PURE.

mod fault;
mod retry;

pub(crate) use crate::sse::{Event, SseDecoder};
pub(crate) use fault::{Fault, kind_of};
pub(crate) use retry::retry_after;

/// Foreign text for one line of a message: without control characters, and not too long.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 300;
    let clean = text.split(|c: char| c.is_whitespace() || c.is_control());
    let clean: Vec<&str> = clean.filter(|word| !word.is_empty()).collect();
    let line = clean.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
