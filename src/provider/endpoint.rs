//! One HTTP address of a model API: how it is asked, and what its refusals mean.

mod key;
mod making;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use actors::provider::{ProviderError, ProviderErrorKind};
use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::time::timeout;

use self::key::Secret;
use super::BuildError;
use super::wire::{Fault, kind_of, quote, retry_after};

pub(crate) use self::key::Key;

/// How much of a refusal is read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// An address that takes requests.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    headers: HeaderMap,
    key: Option<Key>,
    secrets: Vec<Secret>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        let mut shown = f.debug_struct("Endpoint");
        shown
            .field("address", &self.address())
            .field("headers", &headers);
        shown.field("key", &self.key).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The address `path` under `base_url`, asked with these headers and the key as a bearer token.
    pub(crate) fn new(
        base_url: &str,
        path: &[&str],
        headers: &BTreeMap<String, String>,
        key: Option<Key>,
        connect_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let url = making::address(base_url, path)?;
        let secrets = headers
            .iter()
            .filter_map(|(name, value)| Secret::of_header(name, value));
        Ok(Self {
            client: making::client(&url, connect_timeout)?,
            headers: making::header_map(headers)?,
            url,
            secrets: secrets
                .chain(key.iter().filter_map(|key| key.value.clone()))
                .collect(),
            key,
        })
    }

    /// Where it is, without what may be secret in it.
    fn address(&self) -> String {
        let mut shown = self.url.clone();
        shown.set_query(None);
        shown.to_string()
    }

    /// The variable that should hold a key and does not.
    pub(crate) fn missing_key(&self) -> Option<&str> {
        let key = self.key.as_ref().filter(|key| key.value.is_none());
        key.map(|key| key.variable.as_str())
    }

    /// Sends a JSON body; gives the response once its head is there and is a success.
    pub(crate) async fn post(
        &self,
        body: Vec<u8>,
        silence: Duration,
    ) -> Result<Response, ProviderError> {
        let mut headers = self.headers.clone();
        if let Some(key) = &self.key {
            headers.insert(AUTHORIZATION, key.bearer()?);
        }
        let request = self
            .client
            .post(self.url.clone())
            .headers(headers)
            .body(body);
        match timeout(silence, request.send()).await {
            Err(_) => Err(silent(silence)),
            Ok(Err(error)) => Err(unsent(&error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(response),
            Ok(Ok(response)) => Err(self.refused(response, silence).await),
        }
    }

    async fn refused(&self, response: Response, silence: Duration) -> ProviderError {
        let status = response.status();
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if status.is_redirection() {
            return redirected(status, header("location"));
        }
        let body = timeout(silence, beginning(response))
            .await
            .unwrap_or_default();
        let fault = fault(&body);
        let kind = kind_of(Some(status.as_u16()), &fault);
        let said = Some(quote(&fault.message)).filter(|said| !said.is_empty());
        let said = said.map_or_else(String::new, |said| format!(": {said}"));
        let advice = self.advice(kind, status);
        let error = ProviderError::new(kind, format!("answers {status}{said}{advice}"));
        error.retry_after(retry_after(header, now()))
    }

    fn advice(&self, kind: ProviderErrorKind, status: StatusCode) -> String {
        match (kind, &self.key) {
            (ProviderErrorKind::BadCredentials, Some(key)) => {
                format!("; check the key in `{}` and its account", key.variable)
            }
            (ProviderErrorKind::BadCredentials, None) => {
                "; name the variable that holds a key in `api_key_env`".to_owned()
            }
            _ if status == StatusCode::NOT_FOUND => "; check `base_url` and `model`".to_owned(),
            _ => String::new(),
        }
    }

    /// The error with its place in front, and without any secret the other side may have repeated.
    pub(crate) fn locate(&self, mut error: ProviderError) -> ProviderError {
        let message = format!("{}: {}", self.address(), error.message);
        error.message = self
            .secrets
            .iter()
            .fold(message, |message, secret| secret.strike(&message));
        error
    }
}

/// Nothing came for so long.
pub(crate) fn silent(wait: Duration) -> ProviderError {
    let wait = humantime::format_duration(wait);
    ProviderError::new(
        ProviderErrorKind::Timeout,
        format!("nothing came for {wait}: raise `silence_timeout` if that is normal"),
    )
}

fn redirected(status: StatusCode, to: Option<&str>) -> ProviderError {
    let to = quote(to.unwrap_or("nowhere"));
    ProviderError::new(
        ProviderErrorKind::BadRequest,
        format!("answers {status} and redirects to {to}: put the right address into `base_url`"),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a date in `retry-after` is wall time, and the response may have no `date` to measure it against"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

async fn beginning(response: Response) -> Vec<u8> {
    let mut body = response.bytes_stream();
    let mut held = Vec::new();
    while let Some(Ok(bytes)) = body.next().await {
        held.extend_from_slice(&bytes);
        if held.len() >= MAX_REFUSAL_BYTES {
            held.truncate(MAX_REFUSAL_BYTES);
            break;
        }
    }
    held
}

fn fault(body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body);
    let document: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let found = document.as_ref().and_then(Fault::find);
    found.unwrap_or_else(|| Fault {
        message: text.into_owned(),
        ..Fault::default()
    })
}

fn unsent(error: &reqwest::Error) -> ProviderError {
    let cause = cause(error);
    if error.is_connect() {
        let message = format!(
            "no connection can be made ({cause}): is the server running, and is `base_url` right"
        );
        return ProviderError::new(ProviderErrorKind::Unreachable, message);
    }
    let message = format!("the connection broke before an answer came ({cause})");
    ProviderError::new(ProviderErrorKind::Cut, message)
}

/// The first cause of an error, which says what happened; what is around it says where, and we know.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut first = error;
    while let Some(source) = first.source() {
        first = source;
    }
    quote(&first.to_string())
}
