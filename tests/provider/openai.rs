//! `openai-compatible` against a server of ours: what it sends, and what it makes of everything that is no stream.

mod refusals;
mod requests;

use actors::model::{ChatMessage, ModelRequest, Reply};
use actors::provider::{Provider, ProviderError, ProviderErrorKind};
use impresario::provider::openai::{OpenAiCompatible, Settings};
use insta::assert_json_snapshot;
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
        brief: String::new(),
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
