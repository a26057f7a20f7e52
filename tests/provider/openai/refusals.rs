//! What people are told when there is no answer, and what they are not told.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::provider::ProviderError;
use impresario::provider::openai::Settings;
use insta::assert_snapshot;
use serde_json::json;

use super::{brief, call, object, provider, settings};
use crate::support::chat_wire::{KEY, begun, text, whole};
use crate::support::fake_model::{FakeModel, Step};

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
        timeout: Duration::from_secs(2),
        ..settings(fake.base_url())
    };
    let error = call(&provider(short), &brief()).await.unwrap_err();
    assert_snapshot!(told(&fake, &error), @r"
    Timeout
      URL/chat/completions: the answer took longer than 2s: raise `timeout` if that is normal
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
