//! What changes of records come to: their new versions, or a conflict. Pure; all stores decide by this.

use std::collections::BTreeMap;

use crate::model::Timestamp;

use super::records::{KEY_BYTES, PUTS, PUTS_BYTES, RECORD_BYTES};
use super::{Conflict, Put, StoreError};

/// A change that keeps within the limits, as stores write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record's kind.
    pub kind: String,
    /// The record's key.
    pub key: String,
    /// The version it must be at, if that matters.
    pub expected: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// Its JSON; none removes it.
    pub body: Option<String>,
}

impl Change {
    /// The changes that are asked for in one call.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for the first that is over a limit.
    pub fn all(puts: Vec<Put>) -> Result<Vec<Self>, StoreError> {
        if puts.len() > PUTS {
            let why = format!("at most {PUTS} records are changed at once: make several calls");
            return Err(refused(format!("{} changes", puts.len()), why));
        }
        let changes: Vec<_> = puts.into_iter().map(Self::of).collect::<Result<_, _>>()?;
        let bytes: usize = changes.iter().map(Self::bytes).sum();
        if bytes > PUTS_BYTES {
            let why = format!("at most {PUTS_BYTES} are written at once: make several calls");
            return Err(refused(format!("{bytes} bytes of records"), why));
        }
        Ok(changes)
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.kind.len() + self.key.len() + self.body.as_ref().map_or(0, String::len)
    }

    fn of(put: Put) -> Result<Self, StoreError> {
        for (what, name) in [("kind", &put.kind), ("key", &put.key)] {
            named(what, name)?;
        }
        let (kind, key) = (put.kind, put.key);
        let subject = || format!("{kind} `{key}`");
        let encode = |body| serde_json::to_string(&body);
        let body = put.body.map(encode).transpose();
        let body = body.map_err(|error| refused(subject(), error.to_string()))?;
        let bytes = body.as_ref().map_or(0, String::len);
        if bytes > RECORD_BYTES {
            let why = format!("it has {bytes} bytes, a record at most {RECORD_BYTES}");
            return Err(refused(subject(), why));
        }
        Ok(Self {
            kind,
            key,
            expected: put.expected,
            at: put.at,
            body,
        })
    }
}

fn named(what: &str, name: &str) -> Result<(), StoreError> {
    let why = match name {
        "" => "it is empty".to_owned(),
        _ if name.len() > KEY_BYTES => {
            format!("it has {} bytes, and may have {KEY_BYTES}", name.len())
        }
        _ if name.contains('\0') => "it holds a NUL".to_owned(),
        _ => return Ok(()),
    };
    let shown: String = name.chars().take(40).collect();
    Err(refused(format!("the {what} {shown:?} of a record"), why))
}

fn refused(subject: String, why: String) -> StoreError {
    StoreError::Refused { subject, why }
}

/// The versions that records are at, as far as they are known; 0 for one that is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(BTreeMap<(String, String), u64>);

impl Versions {
    /// The records that `changes` are of and that are not known yet.
    #[must_use]
    pub fn unknown<'c>(&self, changes: &'c [Change]) -> Vec<(&'c str, &'c str)> {
        let mut names: Vec<_> = changes
            .iter()
            .filter(|it| !self.0.contains_key(&(it.kind.clone(), it.key.clone())))
            .map(|it| (it.kind.as_str(), it.key.as_str()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Takes note of the version that a record is at.
    pub fn know(&mut self, kind: &str, key: &str, version: u64) {
        self.0.insert((kind.to_owned(), key.to_owned()), version);
    }

    /// The versions that the changes make, one after the other. On a conflict nothing is changed.
    ///
    /// # Errors
    /// [`Conflict`] at the first that finds another version than it expects.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<u64>, Conflict> {
        let mut next = BTreeMap::new();
        let mut versions = Vec::with_capacity(changes.len());
        for change in changes {
            let name = (change.kind.clone(), change.key.clone());
            let current = next.get(&name).or_else(|| self.0.get(&name));
            let current = current.copied().unwrap_or(0);
            if change.expected.is_some_and(|wanted| wanted != current) {
                let (kind, key) = name;
                return Err(Conflict { kind, key, current });
            }
            let version = match change.body {
                Some(_) => current.saturating_add(1),
                None => 0,
            };
            next.insert(name, version);
            versions.push(version);
        }
        self.0.extend(next);
        Ok(versions)
    }
}
