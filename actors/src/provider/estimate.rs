//! Token counts where nobody counted. PURE.

use crate::model::{ChatMessage, ModelRequest, ToolCall, Usage};

const CHARS_PER_TOKEN: usize = 4;

/// What a call may have cost, at four characters a token, rounded up: good enough for progress and for budgets to bite.
#[must_use]
pub fn estimate(request: &ModelRequest, text: &str, calls: &[ToolCall]) -> Usage {
    Usage {
        input_tokens: tokens(read(request)),
        output_tokens: tokens(chars(text) + calls.iter().map(call).sum::<usize>()),
        ..Usage::default()
    }
}

/// The tokens of some texts, counted the same way.
#[must_use]
pub fn tokens_of(texts: &[&str]) -> u64 {
    tokens(texts.iter().map(|text| chars(text)).sum())
}

fn tokens(chars: usize) -> u64 {
    chars.div_ceil(CHARS_PER_TOKEN) as u64
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

fn call(call: &ToolCall) -> usize {
    chars(&call.name) + chars(&call.args.to_string())
}

fn read(request: &ModelRequest) -> usize {
    let tools = request.tools.iter().map(|tool| {
        chars(&tool.name) + chars(&tool.description) + chars(&tool.parameters.to_string())
    });
    let messages = request.messages.iter().map(message);
    chars(&request.system) + messages.sum::<usize>() + tools.sum::<usize>()
}

fn message(message: &ChatMessage) -> usize {
    match message {
        ChatMessage::User { text } | ChatMessage::Tool { text, .. } => chars(text),
        ChatMessage::Assistant { text, calls, .. } => {
            chars(text) + calls.iter().map(call).sum::<usize>()
        }
    }
}
