//! A provider around another one, at whose calls faults strike.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, pending};
use tokio::sync::Notify;

use crate::model::{ModelRequest, Reply, TaskId};
use crate::provider::{Delta, DeltaSink, Provider, ProviderError, ProviderErrorKind};

use super::plan::{Kind, Target};
use super::shared::{Faults, is_provider};

struct Faulty {
    name: String,
    task: TaskId,
    inner: Arc<dyn Provider>,
    faults: Faults,
}

impl Faults {
    /// A provider as a task is given it: itself, if no fault can strike there.
    #[must_use]
    pub fn around(&self, name: &str, task: TaskId, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        if !self.has(|target| is_provider(target, name)) {
            return inner;
        }
        Arc::new(Faulty {
            name: name.to_owned(),
            task,
            inner,
            faults: self.clone(),
        })
    }
}

impl Provider for Faulty {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        let target = Target::Provider(self.name.clone());
        let is_it = |target: &Target| is_provider(target, &self.name);
        let struck = self.faults.strike(Some(self.task), &target, is_it);
        async move {
            match struck {
                None => self.inner.call(request, deltas).await,
                Some(Kind::Delay(time)) => {
                    tokio::time::sleep(time).await;
                    self.inner.call(request, deltas).await
                }
                Some(Kind::Hang) => pending().await,
                Some(Kind::Panic) => {
                    panic!("provider `{}` panics on purpose", self.name)
                }
                Some(Kind::Disconnect) => self.cut(request, deltas).await,
                Some(Kind::Corrupt) => {
                    deltas(Delta::Text("\u{fffd}\u{fffd}{\"".to_owned()));
                    Err(self.error(ProviderErrorKind::Nonsense, "garbage in the answer"))
                }
                Some(_) => Err(self.error(ProviderErrorKind::Internal, "a failed call")),
            }
        }
        .boxed()
    }
}

impl Faulty {
    fn error(&self, kind: ProviderErrorKind, what: &str) -> ProviderError {
        let name = &self.name;
        ProviderError::new(
            kind,
            format!("a fault on purpose: {what} of provider `{name}`"),
        )
    }

    /// The stream is cut in the middle of its first text, or at its end if it has none.
    async fn cut(
        &self,
        request: &ModelRequest,
        deltas: DeltaSink<'_>,
    ) -> Result<Reply, ProviderError> {
        let (cut, mut is_cut) = (Notify::new(), false);
        let mut sink = |delta| match delta {
            _ if is_cut => {}
            Delta::Text(text) => {
                is_cut = true;
                deltas(Delta::Text(half(&text).to_owned()));
                cut.notify_one();
            }
            other => deltas(other),
        };
        tokio::select! {
            biased;
            () = cut.notified() => {}
            replied = self.inner.call(request, &mut sink) => drop(replied?),
        }
        Err(self.error(ProviderErrorKind::Cut, "a cut connection"))
    }
}

fn half(text: &str) -> &str {
    let middle = text.chars().count() / 2;
    let end = text.char_indices().nth(middle).map_or(0, |(at, _)| at);
    &text[..end]
}
