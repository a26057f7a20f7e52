//! Our side and the other side's own software: the official SDK against our fake server, and our provider against a server
//! that others wrote. Each needs a program that is not ours and is skipped, in plain words, where no variable names it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actors::model::{ChatMessage, EffectClass, ModelRequest, Place, ToolSpec};
use actors::provider::{Provider, ProviderErrorKind as Kind};
use actors::testing::conformance::provider::{Break, Called, Play};
use impresario::provider::openai::{OpenAiCompatible, Settings};
use insta::assert_snapshot;
use serde_json::{Map, json};

use crate::support::chat_wire::{document, steps};
use crate::support::fake_model::FakeModel;

/// The program that `variable` names, or a line that says what is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn program(variable: &str, what: &str) -> Option<String> {
    let program = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if program.is_none() {
        eprintln!("skipped: set {variable} to {what} to run this test");
    }
    program
}

fn two_calls() -> Vec<Called> {
    vec![
        ("read".into(), json!({"path": "ä\"\\", "lines": [1, 2]})),
        ("now".into(), json!({"zone": "UTC"})),
        ("read".into(), json!({"path": "b"})),
    ]
}

/// What the fake plays, and the tools the SDK offers for it.
fn plays() -> Vec<(Play, Vec<&'static str>)> {
    let calls = |in_fragments| Play::Call {
        text: "Looking.".into(),
        calls: two_calls(),
        in_fragments,
    };
    let breaks = |how| Play::Break {
        text: "Grü".into(),
        call: None,
        how,
    };
    let refuse = |kind, retry_after| Play::Refuse { kind, retry_after };
    vec![
        (Play::Say(vec!["Grüße, ".into(), "漢字 🎭".into()]), vec![]),
        (Play::SayByteByByte("Grüße, 漢字 🎭".into()), vec![]),
        (calls(false), vec!["read", "now"]),
        (calls(true), vec!["read", "now"]),
        (
            refuse(Kind::RateLimited, Some(Duration::from_secs(7))),
            vec![],
        ),
        (refuse(Kind::Overloaded, None), vec![]),
        (refuse(Kind::BadCredentials, None), vec![]),
        (refuse(Kind::ContextTooLong, None), vec![]),
        (breaks(Break::Error(Kind::Overloaded)), vec![]),
        (breaks(Break::Reset), vec![]),
        (Play::Garbage, vec![]),
    ]
}

#[test]
fn the_official_sdk_understands_our_fake_server() {
    let what = "a python that has the package `openai`";
    let Some(python) = program("IMPRESARIO_TEST_OPENAI_SDK", what) else {
        return;
    };
    let fake = FakeModel::start();
    let mut tools = Vec::new();
    for (play, offered) in plays() {
        fake.answer(steps(play));
        tools.push(offered);
    }
    let message = json!({"role": "assistant", "content": "whole"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let completion = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
    fake.answer(document(200, Vec::new(), &completion));
    let script = include_str!("openai_sdk.py");
    let mut asked = Command::new(python);
    asked.args(["-c", script, &fake.base_url(), &json!(tools).to_string()]);
    let output = asked.output().expect("the python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_snapshot!(said, @r#"
    {"calls": [], "finish": "stop", "pieces": 3, "text": "Grüße, 漢字 🎭", "usage": [100, 64, 20]}
    {"calls": [], "finish": "stop", "pieces": 2, "text": "Grüße, 漢字 🎭", "usage": [100, 64, 20]}
    {"calls": [["call_0", "read", {"lines": [1, 2], "path": "ä\"\\"}], ["call_1", "now", {"zone": "UTC"}], ["call_2", "read", {"path": "b"}]], "finish": "tool_calls", "pieces": 2, "text": "Looking.", "usage": [100, 64, 20]}
    {"calls": [["call_0", "read", {"lines": [1, 2], "path": "ä\"\\"}], ["call_1", "now", {"zone": "UTC"}], ["call_2", "read", {"path": "b"}]], "finish": "tool_calls", "pieces": 2, "text": "Looking.", "usage": [100, 64, 20]}
    {"code": "rate_limit_exceeded", "raised": "RateLimitError", "retry_after": "7"}
    {"code": "overloaded", "raised": "InternalServerError", "retry_after": null}
    {"code": "invalid_api_key", "raised": "AuthenticationError", "retry_after": null}
    {"code": "context_length_exceeded", "raised": "BadRequestError", "retry_after": null}
    {"raised": "APIError"}
    {"raised": "APIConnectionError"}
    {"raised": "JSONDecodeError"}
    {"finish": "stop", "text": "whole"}
    "#);
}

/// A server of somebody else's; it ends with the test.
struct Mock {
    child: Child,
    address: String,
}

impl Mock {
    fn start(program: &str) -> Self {
        let mut command = Command::new(program);
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider/aimock.json");
        command.args([
            "-p",
            "0",
            "-h",
            "127.0.0.1",
            "-f",
            fixtures,
            "--validate-on-load",
        ]);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            line.split_once("listening on ")
                .map(|(_, address)| address.to_owned())
        });
        // the rest is read too, or the mock would block on a full pipe
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.expect("the mock listens");
        Self { child, address }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn asking(text: &str) -> ModelRequest {
    let tool = |name: &str| ToolSpec {
        name: name.into(),
        description: name.into(),
        parameters: json!({"type": "object", "properties": {}}),
        effect: EffectClass::Pure,
        place: Place::Node,
    };
    ModelRequest {
        brief: String::new(),
        run: "run_0199000000007000800000000000abcd"
            .parse()
            .expect("an id"),
        agent: "a".into(),
        model: "m".into(),
        system: "You take part in a test.".into(),
        messages: vec![ChatMessage::User { text: text.into() }],
        tools: vec![tool("read"), tool("now")],
        settings: Map::new(),
    }
}

async fn told(provider: &OpenAiCompatible, request: &ModelRequest) -> String {
    let mut pieces = 0;
    let outcome = provider.call(request, &mut |_| pieces += 1).await;
    match outcome {
        Ok(reply) => {
            let calls: Vec<String> = reply
                .calls
                .iter()
                .map(|c| format!(" {} {}{}", c.id, c.name, c.args))
                .collect();
            let counted = reply.usage.input_tokens > 0 && reply.usage.output_tokens > 0;
            format!(
                "{:?} {:?}{} (in {pieces} pieces, usage: {counted})\n",
                reply.stop,
                reply.text,
                calls.concat()
            )
        }
        Err(error) => format!(
            "{:?} again in {:?} after {pieces} pieces\n",
            error.kind, error.retry_after
        ),
    }
}

#[tokio::test]
async fn an_independent_server_understands_our_provider() {
    let what = "the program `llmock` of the package @copilotkit/aimock";
    let Some(program) = program("IMPRESARIO_TEST_AIMOCK", what) else {
        return;
    };
    let mock = Mock::start(&program);
    let settings = Settings {
        base_url: format!("{}/v1", mock.address),
        ..Settings::default()
    };
    let provider = OpenAiCompatible::new(settings).expect("good settings");
    let mut all = String::new();
    for text in [
        "speak", "act", "hurry", "hurry", "crowd", "stumble", "grasp",
    ] {
        all += &told(&provider, &asking(text)).await;
    }
    let mut acting = asking("act");
    let reply = provider.call(&acting, &mut |_| {}).await.expect("a reply");
    let results = reply.calls.iter().map(|call| ChatMessage::Tool {
        call_id: call.id.clone(),
        name: call.name.clone(),
        text: "result".into(),
        is_error: false,
    });
    let results: Vec<ChatMessage> = results.collect();
    acting.messages.push(ChatMessage::Assistant {
        text: reply.text,
        calls: reply.calls,
        opaque: Vec::new(),
    });
    acting.messages.extend(results);
    all += &told(&provider, &acting).await;
    assert_snapshot!(all, @r#"
    End "Grüße from an independent server, 漢字 and a 🎭." (in 4 pieces, usage: true)
    ToolCalls "Looking." call_1 read{"path":"ä.txt"} call_2 read{"lines":[1,2],"path":"b.txt"} call_3 now{} (in 4 pieces, usage: true)
    RateLimited again in Some(1s) after 0 pieces
    End "Now." (in 1 pieces, usage: true)
    Overloaded again in None after 0 pieces
    Cut again in None after 1 pieces
    Cut again in None after 1 pieces
    End "Seen." (in 1 pieces, usage: true)
    "#);
}
