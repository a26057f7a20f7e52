//! Where a node is, and the key to it. Pure.

use std::fmt;

use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::header::HeaderValue;
use tokio_tungstenite::tungstenite::http::uri::Scheme;

use crate::link::PATH;

/// Why this is no address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no address of a node: {why}")]
pub struct AddressError {
    /// What was given.
    pub url: String,
    /// Why not.
    pub why: String,
}

/// The address of a node, of which executors know one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As it was given.
    given: String,
    pub(super) uri: Uri,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads `http://…`, `https://…`, `ws://…` or `wss://…`.
    ///
    /// # Errors
    /// When it is none of these, or has parts that an address of a node cannot have.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let no = |why: String| AddressError {
            url: shown(url),
            why,
        };
        let uri: Uri = url.parse().map_err(|error| no(format!("{error}")))?;
        let is_secure = is_secure(&uri).map_err(no)?;
        let authority = uri.authority().map_or("", |it| it.as_str());
        if authority.contains('@') {
            return Err(no("take the name and password out of it".to_owned()));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(no("leave out what follows its path".to_owned()));
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix(PATH).unwrap_or(path);
        let scheme = if is_secure { "wss" } else { "ws" };
        let whole = format!("{scheme}://{authority}{path}{PATH}");
        let host = uri.host().unwrap_or_default();
        Ok(Self {
            given: url.to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            uri: whole.parse().map_err(|error| no(format!("{error}")))?,
        })
    }

    /// Whether what is sent there can be read on the way.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        let is_here = self.host == "localhost"
            || (self.host.parse()).is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        self.uri.scheme_str() == Some("ws") && !is_here
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

/// Without a password that may stand in it.
fn shown(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => url.to_owned(),
    }
}

fn is_secure(uri: &Uri) -> Result<bool, String> {
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || scheme.as_str() == "ws" => Ok(false),
        Some(scheme) if *scheme == Scheme::HTTPS || scheme.as_str() == "wss" => Ok(true),
        Some(other) => Err(format!(
            "it begins with `{other}:`; write http, https, ws or wss"
        )),
        None => Err("it has no beginning such as http:// or https://".to_owned()),
    }
}

/// Why this is no executor's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is for something else.
    #[error(
        "this is no key of an executor: those begin with `ek_`; `impresario key create` makes one"
    )]
    Kind,
    /// It was copied badly.
    #[error(
        "the executor's key has spaces or other signs in it that no key has; copy it once more"
    )]
    Signs,
}

/// A key that a project has made for an executor. It is never shown.
#[derive(Clone)]
pub struct ExecutorKey(pub(super) HeaderValue);

impl ExecutorKey {
    /// Reads `ek_…`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(key: &str) -> Result<Self, KeyError> {
        let key = key.trim();
        if !key.starts_with("ek_") || key.len() == 3 {
            return Err(KeyError::Kind);
        }
        let is_whole = key.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::try_from(format!("Bearer {key}"));
        let mut header = header.ok().filter(|_| is_whole).ok_or(KeyError::Signs)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for ExecutorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecutorKey(ek_…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |url| match Address::parse(url) {
            Ok(it) => format!("{} at {} port {}", it.uri, it.host, it.port),
            Err(error) => error.to_string(),
        };
        let urls = [
            "http://127.0.0.1:7700",
            "https://node.example/",
            "wss://node.example/under/",
            "ws://[::1]:9/v1/executors/connect",
            "node.example:7700",
            "ftp://node.example",
            "http://me:secret@node.example",
            "http://node.example/?a=b",
            "http://node.example/#a",
            "http://",
            "",
            "http://a b",
        ];
        insta::assert_snapshot!(urls.map(read).join("\n"), @r"
        ws://127.0.0.1:7700/v1/executors/connect at 127.0.0.1 port 7700
        wss://node.example/v1/executors/connect at node.example port 443
        wss://node.example/under/v1/executors/connect at node.example port 443
        ws://[::1]:9/v1/executors/connect at ::1 port 9
        `node.example:7700` is no address of a node: it has no beginning such as http:// or https://
        `ftp://node.example` is no address of a node: it begins with `ftp:`; write http, https, ws or wss
        `…@node.example` is no address of a node: take the name and password out of it
        `http://node.example/?a=b` is no address of a node: leave out what follows its path
        `http://node.example/#a` is no address of a node: leave out what follows its path
        `http://` is no address of a node: empty string
        `` is no address of a node: empty string
        `http://a b` is no address of a node: invalid uri character
        ");
    }

    #[test]
    fn keys() {
        for (given, read) in [
            ("ek_abc", Ok(())),
            (" ek_abc\n", Ok(())),
            ("ek_", Err(KeyError::Kind)),
            ("ik_abc", Err(KeyError::Kind)),
            ("", Err(KeyError::Kind)),
            ("ek_a b", Err(KeyError::Signs)),
            ("ek_ä", Err(KeyError::Signs)),
        ] {
            assert_eq!(ExecutorKey::parse(given).map(drop), read, "{given:?}");
        }
        let shown = format!("{:?}", ExecutorKey::parse("ek_secret").unwrap());
        assert!(!shown.contains("secret"));
    }

    #[test]
    fn what_can_be_read_on_the_way() {
        let is_open = |url| Address::parse(url).unwrap().is_open_to_all();
        assert!(is_open("http://node.example"));
        assert!(
            ![
                "https://node.example",
                "http://localhost:1",
                "ws://127.0.0.2",
                "http://[::1]"
            ]
            .into_iter()
            .any(is_open)
        );
    }
}
