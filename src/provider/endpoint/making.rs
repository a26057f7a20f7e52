//! What an endpoint is made of, from settings that may be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect};

use super::cause;
use crate::provider::BuildError;

fn setting(key: &str, problem: impl Into<String>) -> BuildError {
    BuildError::Setting {
        key: key.to_owned(),
        problem: problem.into(),
    }
}

/// The address `path` under `base_url`, whose query stays where it is.
pub(super) fn address(base_url: &str, path: &[&str]) -> Result<Url, BuildError> {
    let wrong = |problem: &str| setting("base_url", problem);
    if base_url.is_empty() {
        return Err(wrong(
            "is missing: give the server's address, such as `http://127.0.0.1:8080/v1`",
        ));
    }
    let url = Url::parse(base_url).map_err(|error| wrong(&format!("is no web address ({error})")));
    let mut url = url?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("has to begin with `http://` or `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "holds credentials: name a variable with the key in `api_key_env` instead",
        ));
    }
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    Ok(url)
}

pub(super) fn header_map(headers: &BTreeMap<String, String>) -> Result<HeaderMap, BuildError> {
    let mut map = HeaderMap::new();
    map.insert("content-type", HeaderValue::from_static("application/json"));
    map.insert(
        "accept",
        HeaderValue::from_static("text/event-stream, application/json"),
    );
    for (name, value) in headers {
        let bad = |what: &str| setting("headers", format!("`{name}` {what}"));
        let key = HeaderName::try_from(name).map_err(|_| bad("is no header's name"))?;
        let value =
            HeaderValue::from_str(value).map_err(|_| bad("has a value that no header can have"))?;
        map.insert(key, value);
    }
    Ok(map)
}

pub(super) fn client(url: &Url, connect_timeout: Duration) -> Result<Client, BuildError> {
    // fails where an embedding program has chosen its own, and that one is then used
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .user_agent(concat!("impresario/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        // a redirect would carry the conversation, and as a GET nothing, to a host that nobody named
        .redirect(redirect::Policy::none())
        // compressors hold back the end of a stream until they have enough of it
        .no_gzip();
    let client = if is_loopback(url) {
        client.no_proxy()
    } else {
        client
    };
    // without TLS there is no need for the certificates of a machine that may have none
    let client = if url.scheme() == "http" {
        client.tls_certs_only([])
    } else {
        client
    };
    client.build().map_err(|error| no_client(&cause(&error)))
}

fn no_client(cause: &str) -> BuildError {
    let problem = format!(
        "gives no client ({cause}): `https` needs certificates, as in the package `ca-certificates`"
    );
    setting("base_url", problem)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}
