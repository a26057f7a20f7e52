//! Replies that make no sense.

use serde_json::{Value, json};

use crate::model::{Reply, StopReason, Usage};

/// What is wrong with a reply.
#[derive(Debug, Clone, Copy)]
pub(super) enum Garbage {
    /// All its calls have one id.
    SameIds,
    /// Its calls have no id.
    NoIds,
    /// It does not stop for the reason that it says.
    Stop,
    /// There is nothing in it.
    Empty,
    /// What its calls are given is nothing that could be given.
    Args,
    /// Its calls are of nothing that has such a name.
    Name,
    /// It says that it has cost more than there is.
    Usage,
    /// Its text is no text.
    Text,
}

impl Garbage {
    pub(super) fn in_reply(self, mut reply: Reply) -> Reply {
        let calls = reply.calls.iter_mut();
        match self {
            Self::SameIds => calls.for_each(|call| call.id = "call".to_owned()),
            Self::NoIds => calls.for_each(|call| call.id.clear()),
            Self::Args => calls.for_each(|call| call.args = args(&call.args)),
            Self::Name => calls.for_each(|call| call.name = "\u{0}/..\n".repeat(500)),
            Self::Stop => {
                reply.stop = match reply.stop {
                    StopReason::End => StopReason::ToolCalls,
                    _ => StopReason::End,
                }
            }
            Self::Empty => {
                reply.text.clear();
                reply.calls.clear();
            }
            Self::Usage => {
                reply.usage = Usage {
                    input_tokens: u64::MAX / 8,
                    cost_usd_micros: u64::MAX / 8,
                    ..Usage::default()
                };
            }
            Self::Text => reply.text = format!("\u{0}\u{1b}[2J\u{fffd}{}", reply.text),
        }
        reply
    }
}

fn args(given: &Value) -> Value {
    match given.to_string().len() % 4 {
        0 => Value::Null,
        1 => json!("{\"what\": "),
        2 => json!(1e300),
        _ => json!({ "": [[[[]]]], "agent": 7, "input": null }),
    }
}
