//! What SQLite's errors mean to the person who reads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::store::StoreError;
use rusqlite::ErrorCode;

/// What goes wrong inside the store.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// What was read is not what was written.
    Damage(String),
    /// What is asked for is more than the store takes.
    Limit(String),
    /// What is asked for is never done.
    Refused(StoreError),
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
            Self::Sql(error) if is_damage(&error) => Self::Damage(format!("{}: {error}", found())),
            other => other,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The database file, as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<PathBuf>);

impl Place {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Arc::new(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }

    pub(super) fn error(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Damage(detail) => self.corrupt(detail),
            Failure::Limit(detail) => self.io(detail),
            Failure::Refused(error) => error,
            Failure::Sql(error) if is_damage(&error) => self.corrupt(error.to_string()),
            Failure::Sql(error) => self.refused(&error),
        }
    }

    pub(super) fn corrupt(&self, detail: impl Into<String>) -> StoreError {
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

    fn refused(&self, error: &rusqlite::Error) -> StoreError {
        let place = self.name();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full { place, detail },
            Some(ErrorCode::SystemIoFailure) if self.no_space() => {
                StoreError::Full { place, detail }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse {
                place,
                by: "another process that keeps it locked".to_owned(),
            },
            Some(ErrorCode::ReadOnly) => self.io(format!(
                "it cannot be written: give this user the right to write it and its folder ({detail})"
            )),
            Some(ErrorCode::CannotOpen) => self.io(format!(
                "it cannot be opened: see whether its folder exists and this user may write there ({detail})"
            )),
            _ => self.io(detail),
        }
    }

    /// Some calls report a full disk as a mere input/output error.
    fn no_space(&self) -> bool {
        let folder = self.0.parent().unwrap_or(&self.0);
        rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail == 0)
    }
}

/// A statement that fits the schema and yet fails, or a value that is not what the column holds, can only come from damage: the
/// program's own statements are known to be right, and the projection has refused everything illegal before.
fn is_damage(error: &rusqlite::Error) -> bool {
    const SHORT_READ: i32 = rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
    match error {
        rusqlite::Error::SqliteFailure(code, _) => {
            code.extended_code == SHORT_READ || is_damage_code(code.code)
        }
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::InvalidColumnName(..)
        | rusqlite::Error::QueryReturnedNoRows => true,
        _ => false,
    }
}

fn is_damage_code(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::Unknown
    )
}
