//! `openai-compatible` against a server of ours: what it sends, and what it makes of everything that is no stream.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::model::{ChatMessage, EffectClass, ModelRequest, Place, Reply, ToolCall, ToolSpec};
use actors::provider::{Provider, ProviderError, ProviderErrorKind};
use impresario::provider::openai::{OpenAiCompatible, Settings};
use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Map, Value, json};

use crate::support::chat_wire::{KEY, begun, document, ending, event, text, whole};
use crate::support::fake_model::{FakeModel, Step};

fn settings(base_url: String) -> Settings {
    Settings {
        base_url,
        ..Settings::default()
    }
}

fn provider(settings: Settings) -> OpenAiCompatible {
    let env = |name: &str| (name == "FAKE_KEY").then(|| KEY.to_owned());
    OpenAiCompatible::with_env(settings, env).expect("good settings")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn request(messages: Vec<ChatMessage>) -> ModelRequest {
    ModelRequest {
        run: "run_0199000000007000800000000000abcd"
            .parse()
            .expect("an id"),
        agent: "writer".into(),
        model: String::new(),
        system: "You write.".into(),
        messages,
        tools: Vec::new(),
        settings: Map::new(),
    }
}

fn brief() -> ModelRequest {
    request(vec![ChatMessage::User {
        text: "Write.".into(),
    }])
}

async fn call(provider: &OpenAiCompatible, request: &ModelRequest) -> Result<Reply, ProviderError> {
    provider.call(request, &mut |_| {}).await
}

fn hello() -> Vec<Step> {
    whole(vec![text("hello")], "stop")
}

fn long_conversation() -> ModelRequest {
    let call = |id: &str, name: &str, args: Value| ToolCall {
        id: id.into(),
        name: name.into(),
        args,
    };
    let result = |id: &str, name: &str, text: &str, is_error| ChatMessage::Tool {
        call_id: id.into(),
        name: name.into(),
        text: text.into(),
        is_error,
    };
    let calls = vec![
        call("c1", "read", json!({"path": "ä.txt"})),
        call("c2", "now", json!({})),
    ];
    let assistant = |text: &str, calls| ChatMessage::Assistant {
        text: text.into(),
        calls,
        opaque: Vec::new(),
    };
    ModelRequest {
        model: "large".into(),
        tools: vec![
            tool(
                "read",
                json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
            ),
            tool("now", Value::Null),
        ],
        settings: object(json!({"temperature": 0.5, "max_tokens": 100})),
        ..request(vec![
            ChatMessage::User {
                text: "Write.".into(),
            },
            assistant("", calls),
            result("c1", "read", "the text", false),
            result("c2", "now", "no clock", true),
            assistant("Done.", Vec::new()),
            ChatMessage::User {
                text: "Again.".into(),
            },
        ])
    }
}

fn tool(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: format!("{name}s"),
        parameters,
        effect: EffectClass::Pure,
        place: Place::Node,
    }
}

#[tokio::test]
async fn a_conversation_is_sent_as_the_dialect_wants_it() {
    let fake = FakeModel::start();
    fake.answer(hello());
    let provider = provider(Settings {
        api_key_env: Some("FAKE_KEY".into()),
        model: "small".into(),
        headers: BTreeMap::from([("X-Title".into(), "show".into())]),
        settings: object(json!({"temperature": 1.0, "seed": 7})),
        ..settings(fake.base_url())
    });
    call(&provider, &long_conversation())
        .await
        .expect("a reply");
    let seen = fake.last_seen();
    assert_eq!(seen.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    assert_eq!(seen.header("x-title"), Some("show"));
    assert_eq!(seen.header("accept-encoding"), None);
    assert_json_snapshot!(seen.body, @r#"
    {
      "max_tokens": 100,
      "messages": [
        {
          "content": "You write.",
          "role": "system"
        },
        {
          "content": "Write.",
          "role": "user"
        },
        {
          "content": null,
          "role": "assistant",
          "tool_calls": [
            {
              "function": {
                "arguments": "{\"path\":\"ä.txt\"}",
                "name": "read"
              },
              "id": "c1",
              "type": "function"
            },
            {
              "function": {
                "arguments": "{}",
                "name": "now"
              },
              "id": "c2",
              "type": "function"
            }
          ]
        },
        {
          "content": "the text",
          "role": "tool",
          "tool_call_id": "c1"
        },
        {
          "content": "error: no clock",
          "role": "tool",
          "tool_call_id": "c2"
        },
        {
          "content": "Done.",
          "role": "assistant"
        },
        {
          "content": "Again.",
          "role": "user"
        }
      ],
      "model": "large",
      "seed": 7,
      "stream": true,
      "stream_options": {
        "include_usage": true
      },
      "temperature": 0.5,
      "tools": [
        {
          "function": {
            "description": "reads",
            "name": "read",
            "parameters": {
              "properties": {
                "path": {
                  "type": "string"
                }
              },
              "required": [
                "path"
              ],
              "type": "object"
            }
          },
          "type": "function"
        },
        {
          "function": {
            "description": "nows",
            "name": "now",
            "parameters": {
              "properties": {},
              "type": "object"
            }
          },
          "type": "function"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn the_least_that_is_sent() {
    let fake = FakeModel::start();
    fake.answer(hello());
    let settings = Settings {
        settings: object(json!({"stream_options": false})),
        ..settings(fake.base_url() + "/?api-version=1")
    };
    let request = ModelRequest {
        system: String::new(),
        ..brief()
    };
    call(&provider(settings), &request).await.expect("a reply");
    let seen = fake.last_seen();
    assert_eq!(
        seen.line,
        "POST /v1/chat/completions?api-version=1 HTTP/1.1"
    );
    assert_eq!(seen.header("authorization"), None);
    assert_json_snapshot!(seen.body, @r#"
    {
      "messages": [
        {
          "content": "Write.",
          "role": "user"
        }
      ],
      "stream": true
    }
    "#);
}

#[tokio::test]
async fn usage_is_the_servers_and_estimated_where_it_tells_none() {
    let fake = FakeModel::start();
    let provider = provider(settings(fake.base_url()));
    fake.answer(hello());
    let told = call(&provider, &brief()).await.expect("a reply").usage;
    let mut without = begun(vec![text("hello"), ending("stop").remove(0)]);
    without.push(Step::End);
    fake.answer(without);
    let estimated = call(&provider, &brief()).await.expect("a reply").usage;
    assert_json_snapshot!([told, estimated], @r#"
    [
      {
        "input_tokens": 36,
        "output_tokens": 20,
        "cache_read_tokens": 64
      },
      {
        "input_tokens": 4,
        "output_tokens": 2
      }
    ]
    "#);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let fake = FakeModel::start();
    let completion = json!({
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    });
    fake.answer(document(200, Vec::new(), &completion));
    let reply = call(&provider(settings(fake.base_url())), &brief())
        .await
        .expect("a reply");
    assert_eq!(reply.text, "whole");
    let bytes = completion.to_string();
    let half = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
        bytes.len(),
        &bytes[..40]
    );
    fake.answer(vec![Step::Raw(half.into())]);
    let error = call(&provider(settings(fake.base_url())), &brief())
        .await
        .unwrap_err();
    assert_eq!(error.kind, ProviderErrorKind::Cut, "{error}");
}

/// The address is struck out: its port is another one every time.
fn told(fake: &FakeModel, error: &ProviderError) -> String {
    let message = error.message.replace(&fake.base_url(), "URL");
    let wait = error
        .retry_after
        .map(|wait| format!(" (again in {wait:?})"));
    format!(
        "{:?}{}\n  {message}\n",
        error.kind,
        wait.unwrap_or_default()
    )
}

fn refusal(status: u16, headers: &[(&'static str, &str)], body: &str) -> Vec<Step> {
    let headers = headers
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()));
    vec![
        Step::Head(status, headers.collect()),
        Step::Chunk(body.into()),
        Step::End,
    ]
}

#[tokio::test]
async fn refusals_say_what_happened_and_what_to_do() {
    let fake = FakeModel::start();
    let date = ("date", "Sun, 06 Nov 1994 08:49:30 GMT");
    let until = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
    let refusals = [
        refusal(
            429,
            &[("retry-after-ms", "1500"), ("retry-after", "9")],
            "{\"error\":{\"message\":\"slow down\"}}",
        ),
        refusal(
            503,
            &[date, until],
            "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\",\"code\":503}}",
        ),
        refusal(
            429,
            &[],
            "{\"error\":{\"message\":\"You exceeded your quota\",\"code\":\"insufficient_quota\"}}",
        ),
        refusal(
            401,
            &[],
            &format!("{{\"error\":{{\"message\":\"Incorrect key: {KEY}\"}}}}"),
        ),
        refusal(
            404,
            &[],
            "{\"error\":{\"message\":\"model 'x' not found\"}}",
        ),
        refusal(307, &[("location", "https://elsewhere.example/v1")], ""),
        refusal(
            502,
            &[],
            &format!("<html>\n{}</html>", "bad gateway ".repeat(20_000)),
        ),
        refusal(500, &[], ""),
    ];
    let key = Settings {
        api_key_env: Some("FAKE_KEY".into()),
        ..settings(fake.base_url())
    };
    let provider = provider(key);
    let mut all = String::new();
    for steps in refusals {
        fake.answer(steps);
        let error = call(&provider, &brief()).await.unwrap_err();
        all += &told(&fake, &error);
    }
    assert_snapshot!(all, @r"
    RateLimited (again in 1.5s)
      URL/chat/completions: answers 429 Too Many Requests: slow down
    Overloaded (again in 7s)
      URL/chat/completions: answers 503 Service Unavailable: Loading model
    BadCredentials
      URL/chat/completions: answers 429 Too Many Requests: You exceeded your quota; check the key in `FAKE_KEY` and its account
    BadCredentials
      URL/chat/completions: answers 401 Unauthorized: Incorrect key: [hidden]; check the key in `FAKE_KEY` and its account
    BadRequest
      URL/chat/completions: answers 404 Not Found: model 'x' not found; check `base_url` and `model`
    BadRequest
      URL/chat/completions: answers 307 Temporary Redirect and redirects to https://elsewhere.example/v1: put the right address into `base_url`
    Internal
      URL/chat/completions: answers 502 Bad Gateway: <html> bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad gateway bad g…
    Internal
      URL/chat/completions: answers 500 Internal Server Error
    ");
}

#[tokio::test]
async fn what_is_missing_or_not_to_be_set_is_told_before_anything_is_sent() {
    let fake = FakeModel::start();
    let no_key = Settings {
        api_key_env: Some("NO_SUCH_KEY".into()),
        ..settings(fake.base_url())
    };
    let no_key = provider(no_key);
    assert_eq!(no_key.missing_key(), Some("NO_SUCH_KEY"));
    let mut stubborn = brief();
    stubborn.settings = object(json!({"stream": false}));
    let here = provider(settings(fake.base_url()));
    let errors = [
        call(&no_key, &brief()).await.unwrap_err(),
        call(&here, &stubborn).await.unwrap_err(),
    ];
    assert_snapshot!(errors.map(|error| told(&fake, &error)).concat(), @r"
    BadCredentials
      URL/chat/completions: the environment variable `NO_SUCH_KEY`, which `api_key_env` names, is not set: export it with a key
    BadRequest
      URL/chat/completions: the agent's `settings.stream` cannot be set: the request says it by itself
    ");
}

#[tokio::test]
async fn the_whole_call_has_a_limit_that_pings_do_not_stretch() {
    let fake = FakeModel::start();
    fake.answer([begun(vec![b": ping\n\n".to_vec()]), vec![Step::Hold]].concat());
    let short = Settings {
        timeout: Duration::from_millis(100),
        ..settings(fake.base_url())
    };
    let error = call(&provider(short), &brief()).await.unwrap_err();
    assert_snapshot!(told(&fake, &error), @r"
    Timeout
      URL/chat/completions: the answer took longer than 100ms: raise `timeout` if that is normal
    ");
    fake.caller_gone().await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_given_up() {
    let fake = FakeModel::start();
    fake.answer(whole(vec![text(&"x".repeat(2000))], "stop"));
    let small = Settings {
        max_reply_bytes: 1000,
        ..settings(fake.base_url())
    };
    let error = call(&provider(small), &brief()).await.unwrap_err();
    assert_snapshot!(told(&fake, &error), @r"
    Nonsense
      URL/chat/completions: the answer is larger than 1000 bytes: raise `max_reply_bytes` if that is normal
    ");
}

#[test]
fn secrets_are_not_shown() {
    let settings = Settings {
        api_key_env: Some("FAKE_KEY".into()),
        headers: BTreeMap::from([("x-auth-token".into(), "header-secret".into())]),
        ..settings("http://127.0.0.1:9/v1".into())
    };
    let shown = format!("{settings:?} {:?}", provider(settings.clone()));
    assert!(
        !shown.contains(KEY) && !shown.contains("header-secret"),
        "{shown}"
    );
    assert!(
        shown.contains("FAKE_KEY") && shown.contains("x-auth-token"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_comes_after_the_last_word_changes_nothing() {
    let fake = FakeModel::start();
    let mut late = whole(vec![text("hello")], "stop");
    late.insert(
        late.len() - 1,
        Step::Chunk(event(&json!({"choices": "late"}))),
    );
    fake.answer(late);
    let reply = call(&provider(settings(fake.base_url())), &brief())
        .await
        .expect("a reply");
    assert_eq!(reply.text, "hello");
}
