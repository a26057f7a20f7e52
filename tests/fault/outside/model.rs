//! Models that are not there or answer nonsense: the task ends, and says what the model did.

use std::fmt::Write as _;
use std::net::TcpListener;

use actors::model::{Content, EventBody};
use serde_json::json;

use super::{Record, Stage};
use crate::support::chat_wire::{arguments, begun, call, document, text, whole};
use crate::support::fake_model::{FakeModel, Step};
use crate::support::program::{Program, impresario};

fn team(base_url: &str) -> String {
    format!(
        r#"
[task]
name = "note"
description = "write a note"
root_agent = "writer"
available_agents = ["writer"]

[agents.writer]
provider = "far"
tools = ["write_file"]
max_turns = 2

[providers.far]
kind = "openai-compatible"
base_url = "{base_url}"
model = "m"
retry = {{ attempts = 2, base = "1ms", cap = "1ms" }}
"#
    )
}

/// How a task ends whose model is at this address: the exit code, the tries and the end.
fn ended(base_url: &str) -> String {
    ended_with(&team(base_url), base_url)
}

fn ended_with(file: &str, base_url: &str) -> String {
    let stage = Stage::new(file);
    let ran = stage.run();
    let record = Record::read(&stage.data());
    record.check();
    let tries = |body: &EventBody| matches!(body, EventBody::RunRetrying { .. });
    let tries = record
        .events
        .iter()
        .filter(|event| tries(&event.body))
        .count();
    let end = &record.events.last().expect("an end").body;
    let said = match end {
        EventBody::TaskFailed { error } => {
            let shown = ran.stdout.contains(error) || ran.stderr.contains(error);
            assert!(shown, "{error}: {ran:?}");
            format!("failed: {}", error.replace(base_url, "URL"))
        }
        EventBody::TaskCompleted {
            result: Content::Blob { bytes, .. },
        } => format!("{bytes} bytes"),
        other => format!("{other:?}"),
    };
    let code = ran.code().expect("it was not killed");
    format!("exit {code}, tried again {tries} times, {said}")
}

/// The same answer to every question, for as long as it takes.
fn answered(answer: &[Step]) -> String {
    let model = FakeModel::start();
    for _ in 0..4 {
        model.answer(answer.to_vec());
    }
    ended(&model.base_url())
}

fn table(cases: Vec<(&str, Vec<Step>)>) -> String {
    let mut table = String::new();
    for (name, answer) in cases {
        writeln!(table, "{name}: {}", answered(&answer)).expect("a string");
    }
    table
}

/// A body of this kind, in one piece.
fn body(kind: &str, bytes: &[u8]) -> Vec<Step> {
    let head = Step::Head(200, vec![("content-type", kind.to_owned())]);
    vec![head, Step::Chunk(bytes.to_vec()), Step::End]
}

fn cut(end: Step) -> Vec<Step> {
    [begun(vec![text("I thi")]), vec![end]].concat()
}

fn calling(tool: &str, args: &str) -> Vec<Step> {
    whole(
        vec![call(0, "call_1", tool), arguments(0, args)],
        "tool_calls",
    )
}

#[test]
fn what_is_no_answer() {
    let said = table(vec![
        (
            "no HTTP",
            vec![Step::Raw(b"\x00\xff\xfe nonsense\r\n\r\n".to_vec())],
        ),
        ("bytes", body("text/event-stream", &[0, 255, 254, 10, 10])),
        ("a web page", body("text/html", b"<html>welcome</html>")),
        (
            "half a document",
            body("application/json", b"{\"choices\": [{\"mess"),
        ),
        (
            "a document without an answer",
            document(200, vec![], &json!({ "choices": [] })),
        ),
        ("a stream that is cut off", cut(Step::End)),
        ("a stream that is reset", cut(Step::Reset)),
        ("nothing", body("text/event-stream", b"")),
        ("an answer that says nothing", whole(vec![], "stop")),
        ("an answer that had no room", whole(vec![], "length")),
        (
            "an error",
            document(500, vec![], &json!({ "error": { "message": "boom" } })),
        ),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn calls_that_cannot_be_made() {
    let said = table(vec![
        (
            "arguments that are no JSON",
            calling("write_file", "{\"path\": oops"),
        ),
        ("arguments that are no object", calling("write_file", "[1]")),
        (
            "arguments that do not fit",
            calling("write_file", "{\"path\": 7}"),
        ),
        ("a tool that does not exist", calling("launch", "{}")),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn answers_without_measure() {
    let large = |megabytes: usize| whole(vec![text(&"x".repeat(1 << 20)); megabytes], "stop");
    let said = table(vec![
        ("ten megabytes", large(10)),
        (
            "ten megabytes of nonsense",
            body("text/event-stream", &vec![b'x'; 10 << 20]),
        ),
        ("seventeen megabytes", large(17)),
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn nobody_at_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let said = ended(&format!("http://{address}/v1"));
    insta::assert_snapshot!(said, @"exit 1, tried again 1 times, failed: after 2 attempts: URL/chat/completions: no connection can be made (Connection refused (os error 111)): is the server running, and is `base_url` right");
}

#[test]
fn a_file_says_how_large_an_answer_may_be() {
    let model = FakeModel::start();
    for _ in 0..2 {
        model.answer(body("text/event-stream", &[b':'; 2_000]));
    }
    let url = model.base_url();
    let file = format!("{}max_reply_bytes = 1_500\n", team(&url));
    let said = ended_with(&file, &url);
    insta::assert_snapshot!(said, @"exit 1, tried again 1 times, failed: after 2 attempts: URL/chat/completions: the answer is larger than 1500 bytes: raise `max_reply_bytes` if that is normal");
}

#[test]
fn a_model_that_wants_to_be_left_alone_for_a_day() {
    let model = FakeModel::start();
    let asked = vec![("retry-after", "86400".to_owned())];
    model.answer(vec![Step::Head(429, asked), Step::End]);
    let stage = Stage::new(&team(&model.base_url()));
    drop(stage.at_work("run_retrying"));
    let record = Record::read(&stage.data());
    let waits = record.events.iter().find_map(|event| match &event.body {
        EventBody::RunRetrying {
            delay_ms, error, ..
        } => Some((*delay_ms, error.clone())),
        _ => None,
    });
    let (delay_ms, error) = waits.expect("it waits");
    assert_eq!(delay_ms, 600_000);
    assert!(
        error.ends_with("; it wants to be left alone for 86400s, and is for 600s"),
        "{error}"
    );
    let mut again = impresario();
    again.args(["run", "--continue", "--data-dir"]);
    let mut again = Program::start(again.arg(stage.data()));
    again.wait_for("; it asks its model again in ");
}
