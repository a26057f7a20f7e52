//! How a call is made for a case, and how what comes of it is judged.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use serde_json::{Map, json};
use uuid::Uuid;

use super::{Called, Harness, Play};
use crate::model::{
    ChatMessage, EffectClass, ModelRequest, Place, Reply, RunId, StopReason, ToolSpec,
};
use crate::provider::{Delta, ProviderError, ProviderErrorKind};

/// Kept, or how it was broken.
pub(super) type Verdict = Result<(), String>;

/// How long a message for people may be.
const LONGEST_MESSAGE: usize = 1000;

/// What came of a call.
pub(super) struct Heard {
    outcome: Result<Reply, ProviderError>,
    deltas: Vec<Delta>,
    secrets: Vec<String>,
}

/// A request with tools of these names.
pub(super) fn request(tools: &[Called]) -> ModelRequest {
    let names: BTreeSet<&str> = tools.iter().map(|(name, _)| name.as_str()).collect();
    ModelRequest {
        brief: String::new(),
        run: RunId(Uuid::from_u128(0x0199_aaaa_bbbb_7000_8000_cccc_dddd_eeee)),
        agent: "conformance".into(),
        model: "model".into(),
        system: "You take part in a test.".into(),
        messages: vec![ChatMessage::User {
            text: "Begin.".into(),
        }],
        tools: names.into_iter().map(tool).collect(),
        settings: Map::new(),
    }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: format!("does {name}"),
        parameters: json!({"type": "object", "properties": {}, "additionalProperties": true}),
        effect: EffectClass::Pure,
        place: Place::Node,
    }
}

/// Calls the provider while the other side plays.
pub(super) async fn hear(harness: &dyn Harness, play: Play) -> Heard {
    let request = request(&calls_of(&play));
    let provider = harness.stage(play).await;
    let mut deltas = Vec::new();
    let outcome = provider
        .call(&request, &mut |delta| deltas.push(delta))
        .await;
    Heard {
        outcome,
        deltas,
        secrets: harness.secrets(),
    }
}

fn calls_of(play: &Play) -> Vec<Called> {
    match play {
        Play::Call { calls, .. } => calls.clone(),
        Play::RunOut { call, .. } | Play::Break { call, .. } => call.iter().cloned().collect(),
        Play::GarbledCall(name, _) => vec![(name.clone(), json!({}))],
        _ => Vec::new(),
    }
}

/// What a reply must be.
pub(super) struct Expected<'a> {
    pub(super) text: &'a str,
    pub(super) calls: &'a [Called],
    pub(super) stop: StopReason,
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?}, expected {expected:?}"))
}

fn require(kept: bool, broken: &str) -> Verdict {
    if kept { Ok(()) } else { Err(broken.to_owned()) }
}

impl Heard {
    /// The call must have come to this reply, and its pieces to the same.
    pub(super) fn must_reply(self, expected: &Expected<'_>) -> Verdict {
        let reply = self
            .outcome
            .map_err(|error| format!("{:?}: {error}", error.kind))?;
        let calls: Vec<Called> = reply
            .calls
            .iter()
            .map(|c| (c.name.clone(), c.args.clone()))
            .collect();
        expect("text", reply.text.as_str(), expected.text)?;
        expect("calls", calls.as_slice(), expected.calls)?;
        expect("stop", reply.stop, expected.stop)?;
        expect("streamed text", text(&self.deltas), reply.text)?;
        let ids: HashSet<&str> = reply.calls.iter().map(|call| call.id.as_str()).collect();
        require(
            ids.len() == calls.len() && !ids.contains(""),
            "ids of calls are empty or double",
        )?;
        require(reply.usage.tokens() > 0, "a reply that cost nothing")?;
        if reply.stop == StopReason::ToolCalls {
            let names = reply.calls.iter().map(|call| call.name.as_str());
            expect("streamed calls", called(&self.deltas), names.collect())?;
        }
        Ok(())
    }

    /// The call must have failed in this way, with a message that helps and holds no secret.
    pub(super) fn must_fail(
        self,
        kind: ProviderErrorKind,
        retry_after: Option<Duration>,
    ) -> Verdict {
        let error = match self.outcome {
            Ok(reply) => return Err(format!("a reply ({reply:?}), expected {kind:?}")),
            Err(error) => error,
        };
        expect(&format!("kind of \"{error}\""), error.kind, kind)?;
        expect("retry_after", error.retry_after, retry_after)?;
        let message = error.message.as_str();
        let length = 1..=LONGEST_MESSAGE;
        require(
            length.contains(&message.len()),
            "a message that is empty or too long",
        )?;
        require(
            !message.contains('\n') && !message.ends_with('.'),
            "a message that is not one phrase",
        )?;
        let told = self
            .secrets
            .iter()
            .any(|secret| message.contains(secret.as_str()));
        require(!told, "a message that tells a secret")
    }

    /// This text must have been streamed, whatever came after it.
    pub(super) fn streamed(&self, expected: &str) -> Verdict {
        expect("streamed text", text(&self.deltas).as_str(), expected)
    }
}

fn text(deltas: &[Delta]) -> String {
    let text = deltas.iter().map(|delta| match delta {
        Delta::Text(text) => text.as_str(),
        _ => "",
    });
    text.collect()
}

fn called(deltas: &[Delta]) -> Vec<&str> {
    let names = deltas.iter().filter_map(|delta| match delta {
        Delta::ToolCall(name) => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}
