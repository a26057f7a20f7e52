//! From a table of a file to a provider.

use impresario::provider::{KINDS, build};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn table(toml: &str) -> Value {
    toml::from_str(toml).expect("toml")
}

#[test]
fn every_kind_is_made_from_its_table() {
    let tables = [
        r#"kind = "scripted"
           latency = "20ms"
           max_concurrent = 4
           [scripts]
           a = [ { say = "hello" } ]"#,
        r#"kind = "openai-compatible"
           base_url = "http://127.0.0.1:11434/v1"
           api_key_env = "SOME_KEY"
           model = "m"
           timeout = "5m"
           connect_timeout = "3s"
           silence_timeout = "1m 30s"
           max_reply_bytes = 1000000
           rate_limits = [ "60/30s" ]
           headers = { x-title = "show" }
           settings = { temperature = 0.2 }
           retry = { attempts = 3 }
           breaker = { failures = 5 }"#,
    ];
    let made = tables.map(|text| {
        let table = table(text);
        let kind = table["kind"].as_str().expect("a kind").to_owned();
        build(&kind, table).expect("a provider").kind()
    });
    assert_eq!(made.len(), KINDS.len());
    assert!(KINDS.iter().all(|(kind, _)| made.contains(kind)));
}

#[test]
fn what_is_wrong_with_a_table_is_told() {
    let openai = |settings: Value| ("openai-compatible", settings);
    let url = "http://127.0.0.1:1";
    let wrong = [
        ("skripted", json!({})),
        ("mainframe", json!({})),
        ("scripted", json!({"scripts": {"a": [{}]}})),
        openai(json!({})),
        openai(json!({"base_url": "127.0.0.1:8080/v1"})),
        openai(json!({"base_url": "ftp://127.0.0.1"})),
        openai(json!({"base_url": "http://me:secret@127.0.0.1"})),
        openai(json!({"base_url": url, "headers": {"a b": "c"}})),
        openai(json!({"base_url": url, "headers": {"a": "c\n"}})),
        openai(json!({"base_url": url, "settings": {"messages": []}})),
        openai(json!({"base_url": url, "timeout": "soon"})),
        openai(json!({"base_url": url, "colour": "red"})),
    ];
    let told = wrong.map(|(kind, settings)| match build(kind, settings) {
        Ok(provider) => panic!("{} was made", provider.kind()),
        Err(error) => error.to_string(),
    });
    assert_snapshot!(told.join("\n"), @r"
    `kind`: there is no provider of kind `skripted`, did you mean `scripted`; there are `openai-compatible`, `scripted`
    `kind`: there is no provider of kind `mainframe`; there are `openai-compatible`, `scripted`
    script of `a`, entry 1, `say`: the entry does nothing: give it `say`, `call`, `calls` or `fail`
    `base_url` is missing: give the server's address, such as `http://127.0.0.1:8080/v1`
    `base_url` is no web address (relative URL without a base)
    `base_url` has to begin with `http://` or `https://`
    `base_url` holds credentials: name a variable with the key in `api_key_env` instead
    `headers` `a b` is no header's name
    `headers` `a` has a value that no header can have
    `settings.messages` cannot be set: the request says it by itself
    `soon` is no duration such as `30s` (expected number at 0)
    unknown field `colour`, expected one of `base_url`, `api_key_env`, `model`, `headers`, `settings`, `timeout`, `connect_timeout`, `silence_timeout`, `max_reply_bytes`
    ");
}
