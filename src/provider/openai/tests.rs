//! Streams as different servers write them: whole, cut at every byte, slow, and full of mistakes.

mod properties;
mod servers;

use std::time::Duration;

use actors::model::{ChatMessage, ModelRequest, Reply, ToolCall, Usage};
use actors::provider::{Delta, ProviderError, ProviderErrorKind};
use futures_util::stream::{self, Stream, StreamExt};
use insta::assert_snapshot;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use self::servers::STREAMS;
use super::body::Body;
use super::reading::{Patience, read};

const LIMIT: usize = 1 << 20;

type Read = (Result<Reply, ProviderError>, Vec<Delta>);

fn request() -> ModelRequest {
    let call = ToolCall {
        id: "call_0".into(),
        name: "t".into(),
        args: json!({}),
    };
    let run = "run_0199000000007000800000000000abcd";
    ModelRequest {
        brief: String::new(),
        run: run.parse().expect("an id"),
        agent: "a".into(),
        model: String::new(),
        system: String::new(),
        messages: vec![ChatMessage::Assistant {
            text: String::new(),
            calls: vec![call],
            opaque: Vec::new(),
        }],
        tools: Vec::new(),
        settings: Map::new(),
    }
}

fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut body = Body::new(LIMIT);
    let mut deltas = Vec::new();
    let mut sink = |delta| deltas.push(delta);
    for piece in pieces {
        match body.feed(piece, &mut sink) {
            Ok(false) => {}
            Ok(true) => break,
            Err(error) => return (Err(error), deltas),
        }
    }
    let outcome = body.end(&request(), &mut sink);
    (outcome, deltas)
}

fn read_whole(text: &str) -> Read {
    read_pieces([text.as_bytes()])
}

fn events(documents: &[Value]) -> String {
    documents
        .iter()
        .map(|document| format!("data: {document}\n\n"))
        .collect()
}

fn told(outcome: &Result<Reply, ProviderError>) -> String {
    match outcome {
        Err(error) => format!("{:?}: {error}", error.kind),
        Ok(reply) => {
            let calls = reply
                .calls
                .iter()
                .map(|call| format!(", {} {}{}", call.id, call.name, call.args));
            let Usage {
                input_tokens,
                output_tokens,
                cache_read_tokens,
                cost_usd_micros,
                ..
            } = reply.usage;
            let usage = format!(
                "{input_tokens} in, {output_tokens} out, {cache_read_tokens} cached, {cost_usd_micros} µ$"
            );
            format!(
                "{:?} {:?}{} [{usage}]",
                reply.stop,
                reply.text,
                calls.collect::<String>()
            )
        }
    }
}

#[test]
fn every_server_is_understood() {
    let mut all = String::new();
    for (name, stream) in STREAMS {
        let (outcome, deltas) = read_whole(stream);
        all += &format!("{name}\n  {}\n  {deltas:?}\n", told(&outcome));
    }
    assert_snapshot!(all, @r#"
    a proxy: parallel calls whose fragments take turns, usage of its own, refusal null
      ToolCalls "", call_a read{"path":"ä"}, call_b read{"path":"b"} [18 in, 9 out, 32 cached, 0 µ$]
      [ToolCall("read"), ToolCall("read")]
    openrouter: comments, thinking, cost, CRLF
      End "Grüße" [7 in, 2 out, 0 cached, 123 µ$]
      [Thinking("hm"), Text("Grüße")]
    ollama: every call whole and of index 0, says `stop`, no usage
      ToolCalls "", call_x add{"a":1}, call_y add{"a":2}, call_v now{}, call_w now{} [1 in, 8 out, 0 cached, 0 µ$]
      [ToolCall("add"), ToolCall("add"), ToolCall("now"), ToolCall("now")]
    vllm: usage in every chunk, thinking under two names, id and name repeated in every piece
      ToolCalls "", chatcmpl-tool-1 go{"n":1} [5 in, 4 out, 0 cached, 0 µ$]
      [Thinking("so"), ToolCall("go")]
    llama.cpp: no [DONE], arguments left out, an id that is already taken
      ToolCalls "", call_00000000abcd_1_0 now{} [1 in, 2 out, 0 cached, 0 µ$]
      [ToolCall("now")]
    an older gateway: no index, no id, arguments as an object, several calls in one piece
      ToolCalls "one ", call_00000000abcd_1_0 a{"x":1}, call_00000000abcd_1_1 b{} [1 in, 4 out, 0 cached, 0 µ$]
      [Text("one "), ToolCall("a"), ToolCall("b")]
    azure: a chunk of filter results first, an answer that ran out in a call
      Length "Part" [3 in, 8 out, 0 cached, 0 µ$]
      [Text("Part"), ToolCall("w")]
    no stream at all
      ToolCalls "é", call_z t{} [1 in, 4 out, 3 cached, 0 µ$]
      [Text("é"), ToolCall("t")]
    "#);
}

#[test]
fn a_stream_cut_at_any_byte_is_cut_or_whole_and_never_a_part() {
    for (name, stream) in STREAMS {
        let whole = read_whole(stream).0.expect("a reply");
        let mut since_whole = None;
        for end in 0..stream.len() {
            match read_pieces([&stream.as_bytes()[..end]]).0 {
                Err(error) => {
                    assert_eq!(
                        error.kind,
                        ProviderErrorKind::Cut,
                        "{name} cut at {end}: {error}"
                    );
                    assert_eq!(
                        since_whole, None,
                        "{name} is cut at {end} after it was whole"
                    );
                }
                Ok(reply) => {
                    since_whole.get_or_insert(end);
                    let same = Reply {
                        usage: whole.usage,
                        ..reply
                    };
                    assert_eq!(same, whole, "{name} cut at {end}");
                }
            }
        }
        let finish = stream
            .find("\"finish_reason\":\"")
            .expect("a terminal event");
        assert!(
            since_whole.is_none_or(|end| end > finish),
            "{name} is whole at {since_whole:?}"
        );
    }
}

#[test]
fn what_a_server_can_do_wrong() {
    let choice = |delta: Value, finish: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let call = |name: &str, args: &str| json!({"tool_calls": [{"index": 0, "function": {"name": name, "arguments": args}}]});
    let hello = || choice(json!({"content": "hello"}), Value::Null);
    let ends = |finish: &str| events(&[hello(), choice(json!({}), finish.into())]);
    let broken = |document: Value| events(&[hello(), document]);
    let cases = [
        ("nothing", String::new()),
        ("comments only", ": ping\n\n: ping\n\n".into()),
        (
            "[DONE] without an end",
            events(&[hello()]) + "data: [DONE]\n\n",
        ),
        ("filtered", ends("content_filter")),
        ("given up", ends("abort")),
        ("no resources", ends("insufficient_system_resource")),
        ("unknown end", ends("bored\u{1b}[31m")),
        (
            "calls that are not there",
            events(&[choice(json!({}), "tool_calls".into())]),
        ),
        ("calls that are not there, but text", ends("tool_calls")),
        (
            "unclosed arguments",
            events(&[choice(call("t", "{\"a\":"), "tool_calls".into())]),
        ),
        (
            "arguments that are a list",
            events(&[choice(call("t", "[1]"), "stop".into())]),
        ),
        (
            "a call without a name",
            events(&[choice(call("", "{}"), "stop".into())]),
        ),
        (
            "a call that ran out before its arguments",
            events(&[choice(call("t", ""), "length".into())]),
        ),
        ("not JSON", "data: oops\n\n".into()),
        ("not a completion", events(&[json!({"choices": "none"})])),
        (
            "a web page",
            "<!DOCTYPE html>\n<html><title>Log in</title></html>".into(),
        ),
        ("plain words", "Internal Server Error".into()),
        (
            "an error as a document",
            "{\"error\":{\"message\":\"no such model\",\"type\":\"not_found_error\",\"code\":404}}"
                .into(),
        ),
        (
            "an error in the stream",
            broken(json!({"error": {"message": "busy", "code": 503}})),
        ),
        (
            "an error without an envelope",
            broken(json!({"object": "error", "message": "bad", "code": 400})),
        ),
        (
            "an error event",
            events(&[hello()]) + "event: error\ndata: {\"message\":\"overloaded\"}\n\n",
        ),
        (
            "an error field",
            events(&[hello()])
                + "error: {\"code\":500,\"message\":\"slot\",\"type\":\"server_error\"}\n\n",
        ),
        (
            "an error after the end",
            ends("stop") + "data: {\"error\":{\"message\":\"late\"}}\n\n",
        ),
    ];
    let lines = cases.map(|(name, stream)| format!("{name}\n  {}\n", told(&read_whole(&stream).0)));
    assert_snapshot!(lines.concat(), @r#"
    nothing
      Cut: the stream ended before the answer was finished
    comments only
      Cut: the stream ended before the answer was finished
    [DONE] without an end
      Cut: the stream ended before the answer was finished
    filtered
      ContentFilter: the provider's content filter stopped the answer
    given up
      Cut: the server gave up in the middle of its answer
    no resources
      Overloaded: the server ran out of resources in the middle of its answer
    unknown end
      Nonsense: the server sent an answer that ended for an unknown reason: `bored [31m`; if it stays so, another model or server is needed
    calls that are not there
      Nonsense: the server sent an answer that wants tools called and names none; if it stays so, another model or server is needed
    calls that are not there, but text
      End "hello" [1 in, 2 out, 0 cached, 0 µ$]
    unclosed arguments
      Nonsense: the server sent arguments of the tool call `t` that are no JSON object (EOF while parsing a value at line 1 column 5): {"a":; if it stays so, another model or server is needed
    arguments that are a list
      Nonsense: the server sent arguments of the tool call `t` that are no JSON object (invalid type: sequence, expected a map at line 1 column 0): [1]; if it stays so, another model or server is needed
    a call without a name
      Nonsense: the server sent a tool call without the tool's name; if it stays so, another model or server is needed
    a call that ran out before its arguments
      Length "" [1 in, 0 out, 0 cached, 0 µ$]
    not JSON
      Nonsense: the server sent something that is not JSON (expected value at line 1 column 1): oops; if it stays so, another model or server is needed
    not a completion
      Nonsense: the server sent something that is no chat completion (invalid type: string "none", expected a sequence); if it stays so, another model or server is needed
    a web page
      Nonsense: the server sent a web page instead of an answer, so `base_url` may be wrong: <!DOCTYPE html> <html><title>Log in</title></html>; if it stays so, another model or server is needed
    plain words
      Cut: the stream ended before the answer was finished
    an error as a document
      BadRequest: the server failed in its answer: no such model
    an error in the stream
      Overloaded: the server failed in its answer: busy
    an error without an envelope
      BadRequest: the server failed in its answer: bad
    an error event
      Overloaded: the server failed in its answer: overloaded
    an error field
      Internal: the server failed in its answer: slot
    an error after the end
      End "hello" [1 in, 2 out, 0 cached, 0 µ$]
    "#);
}

#[test]
fn an_answer_has_a_limit_on_its_size_and_its_calls() {
    let mut body = Body::new(100);
    let error = body.feed(&[b'x'; 101], &mut |_| {}).unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Nonsense);
    assert!(error.message.contains("max_reply_bytes"), "{error}");
    let piece = |n| json!({"index": n, "function": {"name": "t", "arguments": "{}"}});
    let pieces: Vec<Value> = (0..129).map(piece).collect();
    let many = json!({"choices": [{"delta": {"tool_calls": pieces}, "finish_reason": "stop"}]});
    let (outcome, _) = read_whole(&events(&[many]));
    assert!(
        outcome
            .unwrap_err()
            .message
            .contains("more than 128 tool calls")
    );
}

fn patience(silence: u64) -> Patience {
    Patience {
        silence: Duration::from_secs(silence),
        bytes: LIMIT,
    }
}

/// Events, each after a wait of so many seconds; the stream never ends by itself.
fn timed(pieces: Vec<(u64, String)>) -> impl Stream<Item = Result<String, &'static str>> {
    let pieces = stream::iter(pieces).then(|(wait, piece)| async move {
        sleep(Duration::from_secs(wait)).await;
        if piece == "reset" {
            Err("reset by peer")
        } else {
            Ok(piece)
        }
    });
    pieces.chain(stream::pending())
}

async fn read_timed(pieces: Vec<(u64, String)>) -> (String, u64) {
    let start = Instant::now();
    let outcome = read(timed(pieces), patience(10), &request(), &mut |_| {}).await;
    (told(&outcome), start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn silence_is_measured_between_pieces_and_hardly_borne_after_the_end() {
    let text = events(&[json!({"choices": [{"delta": {"content": "a"}}]})]);
    let end = events(&[json!({"choices": [{"delta": {}, "finish_reason": "stop"}]})]);
    let slow = vec![
        (9, text.clone()),
        (9, text.clone()),
        (9, text.clone()),
        (9, end.clone()),
    ];
    let pings = vec![
        (9, ": ping\n\n".into()),
        (9, text.clone()),
        (9, "reset".into()),
    ];
    let lost = vec![(1, text.clone()), (1, end), (1, "reset".into())];
    let mut all = Vec::new();
    for pieces in [vec![], vec![(1, text)], slow, pings, lost] {
        all.push(format!("{:?}", read_timed(pieces).await));
    }
    assert_snapshot!(all.join("\n"), @r#"
    ("Timeout: nothing came for 10s: raise `silence_timeout` if that is normal", 10)
    ("Timeout: nothing came for 10s: raise `silence_timeout` if that is normal", 11)
    ("End \"aaa\" [1 in, 1 out, 0 cached, 0 µ$]", 41)
    ("Cut: the connection broke in the answer: reset by peer", 27)
    ("End \"a\" [1 in, 1 out, 0 cached, 0 µ$]", 3)
    "#);
}

/// Arguments that happen to be readable may lack their end all the same.
#[test]
fn the_last_call_of_an_answer_that_ran_out_is_not_made() {
    let call = |index: u32, name: &str| json!({"index": index, "id": name, "function": {"name": name, "arguments": "{\"a\":1}"}});
    let answer = |calls: Vec<Value>| {
        let choice = json!({"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "length"});
        let stream = events(&[json!({"choices": [choice]})]);
        let (reply, _) = read_pieces([stream.as_bytes()]);
        let calls = reply.unwrap().calls.into_iter();
        calls.map(|call| call.name).collect::<Vec<_>>()
    };
    assert_eq!(answer(vec![call(0, "only")]), [""; 0]);
    assert_eq!(answer(vec![call(0, "whole"), call(1, "cut")]), ["whole"]);
}
