//! What PostgreSQL's errors mean to the person who reads them.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use actors::store::StoreError;
use tokio_postgres::error::SqlState;

use super::url::Url;

/// What goes wrong inside the store.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused, or could not be spoken to.
    Sql(tokio_postgres::Error),
    /// There was no answer for so long.
    Silent(Duration),
    /// What was read is not what was written.
    Damage(String),
    /// What is asked for is more than the store takes, or the database is not one it can use.
    Limit(String),
    /// The writer was silent for so long that it was taken for gone.
    Forgotten,
    /// What is asked for is never done.
    Refused(StoreError),
    /// It was written by a later program.
    TooNew { found: u32, known: u32 },
}

impl Failure {
    /// Something that was read is not what was written.
    pub(super) fn damage(what: impl ToString) -> Self {
        Self::Damage(what.to_string())
    }

    /// Says in front of a damage where it was found.
    pub(super) fn at(self, found: impl FnOnce() -> String) -> Self {
        match self {
            Self::Damage(detail) => Self::Damage(format!("{}: {detail}", found())),
            other => other,
        }
    }

    /// Whether the server is away or on its way out: what the last statement did is unknown, and the connection is of no more use.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Sql(error) => match error.code() {
                Some(code) => is_away(code),
                None => !is_ours(error),
            },
            _ => false,
        }
    }

    /// Whether somebody else's transaction was in the way, and the same may succeed at once.
    pub(super) fn is_conflict(&self) -> bool {
        let codes = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::UNIQUE_VIOLATION,
        ];
        let is_forgotten = matches!(self, Self::Forgotten);
        is_forgotten || self.code().is_some_and(|code| codes.contains(code))
    }

    /// Whether the connection may be used again once the transaction was taken back.
    pub(super) fn leaves_link(&self) -> bool {
        self.is_conflict() || matches!(self, Self::Refused(_))
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Sql(error) => error.code(),
            _ => None,
        }
    }
}

/// Connections are refused, broken off, or ended by the server.
fn is_away(code: &SqlState) -> bool {
    let codes = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    // Class 08 is all that can happen to a connection.
    codes.contains(code) || code.code().starts_with("08")
}

/// Errors that come from neither the server nor the way to it: a value that does not fit its column, a password that is missing.
fn is_ours(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    let ours = [
        "error serializing",
        "error deserializing",
        "invalid co",
        "expected ",
        "authentication error",
        "error encoding",
        "query returned",
    ];
    ours.iter().any(|start| text.starts_with(start))
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

/// The database, as errors name it: without its password.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<str>);

impl Place {
    pub(super) fn new(url: &Url) -> Self {
        Self(url.to_string().into())
    }

    pub(super) fn name(&self) -> String {
        self.0.to_string()
    }

    pub(super) fn error(&self, failure: &Failure) -> StoreError {
        let place = self.name();
        match failure {
            Failure::Damage(detail) => self.corrupt(detail),
            Failure::Limit(detail) => self.io(detail),
            Failure::Refused(error) => error.clone(),
            Failure::Silent(time) => self.io(format!(
                "it has not answered for {time:?}: see whether the server runs and can be reached"
            )),
            Failure::Forgotten => self.io("it does not know this program any more: try again"),
            Failure::TooNew { found, known } => StoreError::TooNew {
                place,
                found: *found,
                known: *known,
            },
            Failure::Sql(error) => self.refused(error),
        }
    }

    fn corrupt(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            place: self.name(),
            detail: detail.into(),
        }
    }

    pub(super) fn io(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Io {
            place: self.name(),
            detail: detail.into(),
        }
    }

    fn refused(&self, error: &tokio_postgres::Error) -> StoreError {
        let (place, said) = (self.name(), said(error));
        let Some(code) = error.code() else {
            return self.io(match (is_ours(error), said.contains("TLS")) {
                (true, _) if said.contains("password") => {
                    format!("it wants a password ({said}): set PGPASSWORD")
                }
                (true, _) => said,
                (_, true) => format!(
                    "it cannot be spoken to ({said}): see `sslmode` and `sslrootcert` in its URL"
                ),
                (_, false) => format!("it cannot be reached ({said}): see whether the server runs"),
            });
        };
        match code.code() {
            "53100" => StoreError::Full {
                place,
                detail: said,
            },
            "55P03" => StoreError::InUse {
                place,
                by: "another node that keeps the same rows locked".to_owned(),
            },
            // Its tables are gone or others, its files are damaged, or a row is there that nobody may have written.
            code if code.starts_with("XX0") || code.starts_with("23") || is_schema(code) => {
                self.corrupt(said)
            }
            code => self.io(match advice(code) {
                Some(advice) => format!("{advice} ({said})"),
                None => said,
            }),
        }
    }
}

fn is_schema(code: &str) -> bool {
    matches!(code, "42P01" | "42703" | "42804" | "42883")
}

fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "25006" => "it is read-only, perhaps a standby: name the server that is written to",
        "28P01" | "28000" => "this user is not let in: see its name, and set PGPASSWORD",
        "3D000" => "there is no such database: make it with `createdb`, or name another one",
        "42501" => "this user may not do that: let it make and use the schema",
        "53300" => "it has no connection left: raise its `max_connections`, or end another program",
        "57014" => "a statement took longer than it may: see what keeps the server busy",
        "57P01" | "57P02" | "57P03" => "the server is starting or stopping",
        _ => return None,
    })
}

/// What an error says, with what it says it comes from, in the style of the others.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
