//! A reply put together from a stream of chunks. PURE.
//!
//! The terminal event is the chunk with a `finish_reason`: before it a stream that ends was cut, whatever had arrived; after
//! it only the usage and `[DONE]` can follow, and neither is missed where it does not come.

use actors::model::{ModelRequest, Reply, StopReason};
use actors::provider::{Delta, DeltaSink, ProviderError, ProviderErrorKind, estimate};
use serde_json::Value;

use super::calls::{Calls, nonsense};
use super::chunk::{Choice, Chunk, Piece, usage};
use crate::provider::wire::{Fault, kind_of, quote};

/// What has arrived of an answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    text: String,
    calls: Calls,
    finish: Option<String>,
    usage: Option<Value>,
}

impl Answer {
    /// Whether the terminal event has come: what has arrived is whole.
    pub(super) fn is_whole(&self) -> bool {
        self.finish.is_some()
    }

    /// Takes one document of the stream, or a whole completion.
    pub(super) fn take(
        &mut self,
        document: &str,
        deltas: DeltaSink<'_>,
    ) -> Result<(), ProviderError> {
        let document: Value = serde_json::from_str(document).map_err(|error| {
            nonsense(format!(
                "something that is not JSON ({error}): {}",
                quote(document)
            ))
        })?;
        if let Some(found) = Fault::find(&document) {
            return Err(fault(&found));
        }
        let mut chunk: Chunk = serde_json::from_value(document)
            .map_err(|error| nonsense(format!("something that is no chat completion ({error})")))?;
        let usage = chunk.usage.take().filter(Value::is_object);
        self.usage = usage.or(self.usage.take());
        let choice = chunk.choice();
        choice.map_or(Ok(()), |choice| self.choice(choice, deltas))
    }

    fn choice(&mut self, mut choice: Choice, deltas: DeltaSink<'_>) -> Result<(), ProviderError> {
        if let Some(piece) = choice.piece() {
            self.piece(piece, deltas)?;
        }
        let finish = choice.finish_reason.filter(|reason| !reason.is_empty());
        self.finish = self.finish.take().or(finish);
        Ok(())
    }

    fn piece(&mut self, piece: Piece, deltas: DeltaSink<'_>) -> Result<(), ProviderError> {
        if let Some(thinking) = piece.thinking() {
            deltas(Delta::Thinking(thinking));
        }
        let text = piece.text();
        if !text.is_empty() {
            self.text.push_str(&text);
            deltas(Delta::Text(text));
        }
        for call in piece.tool_calls.into_iter().flatten() {
            if let Some(name) = self.calls.take(call)? {
                deltas(Delta::ToolCall(name));
            }
        }
        Ok(())
    }

    /// The reply, when nothing more comes.
    pub(super) fn end(self, request: &ModelRequest) -> Result<Reply, ProviderError> {
        let Some(finish) = self.finish else {
            return Err(cut("the stream ended before the answer was finished"));
        };
        let stop = stop(&finish, self.calls.is_empty(), self.text.is_empty())?;
        let calls = self.calls.finish(request, stop == StopReason::Length)?;
        let usage = self.usage.as_ref().map(usage);
        Ok(Reply {
            usage: usage.unwrap_or_else(|| estimate(request, &self.text, &calls)),
            text: self.text,
            calls,
            stop,
            opaque: Vec::new(),
        })
    }
}

/// What a `finish_reason` means. Servers that call tools and say `stop` are believed in the calls.
fn stop(finish: &str, no_calls: bool, no_text: bool) -> Result<StopReason, ProviderError> {
    use ProviderErrorKind as K;
    match finish {
        "length" | "max_tokens" | "model_length" => Ok(StopReason::Length),
        "tool_calls" | "function_call" if no_calls && no_text => Err(nonsense(
            "an answer that wants tools called and names none".to_owned(),
        )),
        "stop" | "tool_calls" | "function_call" | "eos" | "eos_token" | "stop_sequence"
        | "end_turn" => Ok(if no_calls {
            StopReason::End
        } else {
            StopReason::ToolCalls
        }),
        "content_filter" => Err(ProviderError::new(
            K::ContentFilter,
            "the provider's content filter stopped the answer",
        )),
        "insufficient_system_resource" => Err(ProviderError::new(
            K::Overloaded,
            "the server ran out of resources in the middle of its answer",
        )),
        "abort" | "cancelled" | "error" => {
            Err(cut("the server gave up in the middle of its answer"))
        }
        other => Err(nonsense(format!(
            "an answer that ended for an unknown reason: `{}`",
            quote(other)
        ))),
    }
}

pub(super) fn cut(what: &str) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Cut, what)
}

/// The failure that a server reports in an event of that name, in whatever shape.
pub(super) fn failed(data: &str) -> ProviderError {
    let document = serde_json::from_str(data).unwrap_or_else(|_| Value::from(data));
    fault(&Fault::find(&document).unwrap_or_else(|| Fault::read(&document)))
}

fn fault(fault: &Fault) -> ProviderError {
    let message = quote(&fault.message);
    ProviderError::new(
        kind_of(None, fault),
        format!("the server failed in its answer: {message}"),
    )
}
