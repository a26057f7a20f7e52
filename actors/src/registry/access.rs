//! Projects, and the keys with which people, programs and executors may do something in them.
//!
//! A key is shown once, when it is made; what is kept is the BLAKE3 hash of its secret half. Its other half says which record to look
//! at, so that every question costs one read, and a key that was revoked is refused from the next question on.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Timestamp;

use super::{Registry, RegistryError, check_name};

/// A scope of keys, executors, tasks, workflows and memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Read tasks, runs, events, agents, teams, plans and workflows.
    #[serde(rename = "tasks:read")]
    TasksRead,
    /// Create tasks and act on them.
    #[serde(rename = "tasks:write")]
    TasksWrite,
    /// Create and change agents, workflows and webhooks.
    #[serde(rename = "config:write")]
    ConfigWrite,
    /// Connect as an executor.
    #[serde(rename = "executors:connect")]
    ExecutorsConnect,
    /// Everything in the project, its keys too; with a key of no project, everything on the node.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::TasksRead,
        Self::TasksWrite,
        Self::ConfigWrite,
        Self::ExecutorsConnect,
        Self::Admin,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TasksRead => "tasks:read",
            Self::TasksWrite => "tasks:write",
            Self::ConfigWrite => "config:write",
            Self::ExecutorsConnect => "executors:connect",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Of people and programs: `ik_…`.
    Api,
    /// Of executors: `ek_…`.
    Executor,
}

impl KeyKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Api => "ik_",
            Self::Executor => "ek_",
        }
    }
}

/// A key, as everybody may see it who may see keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id: `key_…`.
    pub id: String,
    /// Its project; none for a key of the whole node.
    pub project: Option<String>,
    /// Whose it is.
    pub kind: KeyKind,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// What it is for.
    #[serde(default)]
    pub label: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

impl Key {
    /// Whether it may do this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether it is one of the whole node.
    #[must_use]
    pub fn is_of_node(&self) -> bool {
        self.project.is_none()
    }

    /// Whether what belongs to this project is there for it.
    #[must_use]
    pub fn sees(&self, project: &str) -> bool {
        self.project.as_deref().is_none_or(|own| own == project)
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its project; none for the whole node.
    pub project: Option<String>,
    /// Whose it is.
    pub kind: KeyKind,
    /// What it may do; for an executor's key, to connect and nothing else.
    pub scopes: BTreeSet<Scope>,
    /// What it is for.
    pub label: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// Why a key is refused. Whoever shows one that is refused is not told which of these it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not a key, or not one of this node.
    #[error("the key is unknown")]
    Unknown,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// Nobody can tell now.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    key: Key,
    /// BLAKE3 of the secret half, in hex.
    hash: String,
}

const KEY: &str = "key";
const PROJECT: &str = "project";

/// The most bytes of a label or a description.
const MAX_TEXT: usize = 1_000;

/// The bytes of a key's secret half.
const SECRET: usize = 32;

impl Registry {
    /// Makes a key. The text is shown to nobody ever again.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] for a project that is not there, [`RegistryError::Invalid`], or when it cannot be written.
    pub async fn create_key(&self, new: NewKey) -> Result<(Key, String), RegistryError> {
        if let Some(project) = &new.project {
            self.project(project).await?;
        }
        check_text("label", &new.label)?;
        check_scopes(&new)?;
        let (id, mut secret) = (self.id(), [0; SECRET]);
        (self.entropy)(&mut secret);
        let key = Key {
            id: format!("key_{}", id.simple()),
            project: new.project,
            kind: new.kind,
            scopes: new.scopes,
            label: new.label,
            created_at: self.now(),
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let hash = blake3::hash(&secret).to_hex().to_string();
        let kept = Kept {
            key: key.clone(),
            hash,
        };
        self.put(KEY, &id.simple().to_string(), Some(0), &kept)
            .await?;
        let text = format!("{}{}{}", new.kind.prefix(), id.simple(), hex(&secret));
        Ok((key, text))
    }

    /// Whose key this is, if it may be used now.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn authenticate(&self, text: &str) -> Result<Key, Refused> {
        let (kind, id, secret) = parts(text).ok_or(Refused::Unknown)?;
        let found = self.get::<Kept>(KEY, &id.simple().to_string()).await?;
        let (kept, _) = found.ok_or(Refused::Unknown)?;
        let expected = blake3::Hash::from_hex(&kept.hash).map_err(|_| Refused::Unknown)?;
        // Hashes are compared in constant time.
        if blake3::hash(&secret) != expected || kept.key.kind != kind {
            return Err(Refused::Unknown);
        }
        self.is_valid(&kept.key)?;
        Ok(kept.key)
    }

    /// Whether a key that was good when it was shown still is.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn still(&self, key: &Key) -> Result<(), Refused> {
        let (now, _) = self.key(&key.id).await?.ok_or(Refused::Unknown)?;
        self.is_valid(&now)
    }

    fn is_valid(&self, key: &Key) -> Result<(), Refused> {
        if key.revoked_at.is_some() {
            return Err(Refused::Revoked);
        }
        match key.expires_at {
            Some(end) if end <= self.now() => Err(Refused::Expired),
            _ => Ok(()),
        }
    }

    async fn key(&self, id: &str) -> Result<Option<(Key, u64)>, RegistryError> {
        let found = self.kept(id).await?;
        Ok(found.map(|(kept, version)| (kept.key, version)))
    }

    async fn kept(&self, id: &str) -> Result<Option<(Kept, u64)>, RegistryError> {
        match id.strip_prefix("key_") {
            Some(id) => self.get::<Kept>(KEY, id).await,
            None => Ok(None),
        }
    }

    /// Keys of a project, or all, in the order in which they were made; those that were revoked too.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn keys(
        &self,
        project: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Key>, RegistryError> {
        let mut after = after.strip_prefix("key_").unwrap_or(after).to_owned();
        let mut keys = Vec::new();
        loop {
            let page = self.list::<Kept>(KEY, "", &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            for (id, Kept { key, .. }) in page {
                if project.is_none_or(|own| key.project.as_deref() == Some(own)) {
                    keys.push(key);
                }
                after = id;
            }
            keys.truncate(limit);
            if is_last || keys.len() == limit {
                return Ok(keys);
            }
        }
    }

    /// Revokes a key, for whoever sees it. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] where `by` does not see such a key; when it cannot be written.
    pub async fn revoke(&self, by: &Key, id: &str) -> Result<Key, RegistryError> {
        let missing = || RegistryError::Missing {
            what: "key",
            name: id.to_owned(),
        };
        let (mut kept, version) = self.kept(id).await?.ok_or_else(missing)?;
        let is_seen = by.is_of_node() || kept.key.project == by.project;
        if !is_seen {
            return Err(missing());
        }
        if kept.key.revoked_at.is_none() {
            kept.key.revoked_at = Some(self.now());
            let id = id.strip_prefix("key_").unwrap_or(id);
            self.put(KEY, id, Some(version), &kept).await?;
        }
        Ok(kept.key)
    }

    /// Makes a project.
    ///
    /// # Errors
    /// [`RegistryError::Exists`], [`RegistryError::Invalid`], or when it cannot be written.
    pub async fn create_project(
        &self,
        name: &str,
        description: &str,
    ) -> Result<Project, RegistryError> {
        check_name("name", name)?;
        check_text("description", description)?;
        let project = Project {
            name: name.to_owned(),
            description: description.to_owned(),
            created_at: self.now(),
        };
        match self.put(PROJECT, name, Some(0), &project).await {
            Ok(_) => Ok(project),
            Err(RegistryError::Conflict(_)) => Err(RegistryError::Exists {
                what: "project",
                name: name.to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// A project.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], or when it cannot be read.
    pub async fn project(&self, name: &str) -> Result<Project, RegistryError> {
        let found = self.get::<Project>(PROJECT, name).await?;
        found
            .map(|(project, _)| project)
            .ok_or_else(|| RegistryError::Missing {
                what: "project",
                name: name.to_owned(),
            })
    }

    /// Projects by name.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn projects(&self, after: &str, limit: usize) -> Result<Vec<Project>, RegistryError> {
        let found = self.list::<Project>(PROJECT, "", after, limit).await?;
        Ok(found.into_iter().map(|(_, project)| project).collect())
    }

    /// Removes a project that has no tasks; its keys are revoked.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::InUse`], or when it cannot be written.
    pub async fn remove_project(&self, name: &str) -> Result<(), RegistryError> {
        self.project(name).await?;
        let query = crate::store::TaskQuery {
            project: Some(name.to_owned()),
            statuses: Vec::new(),
            after: None,
            newest_first: true,
            limit: 1,
        };
        if !self.records.page_of_tasks(query).await?.is_empty() {
            return Err(RegistryError::InUse {
                what: "project",
                name: name.to_owned(),
                detail: "it has tasks; they are removed by retention, or stay".to_owned(),
            });
        }
        for key in self.keys(Some(name), "", usize::MAX).await? {
            self.revoke(&key, &key.id).await?;
        }
        self.remove(PROJECT, name, None).await
    }
}

/// How many records are read at a time.
const PAGE: usize = 256;

fn check_scopes(new: &NewKey) -> Result<(), RegistryError> {
    let invalid = |detail: &str| {
        Err(RegistryError::Invalid {
            field: "scopes",
            detail: detail.to_owned(),
        })
    };
    let connects = BTreeSet::from([Scope::ExecutorsConnect]);
    match new.kind {
        _ if new.scopes.is_empty() => invalid("give at least one"),
        KeyKind::Executor if new.scopes != connects => {
            invalid("an executor's key has `executors:connect` and nothing else")
        }
        KeyKind::Executor if new.project.is_none() => Err(RegistryError::Invalid {
            field: "project",
            detail: "an executor works for one project: name it".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn check_text(field: &'static str, text: &str) -> Result<(), RegistryError> {
    match text.len() {
        0..=MAX_TEXT => Ok(()),
        len => Err(RegistryError::Invalid {
            field,
            detail: format!("it has {len} bytes; at most {MAX_TEXT} are kept"),
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parts(text: &str) -> Option<(KeyKind, Uuid, [u8; SECRET])> {
    let kinds = [KeyKind::Api, KeyKind::Executor];
    let (kind, rest) = kinds
        .into_iter()
        .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))?;
    if rest.len() != 32 + 2 * SECRET || !rest.is_ascii() {
        return None;
    }
    let (id, digits) = rest.split_at(32);
    let mut secret = [0; SECRET];
    for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((kind, Uuid::try_parse(id).ok()?, secret))
}
