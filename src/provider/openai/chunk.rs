//! A Chat Completions chunk as the many servers of this dialect really write it: anything may be null or left out.

use serde::Deserialize;
use serde_json::Value;

use actors::model::Usage;

/// One chunk of a stream, or a whole completion, which differs in one word.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) usage: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    index: Option<u64>,
    delta: Option<Piece>,
    message: Option<Piece>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece {
    content: Option<Content>,
    refusal: Option<String>,
    reasoning: Option<Content>,
    reasoning_content: Option<Content>,
    pub(super) tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    text: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallPiece {
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<Value>,
}

impl Chunk {
    /// The first choice, which is the only one that is ever asked for.
    pub(super) fn choice(self) -> Option<Choice> {
        let mut choices = self.choices.into_iter().flatten();
        choices.find(|choice| choice.index.unwrap_or(0) == 0)
    }
}

impl Choice {
    pub(super) fn piece(&mut self) -> Option<Piece> {
        self.delta.take().or(self.message.take())
    }
}

impl Piece {
    /// Some servers send their thinking under both names.
    pub(super) fn thinking(&self) -> Option<String> {
        let thinking = self.reasoning_content.as_ref().or(self.reasoning.as_ref());
        thinking.map(Content::text).filter(|text| !text.is_empty())
    }

    pub(super) fn text(&self) -> String {
        let content = self.content.as_ref().map(Content::text);
        content.unwrap_or_default() + self.refusal.as_deref().unwrap_or_default()
    }
}

impl Content {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts
                .iter()
                .filter_map(|part| part.text.as_deref())
                .collect(),
            Self::Other(_) => String::new(),
        }
    }
}

/// Usage as it is reported. Tokens from the cache are counted among the prompt's on the wire, and apart from them by us.
pub(super) fn usage(reported: &Value) -> Usage {
    let number = |path: &str| reported.pointer(path).and_then(Value::as_u64);
    let read = number("/prompt_tokens").unwrap_or(0);
    let cached = number("/prompt_tokens_details/cached_tokens")
        .or_else(|| number("/prompt_cache_hit_tokens"));
    let cached = cached.unwrap_or(0).min(read);
    let dollars = reported.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
    Usage {
        input_tokens: read - cached,
        output_tokens: number("/completion_tokens").unwrap_or(0),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
        cost_usd_micros: micros(dollars),
        ..Usage::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float casts to the nearest integer there is, and not-a-number to 0"
)]
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}
