//! The lines of Chat Completions, as a server of that dialect writes them.

use std::time::Duration;

use actors::provider::ProviderErrorKind as Kind;
use actors::testing::conformance::provider::{Break, Called, Play};
use serde_json::{Value, json};

use super::fake_model::Step;

/// The answer that plays `play`.
pub(crate) fn steps(play: Play) -> Vec<Step> {
    match play {
        Play::Say(pieces) => whole(pieces.iter().map(|piece| text(piece)).collect(), "stop"),
        Play::SayByteByByte(said) => byte_by_byte(whole(vec![text(&said)], "stop")),
        Play::SayWhen(first, gate, rest) => {
            let mut steps = whole(vec![text(&first), text(&rest)], "stop");
            steps.insert(3, Step::Until(gate));
            steps
        }
        Play::Call {
            text: said,
            calls,
            in_fragments,
        } => whole(
            [vec![text(&said)], all_calls(&calls, in_fragments)].concat(),
            "tool_calls",
        ),
        Play::RunOut { text: said, call } => whole(interrupted(&said, call), "length"),
        Play::Break { text, call, how } => broken(interrupted(&text, call), how),
        Play::Refuse { kind, retry_after } => refusal(kind, retry_after),
        Play::Hold(text) if text.is_empty() => vec![Step::Hold],
        Play::Hold(said) => [begun(vec![text(&said)]), vec![Step::Hold]].concat(),
        Play::Endless(text) if text.is_empty() => vec![Step::Hold],
        Play::Endless(said) => [begun(Vec::new()), vec![Step::Repeat(text(&said))]].concat(),
        Play::Garbage => begun(vec!["data: <not json>\n\n".into()]),
        Play::GarbledCall(name, args) => whole(
            vec![call(0, "call_a", &name), arguments(0, &args)],
            "tool_calls",
        ),
        Play::Nobody => unreachable!("nobody is played by an address without a server"),
    }
}

/// One event.
pub(crate) fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A chunk with one delta.
pub(crate) fn delta(delta: &Value, finish_reason: Option<&str>) -> Vec<u8> {
    event(&json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "fake",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
        "usage": null,
    }))
}

/// A piece of text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    delta(&json!({"content": text}), None)
}

/// The beginning of a tool call.
pub(crate) fn call(index: usize, id: &str, name: &str) -> Vec<u8> {
    let function = json!({"name": name, "arguments": ""});
    delta(
        &json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}),
        None,
    )
}

/// A piece of a tool call's arguments.
pub(crate) fn arguments(index: usize, text: &str) -> Vec<u8> {
    delta(
        &json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]}),
        None,
    )
}

/// The end of an answer: its reason, its usage, and the last word.
pub(crate) fn ending(finish_reason: &str) -> Vec<Vec<u8>> {
    let usage = event(&json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "fake",
        "choices": [],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }));
    vec![
        delta(&json!({}), Some(finish_reason)),
        usage,
        b"data: [DONE]\n\n".to_vec(),
    ]
}

/// A stream that has begun with these events.
pub(crate) fn begun(events: Vec<Vec<u8>>) -> Vec<Step> {
    let head = Step::Head(200, vec![("content-type", "text/event-stream".into())]);
    let role = delta(
        &json!({"role": "assistant", "content": "", "refusal": null}),
        None,
    );
    let events = std::iter::once(role).chain(events).map(Step::Chunk);
    std::iter::once(head).chain(events).collect()
}

/// A stream with these events and a proper end.
pub(crate) fn whole(events: Vec<Vec<u8>>, finish_reason: &str) -> Vec<Step> {
    let mut steps = begun([events, ending(finish_reason)].concat());
    steps.push(Step::End);
    steps
}

/// An answer that is one JSON document.
pub(crate) fn document(
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: &Value,
) -> Vec<Step> {
    let mut headers = headers;
    headers.push(("content-type", "application/json".into()));
    vec![
        Step::Head(status, headers),
        Step::Chunk(body.to_string().into()),
        Step::End,
    ]
}

fn byte_by_byte(steps: Vec<Step>) -> Vec<Step> {
    let split = steps.into_iter().flat_map(|step| match step {
        Step::Chunk(bytes) => bytes
            .into_iter()
            .map(|byte| Step::Chunk(vec![byte]))
            .collect(),
        other => vec![other],
    });
    split.collect()
}

/// One call after the other, as OpenAI does it: its SDK holds a call for whole as soon as the next one begins.
fn all_calls(calls: &[Called], in_fragments: bool) -> Vec<Vec<u8>> {
    let size = if in_fragments { 3 } else { usize::MAX };
    let mut events = Vec::new();
    for (index, (name, args)) in calls.iter().enumerate() {
        events.push(call(index, &format!("call_{index}"), name));
        for piece in wire_args(args).chunks(size) {
            events.push(arguments(index, &piece.iter().collect::<String>()));
        }
    }
    events
}

/// OpenAI writes an empty object as `{}`; others leave it out, which its SDK does not bear and we do.
fn wire_args(args: &Value) -> Vec<char> {
    let empty = args.as_object().is_some_and(serde_json::Map::is_empty);
    if empty {
        Vec::new()
    } else {
        args.to_string().chars().collect()
    }
}

fn interrupted(said: &str, unfinished: Option<Called>) -> Vec<Vec<u8>> {
    let mut events = vec![text(said)];
    if let Some((name, args)) = unfinished {
        let args = args.to_string();
        events.extend([
            call(0, "call_a", &name),
            arguments(0, &args[..args.len() / 2]),
        ]);
    }
    events
}

fn broken(events: Vec<Vec<u8>>, how: Break) -> Vec<Step> {
    let mut steps = begun(events);
    match how {
        Break::End => steps.push(Step::End),
        Break::Reset => steps.push(Step::Reset),
        Break::Error(kind) => {
            let (status, body) = error(kind);
            let mut body = body;
            body["error"]["code"] = status.into();
            steps.extend([Step::Chunk(event(&body)), Step::End]);
        }
    }
    steps
}

fn refusal(kind: Kind, retry_after: Option<Duration>) -> Vec<Step> {
    let (status, body) = error(kind);
    let wait = retry_after.map(|wait| ("retry-after", wait.as_secs().to_string()));
    document(status, wait.into_iter().collect(), &body)
}

fn error(kind: Kind) -> (u16, Value) {
    let (status, kind, code) = match kind {
        Kind::RateLimited => (429, "rate_limit_error", "rate_limit_exceeded"),
        Kind::Overloaded => (503, "service_unavailable", "overloaded"),
        Kind::BadRequest => (400, "invalid_request_error", "invalid_value"),
        Kind::BadCredentials => (401, "authentication_error", "invalid_api_key"),
        Kind::ContextTooLong => (400, "invalid_request_error", "context_length_exceeded"),
        Kind::ContentFilter => (400, "invalid_request_error", "content_filter"),
        _ => (500, "server_error", "internal_error"),
    };
    let message = format!("the fake says no. key was {}", super::chat_wire::KEY);
    (
        status,
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    )
}

/// The API key of tests, which the server repeats in its errors, as real ones do.
pub(crate) const KEY: &str = "sk-fake-0123456789abcdef";
