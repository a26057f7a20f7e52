//! A database by its URL. Pure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Where the tables stand when the URL does not say it.
const SCHEMA: &str = "impresario";

/// The longest name PostgreSQL keeps whole.
const NAME_BYTES: usize = 63;

/// How long nothing may come before the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How often it asks, and after what pause.
const KEEPALIVE_TRIES: (u32, Duration) = (3, Duration::from_secs(10));

/// Why a text names no PostgreSQL database. It never repeats what may be a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It begins with something else.
    #[error("it begins with neither `postgres://` nor `postgresql://`")]
    Scheme,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It says no host.
    #[error("it names no host: write it like postgres://host/database")]
    NoHost,
    /// It says no database.
    #[error("it names no database: write it like postgres://host/database")]
    NoDatabase,
    /// A name of a schema that cannot be one.
    #[error("`schema` must be a name of 1 to 63 bytes that does not begin with `pg_`")]
    Schema,
    /// A way of encrypting that this program does not have.
    #[error("`sslmode={0}` is not available: use `disable`, `require` or `verify-full`")]
    SslMode(String),
    /// The same thing twice.
    #[error("it says `{0}` twice")]
    Twice(&'static str),
}

/// Whether and how the connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// The server must show a certificate for its name, signed by one of the system's authorities or by one in this file.
    Verified(Option<PathBuf>),
}

/// A PostgreSQL database as a URL names it: `postgres://user:password@host:port/database?schema=name&sslmode=verify-full`.
///
/// Besides what libpq knows (`connect_timeout`, `keepalives_idle`, `options`, several hosts …) it takes `schema`, where the tables
/// stand; `impresario` when left out, unless `options` sets a `search_path`. `sslmode` is `disable` for hosts on this machine and
/// `verify-full` for all others when left out; `require` verifies the server as well, `sslrootcert` is a file with its authority.
///
/// The password never shows, neither in `Debug` nor in `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    pub(super) config: Config,
    pub(super) schema: Option<String>,
    pub(super) tls: Tls,
}

impl Url {
    /// Whether it says a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The same with a password, if it says none itself.
    #[must_use]
    pub fn or_password(mut self, password: impl AsRef<[u8]>) -> Self {
        if !self.has_password() {
            self.config.password(password);
        }
        self
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
        {
            return Err(UrlError::Scheme);
        }
        let (rest, ours) = take_ours(text)?;
        let mut config = Config::from_str(&rest).map_err(|error| unreadable(&error))?;
        if config.get_hosts().is_empty() {
            return Err(UrlError::NoHost);
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(UrlError::NoDatabase);
        }
        let tls = tls(&config, ours.sslmode.as_deref(), ours.sslrootcert)?;
        let schema = schema(&config, ours.schema)?;
        complete(&mut config, &tls);
        Ok(Self {
            config,
            schema,
            tls,
        })
    }
}

/// Its message says what is wrong, its source where; neither repeats a value.
fn unreadable(error: &tokio_postgres::Error) -> UrlError {
    use std::error::Error;
    let cause = error.source().map(ToString::to_string);
    UrlError::Unreadable(cause.unwrap_or_else(|| error.to_string()))
}

/// The parameters that are ours and not the library's.
#[derive(Default)]
struct Ours {
    schema: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

fn take_ours(text: &str) -> Result<(String, Ours), UrlError> {
    let mut ours = Ours::default();
    let Some((before, query)) = text.split_once('?') else {
        return Ok((text.to_owned(), ours));
    };
    let mut others = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, place) = match key {
            "schema" => ("schema", &mut ours.schema),
            "sslmode" => ("sslmode", &mut ours.sslmode),
            "sslrootcert" => ("sslrootcert", &mut ours.sslrootcert),
            _ => {
                others.push(part);
                continue;
            }
        };
        if place.replace(decoded(value)?).is_some() {
            return Err(UrlError::Twice(name));
        }
    }
    match others.is_empty() {
        true => Ok((before.to_owned(), ours)),
        false => Ok((format!("{before}?{}", others.join("&")), ours)),
    }
}

/// `%2F` is `/`.
fn decoded(value: &str) -> Result<String, UrlError> {
    let wrong = || UrlError::Unreadable("a value has a `%` that stands for no text".to_owned());
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => {
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let code = high.zip(low).map(|(high, low)| high * 16 + low);
                bytes.push(code.and_then(|it| it.try_into().ok()).ok_or_else(wrong)?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn schema(config: &Config, schema: Option<String>) -> Result<Option<String>, UrlError> {
    let options = config.get_options().unwrap_or_default();
    let schema = match schema {
        None if options.contains("search_path") => return Ok(None),
        schema => schema.unwrap_or_else(|| SCHEMA.to_owned()),
    };
    let is_name = (1..=NAME_BYTES).contains(&schema.len())
        && !schema.starts_with("pg_")
        && !schema.contains('\0');
    is_name.then_some(Some(schema)).ok_or(UrlError::Schema)
}

fn tls(config: &Config, mode: Option<&str>, roots: Option<String>) -> Result<Tls, UrlError> {
    let verified = || Tls::Verified(roots.map(PathBuf::from));
    match mode {
        Some("disable") => Ok(Tls::Off),
        Some("require" | "verify-full") => Ok(verified()),
        Some(other) => Err(UrlError::SslMode(other.chars().take(20).collect())),
        None if config.get_hosts().iter().all(is_here) => Ok(Tls::Off),
        None => Ok(verified()),
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) if name == "localhost" => true,
        Host::Tcp(name) => name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    }
}

fn complete(config: &mut Config, tls: &Tls) {
    config.ssl_mode(match tls {
        Tls::Off => SslMode::Disable,
        Tls::Verified(_) => SslMode::Require,
    });
    if config.get_application_name().is_none() {
        config.application_name("impresario");
    }
    if config.get_keepalives_interval().is_none() && config.get_keepalives_retries().is_none() {
        let (tries, pause) = KEEPALIVE_TRIES;
        let idle = config.get_keepalives_idle().min(KEEPALIVE);
        config.keepalives_idle(idle);
        config.keepalives_interval(pause).keepalives_retries(tries);
    }
    // Of several, one is written to, and that may change.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(n).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())?;
        match &self.schema {
            Some(schema) => write!(f, "?schema={schema}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match text.parse::<Url>() {
            Ok(url) => format!("{url} {:?}", url.tls),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_urls_mean() {
        let texts = [
            "postgres://localhost/db",
            "postgresql://me:secret@127.0.0.1:6000/db?schema=tests",
            "postgres://me:secret@%2Frun%2Fpg/db?options=-csearch_path%3Dmine",
            "postgres://me@a,b:6000/db?sslmode=disable",
            "postgres://db.example/db?sslrootcert=%2Fetc%2Fca.pem&connect_timeout=3",
            "postgres://db.example/db?sslmode=require&schema=Mine%20and%20yours",
            "postgres:///db?host=/run/pg",
            "mysql://me:secret@localhost/db",
            "postgres://",
            "postgres://localhost",
            "postgres://me:secret@localhost:seven/db",
            "postgres://me:secret@localhost/db?sslmode=prefer",
            "postgres://me:secret@localhost/db?sslmode=verify-ca",
            "postgres://me:secret@localhost/db?colour=red",
            "postgres://me:secret@localhost/db?schema=",
            "postgres://me:secret@localhost/db?schema=pg_catalog",
            "postgres://me:secret@localhost/db?schema=a&schema=b",
            "postgres://me:secret@localhost/db?schema=%zz",
            "postgres://me:%ff@localhost/db%ff",
        ];
        let all: Vec<_> = texts.map(told).into();
        insta::assert_snapshot!(all.join("\n"));
        assert!(!all.concat().contains("secret"));
    }

    #[test]
    fn the_password_never_shows() {
        let url: Url = "postgres://me:secret@localhost/db?password=secret"
            .parse()
            .unwrap();
        assert!(url.has_password());
        let url = url.or_password("secret again");
        assert!(!format!("{url} {url:?} {:?}", url.config).contains("secret"));
    }
}
