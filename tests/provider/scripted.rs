//! The scripted provider: what it answers, turn by turn, and that it needs nothing but the conversation to go on.

use std::fmt::Write;
use std::time::Duration;

use actors::model::{ChatMessage, ModelRequest, Reply, RunId};
use actors::provider::scripted::{Scripted, ScriptedSettings};
use actors::provider::{Delta, Provider, ProviderError, ProviderErrorKind};
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::Map;

fn settings(toml: &str) -> ScriptedSettings {
    toml::from_str(toml).expect("the file is as documented")
}

fn provider(toml: &str) -> Scripted {
    Scripted::new(&settings(toml)).expect("the scripts are good")
}

fn run(end: &str) -> RunId {
    format!("run_01990000000070008000{end:0>12}")
        .parse()
        .expect("a run's id")
}

fn request(agent: &str, brief: &str) -> ModelRequest {
    ModelRequest {
        brief: brief.to_owned(),
        run: run("aa"),
        agent: agent.into(),
        model: String::new(),
        system: "You are on stage.".into(),
        messages: vec![ChatMessage::User { text: brief.into() }],
        tools: Vec::new(),
        settings: Map::new(),
    }
}

async fn call(
    provider: &Scripted,
    request: &ModelRequest,
) -> (Result<Reply, ProviderError>, Vec<Delta>) {
    let mut deltas = Vec::new();
    let outcome = provider
        .call(request, &mut |delta| deltas.push(delta))
        .await;
    (outcome, deltas)
}

/// The reply and the tools' answers become part of the conversation; after a turn without calls `next` is said.
fn go_on(request: &mut ModelRequest, reply: &Reply, next: &str) {
    request.messages.push(ChatMessage::Assistant {
        text: reply.text.clone(),
        calls: reply.calls.clone(),
        opaque: Vec::new(),
    });
    for call in &reply.calls {
        request.messages.push(ChatMessage::Tool {
            call_id: call.id.clone(),
            name: call.name.clone(),
            text: format!("{} gave {}", call.name, call.args),
            is_error: false,
        });
    }
    if reply.calls.is_empty() {
        request
            .messages
            .push(ChatMessage::User { text: next.into() });
    }
}

/// Plays as many attempts as there are lines in `said`, which are said after turns without calls.
async fn play(provider: &Scripted, mut request: ModelRequest, said: &[&str]) -> String {
    let mut story = String::new();
    for next in said {
        match call(provider, &request).await.0 {
            Ok(reply) => {
                write!(story, "{:?} {:?}", reply.stop, reply.text).unwrap();
                for call in &reply.calls {
                    write!(story, "\n  {} {} {}", call.id, call.name, call.args).unwrap();
                }
                let usage = reply.usage;
                writeln!(
                    story,
                    "  [{} in, {} out]",
                    usage.input_tokens, usage.output_tokens
                )
                .unwrap();
                go_on(&mut request, &reply, next);
            }
            Err(error) => writeln!(story, "{:?}: {error}", error.kind).unwrap(),
        }
    }
    story
}

const STAGE: &str = r#"
latency = "20ms"
[scripts]
architect = [
    { say = "Reading the code for {{input}}.", call = "read_file", args = { path = "app.py", hints = ["{{last}}", 7] } },
    { calls = [ { tool = "write_file", args = { content = "from {{result.0}}" } }, { tool = "post_message" } ] },
    { fail = "rate_limited" },
    { fail = "overloaded" },
    { say = "Done: {{input}}; {{last}}", usage = { input = 12, output = 3 } },
]
"#;

#[tokio::test(start_paused = true)]
async fn a_script_is_played_turn_by_turn_and_its_last_line_is_repeated() {
    let story = play(
        &provider(STAGE),
        request("architect", "a parser"),
        &["ok"; 7],
    )
    .await;
    assert_snapshot!(story, @r#"
    ToolCalls "Reading the code for a parser."
      call_0000000000aa_0_0 read_file {"hints":["a parser",7],"path":"app.py"}  [7 in, 20 out]
    ToolCalls ""
      call_0000000000aa_1_0 write_file {"content":"from read_file gave {\"hints\":[\"a parser\",7],\"path\":\"app.py\"}"}
      call_0000000000aa_1_1 post_message {}  [40 in, 27 out]
    RateLimited: the script of `architect` fails this call, as its entry 3 says
    Overloaded: the script of `architect` fails this call, as its entry 4 says
    End "Done: a parser; post_message gave {}"  [12 in, 3 out]
    End "Done: a parser; ok"  [106 in, 5 out]
    End "Done: a parser; ok"  [111 in, 5 out]
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_entry_waits_for_the_turn_whose_newest_message_it_matches() {
    let provider = provider(
        r#"
        [scripts]
        critic = [
            { when = "(?i)bug", say = "fix it" },
            { say = "fine" },
            { when = "bug", fail = "timeout" },
            { when = "^boo", say = "hush" },
        ]
        "#,
    );
    let said = [
        "nothing new",
        "a Bug",
        "a bug again",
        "a bug again",
        "boo",
        "boo",
    ];
    let story = play(&provider, request("critic", "look at this"), &said).await;
    assert_snapshot!(story, @r#"
    End "fine"  [8 in, 1 out]
    End "fine"  [11 in, 1 out]
    End "fix it"  [14 in, 2 out]
    Timeout: the script of `critic` fails this call, as its entry 3 says
    End "fine"  [18 in, 1 out]
    End "hush"  [20 in, 1 out]
    "#);
}

#[tokio::test(start_paused = true)]
async fn all_failures_have_their_kind_and_a_broken_line_has_said_something_first() {
    let provider = provider(
        r#"
        [scripts]
        unlucky = [
            { fail = "rate_limited" }, { fail = "overloaded" }, { fail = "timeout" }, { fail = "bad_request" },
            { fail = "disconnect", say = "I was ab" },
        ]
        "#,
    );
    let story = play(&provider, request("unlucky", "try"), &["again"; 4]).await;
    assert_snapshot!(story, @r"
    RateLimited: the script of `unlucky` fails this call, as its entry 1 says
    Overloaded: the script of `unlucky` fails this call, as its entry 2 says
    Timeout: the script of `unlucky` fails this call, as its entry 3 says
    BadRequest: the script of `unlucky` fails this call, as its entry 4 says
    ");
    let mut request = request("unlucky", "try");
    let (outcome, deltas) = call(&provider, &request).await;
    assert!(outcome.unwrap_err().to_string().contains("entry 5"));
    assert_eq!(deltas.len(), 3, "what had arrived: {deltas:?}");
    request.run = run("bb");
    let (outcome, _) = call(&provider, &request).await;
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("entry 1"),
        "another run fails on its own: {error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_takes_its_latency_and_comes_in_pieces() {
    let provider = provider(STAGE);
    let request = request("architect", "a parser");
    let start = tokio::time::Instant::now();
    let (outcome, deltas) = call(&provider, &request).await;
    assert_eq!(start.elapsed(), Duration::from_millis(20));
    assert_eq!(deltas.len(), 7, "{deltas:?}");
    assert_eq!(deltas[6], Delta::ToolCall("read_file".into()));
    assert_eq!(outcome.unwrap().text, "Reading the code for a parser.");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_uses_up_no_failure() {
    let provider =
        provider("latency = '1s'\n[scripts]\na = [ { fail = 'overloaded' }, { say = 'ok' } ]");
    let request = request("a", "go");
    let early = tokio::time::timeout(Duration::from_millis(500), call(&provider, &request)).await;
    assert!(early.is_err());
    assert!(call(&provider, &request).await.0.is_err());
    assert!(call(&provider, &request).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn failures_of_a_turn_that_went_on_elsewhere_are_forgotten() {
    let script = "[scripts]\na = [ { fail = 'overloaded' }, { say = 'one' }, { fail = 'timeout' }, { say = 'two' } ]";
    let (here, elsewhere) = (provider(script), provider(script));
    let mut request = request("a", "go");
    let failed = call(&here, &request).await.0.unwrap_err();
    assert_eq!(failed.kind, ProviderErrorKind::Overloaded);
    assert!(call(&elsewhere, &request).await.0.is_err());
    let reply = call(&elsewhere, &request).await.0.unwrap();
    go_on(&mut request, &reply, "on");
    let failed = call(&here, &request).await.0.unwrap_err();
    assert_eq!(failed.kind, ProviderErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_played_is_a_bad_request_that_says_where() {
    let provider = provider("[scripts]\nb = [ { say = '{{result.0}}' } ]\nc = [ { call = 'x' } ]");
    let mut errors = String::new();
    for agent in ["a", "b"] {
        let error = call(&provider, &request(agent, "go")).await.0.unwrap_err();
        writeln!(errors, "{:?}: {error}", error.kind).unwrap();
    }
    assert_snapshot!(errors, @r"
    BadRequest: the scripted provider has no script for agent `a`, only for `b`, `c`: add one to its `scripts`
    BadRequest: script of `b`, entry 1: `{{result.0}}` is not there: the run has 0 tool results so far, counted from 0
    ");
    let story = play(&provider, request("c", "go"), &["ok"; 2]).await;
    assert_snapshot!(story, @r#"
    ToolCalls ""
      call_0000000000aa_0_0 x {}  [5 in, 1 out]
    End "The script of c is used up."  [8 in, 7 out]
    "#);
}

#[test]
fn every_mistake_in_the_scripts_is_named() {
    let toml = r#"
        latency = "2h"
        [scripts]
        empty = []
        wrong = [
            {},
            { say = "ok" },
            { args = { a = 1 }, say = "x" },
            { call = "a", calls = [ { tool = "" } ] },
            { when = "(", say = "x" },
            { fail = "timeout", say = "x", call = "t", usage = { input = 1 } },
        ]
        "#;
    let errors = Scripted::new(&settings(toml)).unwrap_err();
    let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    `latency`: at most 1h
    script of `empty`, `scripts`: has no entries: give it at least one
    script of `wrong`, entry 1, `say`: the entry does nothing: give it `say`, `call`, `calls` or `fail`
    script of `wrong`, entry 3, `args`: belongs to a `call`, and there is none
    script of `wrong`, entry 4, `calls`: give `call` or `calls`, not both
    script of `wrong`, entry 4, `call`: needs the name of a tool
    script of `wrong`, entry 5, `when`: not a regular expression: unclosed group
    script of `wrong`, entry 6, `fail`: a failed call calls no tools: give them an entry of their own
    script of `wrong`, entry 6, `usage`: a failed call reports none
    script of `wrong`, entry 6, `say`: only `fail = "disconnect"` can say something first
    "#);
}

#[test]
fn settings_survive_being_written() {
    let before = settings(STAGE);
    let text = serde_json::to_string(&before).unwrap();
    assert_eq!(
        serde_json::from_str::<ScriptedSettings>(&text).unwrap(),
        before
    );
}

fn entry() -> impl Strategy<Value = String> {
    let when = prop_oneof![3 => Just(""), 1 => Just("when = 'a', "), 1 => Just("when = 'gave', ")];
    let does = prop_oneof![
        3 => "[a-d]{1,2}".prop_map(|text| format!("say = '{text} {{{{last}}}}'")),
        2 => "[a-d]{1,2}".prop_map(|tool| format!("call = '{tool}', args = {{ x = '{{{{input}}}}' }}")),
        1 => Just("fail = 'overloaded'".to_owned()),
    ];
    (when, does).prop_map(|(when, does)| format!("{{ {when}{does} }}"))
}

/// Plays `turns` turns, each by the provider of its number; failed attempts are repeated, `limit` times in all.
fn replies(stages: &[&Scripted], turns: usize, limit: usize) -> Vec<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut request = request("a", "brief");
    let (mut replies, mut failed) = (Vec::new(), 0);
    while replies.len() < turns {
        let stage = stages[replies.len() % stages.len()];
        match runtime.block_on(call(stage, &request)).0 {
            Ok(reply) => {
                go_on(&mut request, &reply, ["a", "b"][replies.len() % 2]);
                replies.push(reply);
            }
            Err(_) => failed += 1,
        }
        assert!(failed <= limit, "the same turn fails for ever");
    }
    replies
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_goes_on_in_another_process_as_it_would_have_in_the_first(entries in prop::collection::vec(entry(), 1..8)) {
        let toml = format!("[scripts]\na = [ {} ]", entries.join(", "));
        let (first, second) = (provider(&toml), provider(&toml));
        let stayed = replies(&[&first], 10, entries.len());
        let moved = replies(&[&second, &first], 10, 2 * entries.len());
        prop_assert_eq!(stayed, moved);
    }
}
