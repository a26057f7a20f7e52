//! What is sent.

use std::collections::BTreeMap;

use actors::model::{ChatMessage, EffectClass, ModelRequest, Place, ToolCall, ToolSpec};
use impresario::provider::openai::Settings;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{brief, call, hello, object, provider, request, settings};
use crate::support::chat_wire::KEY;
use crate::support::fake_model::FakeModel;

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
        brief: String::new(),
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
