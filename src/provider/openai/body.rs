//! What the bytes of a response are: a stream of events, or one document from servers that do not stream. PURE.

use actors::model::{ModelRequest, Reply};
use actors::provider::{DeltaSink, ProviderError, ProviderErrorKind};

use super::answer::{Answer, cut, failed};
use super::calls::nonsense;
use crate::provider::wire::{Event, SseDecoder, quote};

/// What the first byte of a body shows it to be.
#[derive(Debug)]
enum Form {
    Unknown,
    Events(SseDecoder),
    Document(Vec<u8>),
}

/// A body as far as it has arrived.
#[derive(Debug)]
pub(super) struct Body {
    form: Form,
    pub(super) answer: Answer,
    left: usize,
    limit: usize,
}

impl Body {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            form: Form::Unknown,
            answer: Answer::default(),
            left: limit,
            limit,
        }
    }

    /// Takes the next bytes; true when the server has said its last word.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        deltas: DeltaSink<'_>,
    ) -> Result<bool, ProviderError> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or_else(|| too_large(self.limit))?;
        let bytes = match self.form {
            Form::Unknown => bytes.trim_ascii_start(),
            _ => bytes,
        };
        if matches!(self.form, Form::Unknown) {
            self.form = form(bytes, self.limit)?;
        }
        match &mut self.form {
            Form::Unknown => Ok(false),
            Form::Document(held) => {
                held.extend_from_slice(bytes);
                Ok(false)
            }
            Form::Events(decoder) => {
                let events = decoder.feed(bytes);
                let events = events.map_err(|_| too_large(self.limit))?;
                self.events(&events, deltas)
            }
        }
    }

    fn events(&mut self, events: &[Event], deltas: DeltaSink<'_>) -> Result<bool, ProviderError> {
        for event in events {
            if self.event(event, deltas)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True when this event was the server's last word.
    fn event(&mut self, event: &Event, deltas: DeltaSink<'_>) -> Result<bool, ProviderError> {
        let whole = self.answer.is_whole();
        let taken = match event.data.trim() {
            "" => Ok(()),
            "[DONE]" => return Ok(true),
            data if event.name == "error" => Err(failed(data)),
            data => self.answer.take(data, deltas),
        };
        // what goes wrong after the end of an answer takes nothing away from it
        if whole {
            Ok(taken.is_err())
        } else {
            taken.map(|()| false)
        }
    }

    /// The reply, when the body has ended.
    pub(super) fn end(
        mut self,
        request: &ModelRequest,
        deltas: DeltaSink<'_>,
    ) -> Result<Reply, ProviderError> {
        if let Form::Document(bytes) = &self.form {
            let text = String::from_utf8_lossy(bytes);
            let whole: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
            if whole.is_err_and(|error| error.is_eof()) {
                return Err(cut("the answer ended in its middle"));
            }
            self.answer.take(&text, deltas)?;
        }
        self.answer.end(request)
    }
}

fn form(bytes: &[u8], limit: usize) -> Result<Form, ProviderError> {
    match bytes.first() {
        None => Ok(Form::Unknown),
        Some(b'{' | b'[') => Ok(Form::Document(Vec::new())),
        Some(b'<') => {
            let page = quote(&String::from_utf8_lossy(bytes));
            Err(nonsense(format!(
                "a web page instead of an answer, so `base_url` may be wrong: {page}"
            )))
        }
        Some(_) => Ok(Form::Events(SseDecoder::new(limit))),
    }
}

fn too_large(limit: usize) -> ProviderError {
    ProviderError::new(
        ProviderErrorKind::Nonsense,
        format!(
            "the answer is larger than {limit} bytes: raise `max_reply_bytes` if that is normal"
        ),
    )
}
