//! The cases: what the other side plays, and what the provider must make of it.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;

use super::checks::{Expected, Verdict, hear, request};
use super::{Break, Called, Gate, Harness, Play};
use crate::model::StopReason;
use crate::provider::{Delta, ProviderErrorKind as Kind};

macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One thing a provider must do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Case {
            $($(#[$doc])* $name,)*
        }

        impl Case {
            /// All of them.
            pub const ALL: &[Case] = &[$(Case::$name,)*];
        }
    };
}

cases! {
    /// A text in several pieces is streamed and repeated whole.
    PlainText,
    /// Text whose characters arrive byte by byte comes out unharmed.
    SplitUnicode,
    /// A piece is handed on before the next one is there.
    SlowStream,
    /// Several calls of one reply, two of them of the same tool, each with its own id.
    ParallelCalls,
    /// Arguments that arrive in pieces are put together, those of two calls apart.
    FragmentedArguments,
    /// A call without arguments has an empty object.
    EmptyArguments,
    /// A text that the output limit ends says so.
    OutputLimit,
    /// A call that the output limit ends is not in the reply.
    OutputLimitInArguments,
    /// Too many requests.
    RateLimited,
    /// Too many requests, and the time to come back.
    RetryAfter,
    /// A server with too much to do.
    Overloaded,
    /// A failure of the server's own.
    InternalError,
    /// A request that is wrong.
    BadRequest,
    /// A key that is wrong.
    BadCredentials,
    /// A conversation that is too long.
    ContextTooLong,
    /// Content that is refused.
    ContentFilter,
    /// A stream that ends without its terminal event, in the middle of the text.
    CutInText,
    /// The same in the arguments of a call, of which nothing may be left.
    CutInArguments,
    /// A connection that is reset in the middle of the text.
    ResetInText,
    /// A connection that is reset in the arguments of a call.
    ResetInArguments,
    /// An overload that is reported in a stream that began well.
    OverloadedInStream,
    /// A rate limit that is reported in a stream that began well.
    RateLimitedInStream,
    /// A server that takes the request and never answers.
    Silence,
    /// A server that falls silent in the middle of the text.
    SilenceInText,
    /// An answer that is not of the protocol.
    Garbage,
    /// A call, finished by the server, whose arguments cannot be read.
    GarbledArguments,
    /// Nobody at the address.
    Unreachable,
    /// A caller that goes away in the middle of an answer: the other side sees it.
    CallerGone,
    /// A caller that goes away before the answer begins.
    CallerGoneEarly,
}

const TEXT: &str = "Grüße, 漢字 and a 🎭 — “quoted”, \\ and \u{0}";

impl Case {
    pub(super) fn check(self, harness: &dyn Harness) -> BoxFuture<'_, Verdict> {
        match self {
            Self::PlainText => says(harness, Play::Say(pieces(TEXT))).boxed(),
            Self::SplitUnicode => says(harness, Play::SayByteByByte(TEXT.into())).boxed(),
            Self::SlowStream => slow_stream(harness).boxed(),
            Self::ParallelCalls => calls(harness, "On it.", two_and_one(), false).boxed(),
            Self::FragmentedArguments => calls(harness, "", two_and_one(), true).boxed(),
            Self::EmptyArguments => {
                calls(harness, "", vec![("now".into(), json!({}))], false).boxed()
            }
            Self::OutputLimit => runs_out(harness, None).boxed(),
            Self::OutputLimitInArguments => runs_out(harness, Some(long_call())).boxed(),
            Self::CallerGone => caller_gone(harness, Play::Endless(TEXT.into()), false).boxed(),
            Self::CallerGoneEarly => {
                caller_gone(harness, Play::Endless(String::new()), true).boxed()
            }
            other => fails(harness, other).boxed(),
        }
    }

    /// The play of a case that must fail, the kind of the failure, and the wait the error must ask for.
    fn failure(self) -> (Play, Kind, Option<Duration>) {
        let wait = Duration::from_secs(7);
        match self {
            Self::RateLimited => refusal(Kind::RateLimited, None),
            Self::RetryAfter => refusal(Kind::RateLimited, Some(wait)),
            Self::Overloaded => refusal(Kind::Overloaded, None),
            Self::InternalError => refusal(Kind::Internal, None),
            Self::BadRequest => refusal(Kind::BadRequest, None),
            Self::BadCredentials => refusal(Kind::BadCredentials, None),
            Self::ContextTooLong => refusal(Kind::ContextTooLong, None),
            Self::ContentFilter => refusal(Kind::ContentFilter, None),
            Self::CutInText => breaks(None, Break::End, Kind::Cut),
            Self::CutInArguments => breaks(Some(long_call()), Break::End, Kind::Cut),
            Self::ResetInText => breaks(None, Break::Reset, Kind::Cut),
            Self::ResetInArguments => breaks(Some(long_call()), Break::Reset, Kind::Cut),
            Self::OverloadedInStream => {
                breaks(None, Break::Error(Kind::Overloaded), Kind::Overloaded)
            }
            Self::RateLimitedInStream => {
                breaks(None, Break::Error(Kind::RateLimited), Kind::RateLimited)
            }
            Self::Silence => (Play::Hold(String::new()), Kind::Timeout, None),
            Self::SilenceInText => (Play::Hold(TEXT.into()), Kind::Timeout, None),
            Self::GarbledArguments => (garbled(), Kind::Nonsense, None),
            Self::Unreachable => (Play::Nobody, Kind::Unreachable, None),
            _ => (Play::Garbage, Kind::Nonsense, None),
        }
    }
}

fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn two_and_one() -> Vec<Called> {
    vec![
        (
            "search".into(),
            json!({"query": "a \"b\" \\ 漢", "deep": {"list": [1, 2.5, null, true]}}),
        ),
        ("read".into(), json!({"path": "src/main.rs"})),
        ("search".into(), json!({"query": ""})),
    ]
}

fn long_call() -> Called {
    (
        "write".into(),
        json!({"path": "a.txt", "content": "x".repeat(200)}),
    )
}

fn garbled() -> Play {
    Play::GarbledCall("write".into(), "{\"path\": \"a.txt\", content".into())
}

fn refusal(kind: Kind, retry_after: Option<Duration>) -> (Play, Kind, Option<Duration>) {
    (Play::Refuse { kind, retry_after }, kind, retry_after)
}

fn breaks(call: Option<Called>, how: Break, kind: Kind) -> (Play, Kind, Option<Duration>) {
    let text = TEXT.into();
    (Play::Break { text, call, how }, kind, None)
}

async fn says(harness: &dyn Harness, play: Play) -> Verdict {
    let expected = Expected {
        text: TEXT,
        calls: &[],
        stop: StopReason::End,
    };
    hear(harness, play).await.must_reply(&expected)
}

async fn calls(
    harness: &dyn Harness,
    text: &str,
    calls: Vec<Called>,
    in_fragments: bool,
) -> Verdict {
    let play = Play::Call {
        text: text.to_owned(),
        calls: calls.clone(),
        in_fragments,
    };
    let expected = Expected {
        text,
        calls: &calls,
        stop: StopReason::ToolCalls,
    };
    hear(harness, play).await.must_reply(&expected)
}

async fn runs_out(harness: &dyn Harness, call: Option<Called>) -> Verdict {
    let text = TEXT.to_owned();
    let expected = Expected {
        text: TEXT,
        calls: &[],
        stop: StopReason::Length,
    };
    hear(harness, Play::RunOut { text, call })
        .await
        .must_reply(&expected)
}

async fn fails(harness: &dyn Harness, case: Case) -> Verdict {
    let (play, kind, retry_after) = case.failure();
    let said = match &play {
        Play::Break { text, .. } | Play::Hold(text) => text.clone(),
        _ => String::new(),
    };
    let heard = hear(harness, play).await;
    heard.streamed(&said)?;
    heard.must_fail(kind, retry_after)
}

async fn slow_stream(harness: &dyn Harness) -> Verdict {
    let gate = Gate::new();
    let (first, rest) = TEXT.split_at("Grüße".len());
    let provider = harness
        .stage(Play::SayWhen(first.into(), gate.clone(), rest.into()))
        .await;
    let request = request(&[]);
    let mut open = |_: Delta| gate.open();
    let reply = provider.call(&request, &mut open).await;
    match reply {
        Ok(reply) if reply.text == TEXT => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

async fn caller_gone(harness: &dyn Harness, play: Play, early: bool) -> Verdict {
    let provider = harness.stage(play).await;
    let request = request(&[]);
    let begun = Gate::new();
    let mut tell = |_: Delta| begun.open();
    let call = provider.call(&request, &mut tell);
    tokio::select! {
        outcome = call => return Err(format!("over before its caller left: {outcome:?}")),
        () = begun.opened(), if !early => {}
        () = harness.called(), if early => {}
    }
    harness.caller_gone().await;
    Ok(())
}
