//! What a node knows beside its tasks, each in a file: who may do what ([`access`]), what was already answered ([`requests`]), where
//! events are sent ([`webhooks`]), what is begun at which time ([`schedules`]).
//!
//! All of it is kept as [records](crate::store::Records), read when it is needed and changed by version: two who change the same at
//! once do not overwrite each other, and what was changed holds from the next question on.

pub mod access;
pub mod cron;
pub mod requests;
pub mod schedules;
pub mod webhooks;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::model::Timestamp;
use crate::store::{Conflict, Put, Record, RecordQuery, Records, StoreError};

/// Fills bytes with what nobody can guess.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Why the registry did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It is not there, or not for whoever asks.
    #[error("there is no {what} `{name}`")]
    Missing {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there already.
    #[error("there is a {what} `{name}` already")]
    Exists {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It cannot be so.
    #[error("{field}: {detail}")]
    Invalid {
        /// Which part of what was given.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        detail: String,
    },
    /// It is in use.
    #[error("{what} `{name}` is in use: {detail}")]
    InUse {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
        /// By whom.
        detail: String,
    },
    /// Somebody else changed it at the same time.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a node knows beside its tasks. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Entropy,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A registry over these records. `entropy` is where keys come from: it must be the system's own.
    #[must_use]
    pub fn new(
        records: Arc<dyn Records>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        entropy: Entropy,
    ) -> Self {
        Self {
            records,
            clock,
            ids,
            entropy,
        }
    }

    /// The records under it.
    #[must_use]
    pub fn records(&self) -> &Arc<dyn Records> {
        &self.records
    }

    /// What time it is for it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.ids.uuid(self.now())
    }

    /// Reads a record of this kind.
    ///
    /// # Errors
    /// When it cannot be read, or says something else than a record of its kind does.
    pub async fn get<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        key: &str,
    ) -> Result<Option<(T, u64)>, RegistryError> {
        let record = self.records.record(kind, key).await?;
        let read = record.map(|record| Ok((read::<T>(&record)?, record.version)));
        read.transpose()
    }

    /// Reads records of a kind whose keys begin so, after a key.
    ///
    /// # Errors
    /// As [`Registry::get`].
    pub async fn list<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, RegistryError> {
        let query = RecordQuery {
            kind: kind.to_owned(),
            prefix: prefix.to_owned(),
            after: after.to_owned(),
            limit,
        };
        let records = self.records.records(query).await?;
        let read = records
            .into_iter()
            .map(|record| Ok((record.key.clone(), read(&record)?)));
        read.collect()
    }

    /// Writes a record, if it is at the version that is expected; the new version.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`], or when it cannot be written.
    pub async fn put<T: Serialize + Sync>(
        &self,
        kind: &'static str,
        key: &str,
        expected: Option<u64>,
        body: &T,
    ) -> Result<u64, RegistryError> {
        let body = serde_json::to_value(body).map_err(|error| unwritable(kind, &error))?;
        self.write(kind, key, expected, Some(body)).await
    }

    /// Removes a record.
    ///
    /// # Errors
    /// As [`Registry::put`].
    pub async fn remove(
        &self,
        kind: &'static str,
        key: &str,
        expected: Option<u64>,
    ) -> Result<(), RegistryError> {
        self.write(kind, key, expected, None).await.map(|_| ())
    }

    async fn write(
        &self,
        kind: &'static str,
        key: &str,
        expected: Option<u64>,
        body: Option<Value>,
    ) -> Result<u64, RegistryError> {
        let put = Put {
            kind: kind.to_owned(),
            key: key.to_owned(),
            expected,
            at: self.now(),
            body,
        };
        let versions = self.records.put_records(vec![put]).await??;
        Ok(versions.first().copied().unwrap_or_default())
    }
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, RegistryError> {
    serde_json::from_value(record.body.clone()).map_err(|error| {
        let place = format!("record {} `{}`", record.kind, record.key);
        let detail = error.to_string();
        RegistryError::Store(StoreError::Corrupt { place, detail })
    })
}

fn unwritable(kind: &str, error: &serde_json::Error) -> RegistryError {
    let (place, detail) = (format!("record {kind}"), error.to_string());
    RegistryError::Store(StoreError::Io { place, detail })
}

/// Whether a name can stand in a URL, a file name and a table without being quoted.
///
/// # Errors
/// [`RegistryError::Invalid`], with what would be right.
pub fn check_name(field: &'static str, name: &str) -> Result<(), RegistryError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= MAX_NAME && name.chars().all(is_plain) {
        return Ok(());
    }
    let detail = format!(
        "a name has 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`, and begins with a letter or a digit"
    );
    Err(RegistryError::Invalid { field, detail })
}

/// The most bytes of a name.
const MAX_NAME: usize = 64;
