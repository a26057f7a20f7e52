//! A provider in front of another one that writes down what models are asked.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::model::{ModelRequest, Reply};
use crate::provider::{DeltaSink, Provider, ProviderError};

/// What models were asked, in order; also calls that were dropped or failed.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    requests: Vec<ModelRequest>,
    under_way: usize,
}

impl Requests {
    /// What was asked so far.
    #[must_use]
    pub fn all(&self) -> Vec<ModelRequest> {
        self.with(|asked| asked.requests.clone())
    }

    /// How many were made so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|asked| asked.requests.len())
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.with(|asked| asked.under_way)
    }

    /// The provider that asks `inner` and writes it down.
    #[must_use]
    pub fn before(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        let requests = self.clone();
        Arc::new(Recorder { inner, requests })
    }

    fn with<R>(&self, look: impl FnOnce(&mut Asked) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Recorder {
    inner: Arc<dyn Provider>,
    requests: Requests,
}

struct UnderWay<'a>(&'a Requests);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.with(|asked| asked.under_way -= 1);
    }
}

impl Provider for Recorder {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            self.requests.with(|asked| {
                asked.requests.push(request.clone());
                asked.under_way += 1;
            });
            let _under_way = UnderWay(&self.requests);
            self.inner.call(request, deltas).await
        })
    }
}
