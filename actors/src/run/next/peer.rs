//! A peer that was asked whether it engages: what its answer means.

use crate::model::{Content, EventBody};
use crate::run::state::{RunState, Turn};
use crate::run::tools::DECLINE;

/// What is to be written when a peer has answered: that it engages, or that it does not and its run has ended.
pub(super) fn decide(state: &RunState) -> Option<Vec<EventBody>> {
    let turn = state.last_turn().filter(|_| state.is_undecided())?;
    Some(match declines(turn) {
        None => vec![EventBody::PeerDecided {
            engages: true,
            reason: String::new(),
        }],
        Some(reason) => vec![
            EventBody::PeerDecided {
                engages: false,
                reason: reason.clone(),
            },
            EventBody::RunCompleted {
                result: Content::Inline(format!("declined: {reason}").trim_end().to_owned()),
                usage: state.usage,
            },
        ],
    })
}

/// Why it does not engage: by the tool, or by an answer that begins with its name.
fn declines(turn: &Turn) -> Option<String> {
    let by_tool = turn.calls.iter().find(|call| call.call.name == DECLINE);
    if let Some(call) = by_tool {
        let reason = call.call.args.get("reason");
        let reason = reason.and_then(|reason| reason.as_str());
        return Some(reason.unwrap_or_default().to_owned());
    }
    let text = turn.text.trim();
    let (word, rest) = text.split_at_checked(DECLINE.len())?;
    let is_word = word.eq_ignore_ascii_case(DECLINE) && !rest.starts_with(char::is_alphanumeric);
    let is_it = turn.calls.is_empty() && is_word;
    is_it.then(|| rest.trim_matches([':', '.', ',', ' ', '-']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> Option<String> {
        declines(&Turn {
            seq: 1,
            number: 0,
            text: text.to_owned(),
            calls: Vec::new(),
            opaque: Vec::new(),
        })
    }

    #[test]
    fn an_answer_that_begins_with_the_word_declines() {
        assert_eq!(says("DECLINE"), Some(String::new()));
        assert_eq!(says(" decline: not mine."), Some("not mine".to_owned()));
        assert_eq!(says("Decline, thanks"), Some("thanks".to_owned()));
        for engages in ["", "declined", "I decline", "déclin", "the decline of"] {
            assert_eq!(says(engages), None, "{engages}");
        }
    }
}
