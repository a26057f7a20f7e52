//! The contract of everything that thinks: one trait, one request, one error that says whether and when to try again.

mod estimate;
pub mod scripted;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::model::{ChatMessage, ModelRequest, Reply, StopReason};

pub use estimate::{estimate, tokens_of};

/// Takes the pieces of a reply as they arrive. Pieces are for watching; the [`Reply`] repeats all of it.
pub type DeltaSink<'a> = &'a mut (dyn FnMut(Delta) + Send);

/// A piece of a streaming reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// Some text.
    Text(String),
    /// Some of the model's thinking: a sign of progress that is no part of the reply.
    Thinking(String),
    /// The model has begun to call this tool.
    ToolCall(String),
}

/// A model behind an interface. A new provider is one file and one registration; the core knows nothing else of it.
///
/// Implementations hold no state of a run. Dropping the future of [`Provider::call`] must close its connection at once.
pub trait Provider: Send + Sync + 'static {
    /// What kind of provider it is, as in `kind = "…"` of a file.
    fn kind(&self) -> &'static str;

    /// One model call, streamed into `deltas`.
    ///
    /// # Errors
    /// A [`ProviderError`] of the kind that happened. A stream that ends without its terminal event is
    /// [`ProviderErrorKind::Cut`], whatever had arrived; a tool call whose arguments were not closed is never part of a reply.
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>>;
}

/// What went wrong with a model call, to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderErrorKind {
    /// Too many requests or tokens.
    RateLimited,
    /// The provider has too much to do.
    Overloaded,
    /// It did not answer in time.
    Timeout,
    /// The connection broke, or the stream ended before its end.
    Cut,
    /// Nobody answers at the address.
    Unreachable,
    /// The provider had an internal error.
    Internal,
    /// The request is wrong and stays wrong.
    BadRequest,
    /// The credentials are missing, unknown or without the right.
    BadCredentials,
    /// The content was refused.
    ContentFilter,
    /// The conversation is longer than the model takes.
    ContextTooLong,
    /// The answer is not what the protocol promises.
    Nonsense,
}

/// A failed model call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What kind of failure it is.
    pub kind: ProviderErrorKind,
    /// What, where, and what to do about it. Never holds a credential.
    pub message: String,
    /// When the provider wants to be asked again, if it said so.
    pub retry_after: Option<Duration>,
}

impl ProviderError {
    /// An error of `kind` with a message for people.
    #[must_use]
    pub fn new(kind: ProviderErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The same error with the provider's own wish of when to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// May the call have cost something all the same?
    #[must_use]
    pub fn may_have_cost(&self) -> bool {
        use ProviderErrorKind as K;
        matches!(
            self.kind,
            K::Timeout | K::Cut | K::Internal | K::Nonsense | K::ContentFilter
        )
    }

    /// May I retry?
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use ProviderErrorKind as K;
        matches!(
            self.kind,
            K::RateLimited
                | K::Overloaded
                | K::Timeout
                | K::Cut
                | K::Unreachable
                | K::Internal
                | K::Nonsense
        )
    }
}

/// A reply that can be gone on with: one that says nothing and calls nothing would end a run without a result.
///
/// # Errors
/// [`ProviderErrorKind::Nonsense`] for an empty reply, [`ProviderErrorKind::BadRequest`] where the output limit left no room for one.
pub fn usable(reply: Reply) -> Result<Reply, ProviderError> {
    if !reply.text.trim().is_empty() || !reply.calls.is_empty() {
        return Ok(reply);
    }
    Err(match reply.stop {
        StopReason::Length => ProviderError::new(
            ProviderErrorKind::BadRequest,
            "the model used up its output limit before it said anything: raise `max_tokens` in the agent's settings",
        ),
        _ => ProviderError::new(
            ProviderErrorKind::Nonsense,
            "the model's answer is empty: neither a text nor a tool call",
        ),
    })
}

/// The turn a request asks for: how many times the model has spoken in its conversation.
#[must_use]
pub fn turn(messages: &[ChatMessage]) -> usize {
    let spoken = |message: &&ChatMessage| matches!(message, ChatMessage::Assistant { .. });
    messages.iter().filter(spoken).count()
}

/// An id for the call at `index` of the reply to `request`, where the provider gives none that is good.
///
/// The same request and index give the same id, and no other turn of the run gives it. It is short and plain enough for
/// every vendor's own rules, so that a conversation can go on with another provider.
#[must_use]
pub fn minted_call_id(request: &ModelRequest, index: usize) -> String {
    let run = request.run.0.as_u128() & 0xffff_ffff_ffff;
    format!("call_{run:012x}_{}_{index}", turn(&request.messages))
}
