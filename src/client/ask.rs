//! One request: how it is sent, and sent again.

use std::time::Duration;

use actors::clock::{Clock, Ids};
use futures_util::StreamExt;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::connect::Inner;
use super::{Client, Error, Problem, ProblemKind};
use crate::local::{RandomIds, SystemClock};

/// A request, before it is sent.
#[derive(Debug)]
pub(super) struct Ask {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    key: Option<String>,
}

impl Ask {
    pub(super) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn delete<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Something that is done once, however often it is sent.
    pub(super) fn post<const N: usize>(path: [&str; N], body: &impl Serialize) -> Self {
        let id = RandomIds.uuid(SystemClock.now());
        Self {
            body: serde_json::to_vec(body).ok(),
            key: Some(id.simple().to_string()),
            ..Self::new(Method::POST, path)
        }
    }

    fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        Self {
            method,
            path: path.map(str::to_owned).into(),
            query: Vec::new(),
            body: None,
            key: None,
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Under a key of the caller's own.
    pub(super) fn keyed(mut self, key: Option<&str>) -> Self {
        if let Some(key) = key {
            self.key = Some(key.to_owned());
        }
        self
    }

    pub(super) fn request(&self, inner: &Inner) -> RequestBuilder {
        let url = address(&inner.url, &self.path, &self.query);
        let mut request = inner.http.request(self.method.clone(), url);
        if let Some(body) = &self.body {
            let json = "application/json";
            request = request.header(CONTENT_TYPE, json).body(body.clone());
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", format!("\"{key}\""));
        }
        request
    }
}

fn address(base: &Url, path: &[String], query: &[(&'static str, String)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("v1").extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

impl Client {
    /// Asks for a document.
    pub(super) async fn ask<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let body = self.send(&ask, &mut 0).await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.stranger(format!("its answer cannot be read: {error}")))
    }

    /// Removes something; that it is gone already when this is asked again is as good.
    pub(super) async fn remove(&self, ask: Ask) -> Result<(), Error> {
        let mut failed = 0;
        match self.send(&ask, &mut failed).await {
            Err(error) if failed > 1 && error.is(&ProblemKind::NotFound) => Ok(()),
            removed => removed.map(drop),
        }
    }

    /// Sends a request, again and again where that may help; `failed` counts the tries that came to nothing.
    async fn send(&self, ask: &Ask, failed: &mut u32) -> Result<Vec<u8>, Error> {
        loop {
            let error = match self.once(ask).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            *failed += 1;
            let options = &self.inner().options;
            match options.again(&error, *failed, fastrand::f64()) {
                Some(wait) => sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Vec<u8>, Error> {
        let wait = self.inner().options.timeout;
        let answer = async {
            let sent = ask.request(self.inner()).send().await;
            let response = sent.map_err(|error| self.unreachable(cause(&error)))?;
            match response.status().is_success() {
                true => self.read(response).await,
                false => Err(self.refused(response).await),
            }
        };
        let late = |_| self.unreachable(format!("no answer came within {}", shown(wait)));
        timeout(wait, answer).await.map_err(late)?
    }

    async fn read(&self, response: Response) -> Result<Vec<u8>, Error> {
        let most = self.inner().options.largest;
        let (mut body, mut held) = (response.bytes_stream(), Vec::new());
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| self.unreachable(cause(&error)))?;
            if held.len() + bytes.len() > most {
                return Err(self.stranger(format!("its answer is larger than {most} bytes")));
            }
            held.extend_from_slice(&bytes);
        }
        Ok(held)
    }

    /// What it means that an answer is none of success.
    pub(super) async fn refused(&self, response: Response) -> Error {
        let (status, headers) = (response.status(), response.headers().clone());
        let header = |name| headers.get(name)?.to_str().ok();
        if status.is_redirection() {
            let to = header(LOCATION).unwrap_or("nowhere");
            return self.stranger(format!("it redirects to {}: give that address", quote(to)));
        }
        let seconds = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        let is_problem = header(CONTENT_TYPE).is_some_and(|it| it.starts_with(PROBLEM));
        let body = match self.read(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem => Error::Problem(Box::new(Problem {
                retry_after,
                ..problem
            })),
            _ => self.unlike_a_node(status),
        }
    }

    /// Something between here and the node answers for it, or there is no node.
    fn unlike_a_node(&self, status: StatusCode) -> Error {
        match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            true => self.unreachable(format!("what stands before it answers {status}")),
            false => self.stranger(format!("it answers {status}")),
        }
    }

    pub(super) fn unreachable(&self, cause: String) -> Error {
        let url = self.url().to_owned();
        Error::Unreachable { url, cause }
    }

    pub(super) fn stranger(&self, detail: String) -> Error {
        let url = self.url().to_owned();
        Error::NotANode { url, detail }
    }
}

const PROBLEM: &str = "application/problem+json";

pub(super) fn shown(wait: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(wait)
}

/// The first cause of an error, which says what happened.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut first = error;
    while let Some(source) = first.source() {
        first = source;
    }
    quote(&first.to_string())
}

/// Foreign text for one line of a message.
pub(super) fn quote(text: &str) -> String {
    let clean = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = clean.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(300).collect()
}
