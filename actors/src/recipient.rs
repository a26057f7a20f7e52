//! Telling somebody without knowing who: what lets a child module report to its parent without importing it.

use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use supervision::Handle;

/// Somebody who takes `T`.
pub struct Recipient<T>(Arc<dyn Fn(T) -> BoxFuture<'static, bool> + Send + Sync>);

impl<T> Clone for Recipient<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Recipient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient")
    }
}

impl<T: Send + 'static> Recipient<T> {
    /// The actor behind a handle, as somebody who takes `T`.
    #[must_use]
    pub fn new<M: From<T> + Send + 'static>(handle: Handle<M>) -> Self {
        Self(Arc::new(move |message| {
            let handle = handle.clone();
            async move { handle.send(message.into()).await.is_ok() }.boxed()
        }))
    }

    /// Tells, waiting for room in the inbox; whether it was taken.
    pub async fn tell(&self, message: T) -> bool {
        (self.0)(message).await
    }
}
