//! One attempt to deliver: a request with a time limit, without redirects, to an address that is checked when it is connected to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::registry::webhooks::plan::Outcome;
use futures_util::future::{BoxFuture, FutureExt};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, redirect};

use super::address::{check_url, is_public, refusal};

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where to.
    pub url: String,
    /// The delivery's id.
    pub id: String,
    /// The second at which it is sent.
    pub seconds: u64,
    /// The signature, if there is a secret.
    pub signature: Option<String>,
    /// The body.
    pub body: String,
}

/// A way to send.
pub trait Carrier: Send + Sync + 'static {
    /// Sends a letter once.
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Outcome>;
}

/// The machine's network.
#[derive(Debug, Clone)]
pub struct Post {
    plain: Result<Client, String>,
    secure: Result<Client, String>,
    timeout: Duration,
    private_targets: bool,
}

impl Post {
    /// The machine's network, for targets that are public or for all.
    #[must_use]
    pub fn new(timeout: Duration, private_targets: bool) -> Self {
        // Fails where an embedding program has chosen its own, and that one is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = || client(timeout, private_targets);
        let built = |client: ClientBuilder| client.build().map_err(|error| cause(&error));
        Self {
            // A machine without certificates can still be asked without TLS.
            plain: built(client().tls_certs_only([])),
            secure: built(client()),
            timeout,
            private_targets,
        }
    }

    async fn post(&self, letter: Letter) -> Result<u16, String> {
        let url = check_url(&letter.url, self.private_targets)?;
        let client = match url.scheme() {
            "http" => self.plain.as_ref(),
            _ => self.secure.as_ref(),
        };
        let client = client.map_err(|error| format!("no request can be made ({error})"))?;
        let mut request = client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", letter.seconds);
        if let Some(signature) = letter.signature {
            request = request.header("webhook-signature", signature);
        }
        let answer = request.body(letter.body).send().await;
        let answer = answer.map_err(|error| self.failure(&error))?;
        Ok(answer.status().as_u16())
    }

    fn failure(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            let wait = humantime::format_duration(self.timeout);
            return format!("it did not answer within {wait}");
        }
        let cause = cause(error);
        match error.is_connect() {
            true => format!("no connection can be made: {cause}"),
            false => format!("the connection broke before an answer came: {cause}"),
        }
    }
}

impl Carrier for Post {
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Outcome> {
        let posted = self.post(letter);
        posted
            .map(|posted| posted.map_or_else(Outcome::Failed, Outcome::Answered))
            .boxed()
    }
}

fn client(timeout: Duration, private_targets: bool) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("impresario/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        // A proxy would look the name up itself, and nobody would check the address.
        .no_proxy()
        .dns_resolver(Arc::new(Checked { private_targets }))
}

/// Looks names up and gives those addresses alone that may be connected to: what is checked is what is used.
#[derive(Debug)]
struct Checked {
    private_targets: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let private_targets = self.private_targets;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            let may = |address: &SocketAddr| private_targets || is_public(address.ip());
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(may).collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(address)) => {
                    Err(format!("{}: {}", name.as_str(), refusal(address.ip())).into())
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The first cause of an error, which says what happened.
fn cause(error: &dyn std::error::Error) -> String {
    let mut first = error;
    while let Some(source) = first.source() {
        first = source;
    }
    first.to_string().chars().take(300).collect()
}
