//! The public suite, against every provider there is.

use std::sync::Arc;
use std::time::Duration;

use actors::model::{ModelRequest, Reply, StopReason, Usage};
use actors::provider::scripted::{
    Entry, Failure, Script, Scripted, ScriptedCall, ScriptedSettings,
};
use actors::provider::{DeltaSink, Provider, ProviderError, ProviderErrorKind};
use actors::testing::conformance::provider::{Break, Called, Case, Harness, Play, run};
use futures_util::future::{BoxFuture, FutureExt};
use impresario::provider::openai::{OpenAiCompatible, Settings};
use insta::assert_snapshot;

use crate::support::chat_wire::{KEY, steps};
use crate::support::fake_model::FakeModel;

struct OpenAi {
    fake: FakeModel,
    here: Arc<dyn Provider>,
    impatient: Arc<dyn Provider>,
    nowhere: Arc<dyn Provider>,
}

fn openai(base_url: String, patience: Duration) -> Arc<dyn Provider> {
    let settings = Settings {
        base_url,
        api_key_env: Some("FAKE_KEY".into()),
        silence_timeout: patience,
        ..Settings::default()
    };
    let env = |name: &str| (name == "FAKE_KEY").then(|| KEY.to_owned());
    Arc::new(OpenAiCompatible::with_env(settings, env).expect("good settings"))
}

/// An address where nobody listens, as the port was just free.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}/v1", listener.local_addr().expect("an address"))
}

impl Harness for OpenAi {
    fn stage(&self, play: Play) -> BoxFuture<'_, Arc<dyn Provider>> {
        let provider = match play {
            Play::Nobody => &self.nowhere,
            Play::Hold(_) => &self.impatient,
            _ => &self.here,
        };
        if !matches!(play, Play::Nobody) {
            self.fake.answer(steps(play));
        }
        async { provider.clone() }.boxed()
    }

    fn called(&self) -> BoxFuture<'_, ()> {
        self.fake.called().boxed()
    }

    fn caller_gone(&self) -> BoxFuture<'_, ()> {
        self.fake.caller_gone().boxed()
    }

    fn cannot(&self) -> Vec<(Case, &'static str)> {
        Vec::new()
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }
}

#[tokio::test]
async fn openai_compatible_keeps_the_contract() {
    let fake = FakeModel::start();
    let harness = OpenAi {
        here: openai(fake.base_url(), Duration::from_secs(10)),
        impatient: openai(fake.base_url(), Duration::from_secs(2)),
        nowhere: openai(nowhere(), Duration::from_secs(10)),
        fake,
    };
    let report = run(&harness).await;
    assert!(report.is_kept(), "{report}");
    assert_eq!(report.0.len(), Case::ALL.len());
}

/// A provider that forgives what it must not, and talks too much.
struct Careless(Arc<dyn Provider>);

impl Provider for Careless {
    fn kind(&self) -> &'static str {
        "careless"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        async {
            let mut last = None;
            let outcome = self.0.call(request, &mut |delta| last = Some(delta)).await;
            last.into_iter().for_each(deltas);
            match outcome {
                Ok(reply) => Ok(reply),
                Err(error) if error.kind == ProviderErrorKind::Cut => Ok(nothing()),
                Err(error) => Err(ProviderError::new(error.kind, format!("{error} {KEY}"))),
            }
        }
        .boxed()
    }
}

fn nothing() -> Reply {
    Reply {
        text: String::new(),
        calls: Vec::new(),
        usage: Usage::default(),
        stop: StopReason::End,
        opaque: Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_finds_a_careless_provider() {
    let report = run(&Stage { careless: true }).await;
    assert_snapshot!(report, @r#"
    BROKEN    PlainText: streamed text: "\0", expected "Grüße, 漢字 and a 🎭 — “quoted”, \\ and \0"
    declared  SplitUnicode: a script has no bytes and no connection
    declared  SlowStream: a script's replies are whole from the start
    BROKEN    ParallelCalls: streamed text: "", expected "On it."
    declared  FragmentedArguments: a script's replies are whole from the start
    kept      EmptyArguments
    declared  OutputLimit: a script's replies are whole from the start
    declared  OutputLimitInArguments: a script's replies are whole from the start
    BROKEN    RateLimited: a message that tells a secret
    declared  RetryAfter: a script has no such failure
    BROKEN    Overloaded: a message that tells a secret
    declared  InternalError: a script has no such failure
    BROKEN    BadRequest: a message that tells a secret
    declared  BadCredentials: a script has no such failure
    declared  ContextTooLong: a script has no such failure
    declared  ContentFilter: a script has no such failure
    BROKEN    CutInText: streamed text: "\0", expected "Grüße, 漢字 and a 🎭 — “quoted”, \\ and \0"
    declared  CutInArguments: a script's replies are whole from the start
    declared  ResetInText: a script has no bytes and no connection
    declared  ResetInArguments: a script has no bytes and no connection
    declared  OverloadedInStream: a script has no such failure
    declared  RateLimitedInStream: a script has no such failure
    BROKEN    Silence: a message that tells a secret
    declared  SilenceInText: a script has no such failure
    declared  Garbage: a script has no bytes and no connection
    declared  GarbledArguments: a script has no bytes and no connection
    declared  Unreachable: a script has no bytes and no connection
    declared  CallerGone: a script has no bytes and no connection
    declared  CallerGoneEarly: a script has no bytes and no connection
    "#);
}

/// Scripts, played by the provider they are made for or by a careless one.
struct Stage {
    careless: bool,
}

fn calls(calls: Vec<Called>) -> Vec<ScriptedCall> {
    let scripted = calls.into_iter().map(|(tool, args)| ScriptedCall {
        tool,
        args: args.as_object().cloned().unwrap_or_default(),
    });
    scripted.collect()
}

fn failure(kind: ProviderErrorKind) -> Option<Failure> {
    use Failure as F;
    let failures = [
        F::RateLimited,
        F::Overloaded,
        F::Timeout,
        F::Disconnect,
        F::BadRequest,
    ];
    failures.into_iter().find(|failure| failure.kind() == kind)
}

fn entry(play: Play) -> Entry {
    let say = |text: String| Some(text).filter(|text| !text.is_empty());
    match play {
        Play::Say(pieces) => Entry {
            say: say(pieces.concat()),
            ..Entry::default()
        },
        Play::Call {
            text, calls: made, ..
        } => Entry {
            say: say(text),
            calls: calls(made),
            ..Entry::default()
        },
        Play::Refuse { kind, .. } => Entry {
            fail: failure(kind),
            ..Entry::default()
        },
        Play::Break {
            text,
            how: Break::End,
            ..
        } => Entry {
            say: say(text),
            fail: Some(Failure::Disconnect),
            ..Entry::default()
        },
        Play::Hold(_) => Entry {
            fail: Some(Failure::Timeout),
            ..Entry::default()
        },
        other => unreachable!("{other:?} is declared"),
    }
}

impl Harness for Stage {
    fn stage(&self, play: Play) -> BoxFuture<'_, Arc<dyn Provider>> {
        let script = Script {
            entries: vec![entry(play)],
        };
        let settings = ScriptedSettings {
            scripts: [("conformance".to_owned(), script)].into(),
            ..ScriptedSettings::default()
        };
        let scripted: Arc<dyn Provider> =
            Arc::new(Scripted::new(&settings).expect("a good script"));
        let careless = self
            .careless
            .then(|| Arc::new(Careless(scripted.clone())) as Arc<dyn Provider>);
        async { careless.unwrap_or(scripted) }.boxed()
    }

    fn called(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }

    fn caller_gone(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }

    fn cannot(&self) -> Vec<(Case, &'static str)> {
        use Case as C;
        let no_bytes = "a script has no bytes and no connection";
        let no_failure = "a script has no such failure";
        let no_pieces = "a script's replies are whole from the start";
        vec![
            (C::SplitUnicode, no_bytes),
            (C::SlowStream, no_pieces),
            (C::FragmentedArguments, no_pieces),
            (C::OutputLimit, no_pieces),
            (C::OutputLimitInArguments, no_pieces),
            (C::RetryAfter, no_failure),
            (C::InternalError, no_failure),
            (C::BadCredentials, no_failure),
            (C::ContextTooLong, no_failure),
            (C::ContentFilter, no_failure),
            (C::CutInArguments, no_pieces),
            (C::ResetInText, no_bytes),
            (C::ResetInArguments, no_bytes),
            (C::OverloadedInStream, no_failure),
            (C::RateLimitedInStream, no_failure),
            (C::SilenceInText, no_failure),
            (C::Garbage, no_bytes),
            (C::GarbledArguments, no_bytes),
            (C::Unreachable, no_bytes),
            (C::CallerGone, no_bytes),
            (C::CallerGoneEarly, no_bytes),
        ]
    }
}

#[tokio::test(start_paused = true)]
async fn scripted_keeps_the_contract_as_far_as_a_script_can() {
    assert_snapshot!(run(&Stage { careless: false }).await.to_string(), @r"
    kept      PlainText
    declared  SplitUnicode: a script has no bytes and no connection
    declared  SlowStream: a script's replies are whole from the start
    kept      ParallelCalls
    declared  FragmentedArguments: a script's replies are whole from the start
    kept      EmptyArguments
    declared  OutputLimit: a script's replies are whole from the start
    declared  OutputLimitInArguments: a script's replies are whole from the start
    kept      RateLimited
    declared  RetryAfter: a script has no such failure
    kept      Overloaded
    declared  InternalError: a script has no such failure
    kept      BadRequest
    declared  BadCredentials: a script has no such failure
    declared  ContextTooLong: a script has no such failure
    declared  ContentFilter: a script has no such failure
    kept      CutInText
    declared  CutInArguments: a script's replies are whole from the start
    declared  ResetInText: a script has no bytes and no connection
    declared  ResetInArguments: a script has no bytes and no connection
    declared  OverloadedInStream: a script has no such failure
    declared  RateLimitedInStream: a script has no such failure
    kept      Silence
    declared  SilenceInText: a script has no such failure
    declared  Garbage: a script has no bytes and no connection
    declared  GarbledArguments: a script has no bytes and no connection
    declared  Unreachable: a script has no bytes and no connection
    declared  CallerGone: a script has no bytes and no connection
    declared  CallerGoneEarly: a script has no bytes and no connection
    ");
}
