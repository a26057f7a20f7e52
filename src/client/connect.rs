//! A client, and how it gets its address and its key.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Url, redirect};

use super::{Error, Options};

/// Where a node listens unless it is told otherwise.
const USUAL: &str = "http://127.0.0.1:7700";

/// Where a node writes its first key, from the folder it was started in.
const KEY_FILE: &str = ".impresario/admin.key";

/// A node, as one who may ask it. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) url: Url,
    pub(super) options: Options,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Client");
        shown.field("url", &self.url()).field("key", &"[hidden]");
        shown.finish_non_exhaustive()
    }
}

impl Client {
    /// The node at `url`, asked with this key (`ik_…`).
    ///
    /// # Errors
    /// [`Error::Settings`] when the address or the key cannot be one.
    pub fn new(url: &str, key: &str) -> Result<Self, Error> {
        Self::with(url, key, Options::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// [`Error::Settings`] when the address or the key cannot be one.
    pub fn with(url: &str, key: &str, options: Options) -> Result<Self, Error> {
        let url = address(url)?;
        let http = http(&url, key, options.connect_timeout)?;
        Ok(Self(Arc::new(Inner { http, url, options })))
    }

    /// The node at `IMPRESARIO_URL`, or on this machine at its usual port, asked with `IMPRESARIO_KEY`; without that, a node on this machine
    /// is asked with the key it wrote to `.impresario/admin.key` when it was first started here.
    ///
    /// # Errors
    /// [`Error::Settings`] when there is no key, or the address or the key cannot be one.
    pub fn from_env() -> Result<Self, Error> {
        let read = |name: &str| std::env::var(name).ok();
        Self::found(
            read("IMPRESARIO_URL").as_deref(),
            read("IMPRESARIO_KEY").as_deref(),
        )
    }

    /// The same with what is known already; empty texts count as missing.
    ///
    /// # Errors
    /// [`Error::Settings`] when there is no key, or the address or the key cannot be one.
    pub fn found(url: Option<&str>, key: Option<&str>) -> Result<Self, Error> {
        let given = |text: Option<&str>| {
            text.map(str::trim)
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
        };
        let url = given(url).unwrap_or_else(|| USUAL.to_owned());
        let key = match given(key) {
            Some(key) => key,
            None => kept_key(&address(&url)?)?,
        };
        Self::new(&url, &key)
    }

    /// Where the node is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.url.as_str().trim_end_matches('/')
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

fn wrong(what: String) -> Error {
    Error::Settings(what)
}

fn address(text: &str) -> Result<Url, Error> {
    let no = |why: &str| wrong(format!("`{}` is no address of a node: {why}", shown(text)));
    let parsed = Url::parse(text.trim()).ok();
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    let url = parsed.filter(is_web);
    let url = url.ok_or_else(|| no("it has to begin with `http://` or `https://`, and a host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(no("it holds credentials: the key is given apart"));
    }
    match url.query().or(url.fragment()) {
        Some(_) => Err(no("it has to end with the path")),
        None => Ok(url),
    }
}

/// An address without a password that may stand in it.
fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

/// The key of a node on this machine. It is given to no other machine.
fn kept_key(url: &Url) -> Result<String, Error> {
    if !is_loopback(url) {
        let text = format!("no key for {url}: give one with `IMPRESARIO_KEY` or `--key`");
        return Err(wrong(text));
    }
    let read = std::fs::read_to_string(Path::new(KEY_FILE));
    let key = read.map_err(|error| {
        wrong(format!(
            "no key: give one with `IMPRESARIO_KEY` or `--key`, or start this where the node was started (`{KEY_FILE}`: {error})"
        ))
    })?;
    Ok(key.trim().to_owned())
}

fn http(url: &Url, key: &str, connect_timeout: Duration) -> Result<reqwest::Client, Error> {
    // Fails where an embedding program has chosen its own, and that one is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("impresario/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers(key)?)
        .connect_timeout(connect_timeout)
        // A redirect would carry the key to a host that nobody named.
        .redirect(redirect::Policy::none())
        // What compresses holds back the end of a stream until it has enough of it.
        .no_gzip();
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    // Without TLS there is no need for the certificates of a machine that may have none.
    if url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        let cause = super::ask::cause(&error);
        wrong(format!("no client can be made for {url}: {cause}"))
    })
}

fn headers(key: &str) -> Result<HeaderMap, Error> {
    let key = key.trim();
    let value = HeaderValue::from_str(&format!("Bearer {key}"));
    let mut value = match (key.is_empty(), value) {
        (false, Ok(value)) => value,
        (true, _) => return Err(wrong("the key is empty".to_owned())),
        (_, Err(_)) => return Err(wrong("the key holds characters that no key has".to_owned())),
    };
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_said_and_no_secret_is_shown() {
        let told = |url: &str, key: &str| match Client::new(url, key) {
            Ok(client) => format!("{client:?}"),
            Err(error) => error.to_string(),
        };
        let all = [
            told("127.0.0.1:7700", "ik_1"),
            told("ftp://node", "ik_1"),
            told("http://me:secret@node", "ik_1"),
            told("http://node?key=1", "ik_1"),
            told("http://node", " "),
            told("http://node", "ik_\n1"),
            told("http://node/under/", "ik_secret"),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        `127.0.0.1:7700` is no address of a node: it has to begin with `http://` or `https://`, and a host
        `ftp://node` is no address of a node: it has to begin with `http://` or `https://`, and a host
        `…@node` is no address of a node: it holds credentials: the key is given apart
        `http://node?key=1` is no address of a node: it has to end with the path
        the key is empty
        the key holds characters that no key has
        Client { url: "http://node/under", key: "[hidden]", .. }
        "#);
    }

    #[test]
    fn the_key_of_this_machine_stays_on_it() {
        let error = Client::found(Some("http://node.example"), None).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no key for http://node.example"),
            "{error}"
        );
    }
}
