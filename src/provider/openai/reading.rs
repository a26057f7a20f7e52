//! Reading a response: how long each piece of it is waited for.

use std::time::Duration;

use actors::model::{ModelRequest, Reply};
use actors::provider::{DeltaSink, ProviderError};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::answer::cut;
use super::body::Body;
use crate::provider::endpoint::silent;

/// How long the usage is waited for when the answer is whole.
const AFTER_THE_END: Duration = Duration::from_secs(5);
/// How long the server may take to end its response after its last word, so that the connection can be used again.
const LAST_BYTE: Duration = Duration::from_millis(50);

/// How much silence, and how large an answer, is borne.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) silence: Duration,
    pub(super) bytes: usize,
}

/// Reads a response's body to the end of its answer.
pub(super) async fn read<B: AsRef<[u8]>, E: std::fmt::Display>(
    pieces: impl Stream<Item = Result<B, E>>,
    patience: Patience,
    request: &ModelRequest,
    deltas: DeltaSink<'_>,
) -> Result<Reply, ProviderError> {
    let mut pieces = std::pin::pin!(pieces);
    let mut body = Body::new(patience.bytes);
    loop {
        let wait = if body.answer.is_whole() {
            AFTER_THE_END
        } else {
            patience.silence
        };
        match timeout(wait, pieces.next()).await {
            Ok(Some(Ok(bytes))) => {
                if body.feed(bytes.as_ref(), deltas)? {
                    let _ = timeout(LAST_BYTE, pieces.next()).await;
                    break;
                }
            }
            Ok(None) => break,
            _ if body.answer.is_whole() => break,
            Ok(Some(Err(error))) => {
                return Err(cut(&format!("the connection broke in the answer: {error}")));
            }
            Err(_) => return Err(silent(patience.silence)),
        }
    }
    body.end(request, deltas)
}
