//! Where events are sent: webhooks, and their deliveries ([`deliveries`]). What is decided about one delivery is in [`plan`].
//!
//! No secret is kept here: whoever sends derives a webhook's from one of the node and the webhook's id.

pub mod deliveries;
pub mod plan;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::Announce;

use super::access::Key;
use super::{Registry, RegistryError, check_name};

/// The most webhooks of one project.
pub const MOST_WEBHOOKS: usize = 100;

/// The most bytes of an address or a description.
const MAX_TEXT: usize = 2_000;

/// How many records are read at a time.
const PAGE: usize = 256;

const WEBHOOK: &str = "webhook";

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id: `hook_…`.
    pub id: String,
    /// The project whose events it is sent; those of all for one of the node's file.
    pub project: Option<String>,
    /// Its name in the node's file, if it stands there.
    #[serde(default)]
    pub name: Option<String>,
    /// The address.
    pub url: String,
    /// The types of the events; empty for all that are not private to a run.
    #[serde(default)]
    pub events: BTreeSet<String>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing is sent any more, and why.
    #[serde(default)]
    pub disabled: Option<Disabled>,
}

/// That nothing is sent to a webhook any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Webhook {
    /// Whether this key may see it.
    #[must_use]
    pub fn is_seen_by(&self, key: &Key) -> bool {
        key.is_of_node() || self.project == key.project
    }
}

/// A webhook that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Its project.
    pub project: String,
    /// The address, which was checked.
    pub url: String,
    /// The types of the events; empty for all that are not private to a run.
    pub events: BTreeSet<String>,
    /// What it is for.
    pub description: String,
}

/// A webhook of the node's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWebhook {
    /// Its name there.
    pub name: String,
    /// The address, which was checked.
    pub url: String,
    /// The types of the events; empty for all that are not private to a run.
    pub events: BTreeSet<String>,
}

impl FileWebhook {
    /// Its id, which is always the same for its name.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = blake3::hash(format!("webhook {}", self.name).as_bytes());
        format!("hook_{}", id_of(Timestamp(0), &hash).simple())
    }
}

/// An id of this time that is made of a hash, always the same one.
pub(super) fn id_of(at: Timestamp, hash: &blake3::Hash) -> Uuid {
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash.as_bytes()[..10]);
    uuid::Builder::from_unix_timestamp_millis(at.0, &bytes).into_uuid()
}

pub(super) fn missing(id: &str) -> RegistryError {
    RegistryError::Missing {
        what: "webhook",
        name: id.to_owned(),
    }
}

fn key_of(id: &str) -> Option<&str> {
    id.strip_prefix("hook_").filter(|key| !key.is_empty())
}

impl Registry {
    /// Makes a webhook.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] for a project that is not there, [`RegistryError::Invalid`], [`RegistryError::InUse`] when the project
    /// has as many as it may have, or when it cannot be written.
    pub async fn create_webhook(&self, new: NewWebhook) -> Result<Webhook, RegistryError> {
        self.project(&new.project).await?;
        check_text("url", &new.url)?;
        check_text("description", &new.description)?;
        let there = self.webhooks(Some(&new.project), "", MOST_WEBHOOKS).await?;
        if there.len() == MOST_WEBHOOKS {
            return Err(RegistryError::InUse {
                what: "project",
                name: new.project,
                detail: format!("it has {MOST_WEBHOOKS} webhooks, which is the most: remove one"),
            });
        }
        let id = self.id().simple();
        let webhook = Webhook {
            id: format!("hook_{id}"),
            project: Some(new.project),
            name: None,
            url: new.url,
            events: new.events,
            description: new.description,
            created_at: self.now(),
            disabled: None,
        };
        self.put(WEBHOOK, &id.to_string(), Some(0), &webhook)
            .await?;
        Ok(webhook)
    }

    /// A webhook.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn webhook(&self, id: &str) -> Result<Option<Webhook>, RegistryError> {
        let found = self.versioned_webhook(id).await?;
        Ok(found.map(|(webhook, _)| webhook))
    }

    async fn versioned_webhook(&self, id: &str) -> Result<Option<(Webhook, u64)>, RegistryError> {
        match key_of(id) {
            Some(key) => self.get::<Webhook>(WEBHOOK, key).await,
            None => Ok(None),
        }
    }

    /// A webhook for whoever sees it.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], or when it cannot be read.
    pub async fn webhook_for(&self, by: &Key, id: &str) -> Result<Webhook, RegistryError> {
        let found = self.webhook(id).await?;
        let seen = found.filter(|webhook| webhook.is_seen_by(by));
        seen.ok_or_else(|| missing(id))
    }

    /// Webhooks of a project, or all, in the order in which they were made; those of the file first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn webhooks(
        &self,
        project: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Webhook>, RegistryError> {
        let mut after = after.strip_prefix("hook_").unwrap_or(after).to_owned();
        let mut found = Vec::new();
        loop {
            let page = self.list::<Webhook>(WEBHOOK, "", &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            for (key, webhook) in page {
                if project.is_none_or(|own| webhook.project.as_deref() == Some(own)) {
                    found.push(webhook);
                }
                after = key;
            }
            found.truncate(limit);
            if is_last || found.len() == limit {
                return Ok(found);
            }
        }
    }

    /// Removes a webhook; its deliveries go with it.
    ///
    /// # Errors
    /// [`RegistryError::Missing`] where `by` does not see it, [`RegistryError::InUse`] for one of the node's file, or when it cannot be
    /// written.
    pub async fn remove_webhook(&self, by: &Key, id: &str) -> Result<(), RegistryError> {
        let webhook = self.webhook_for(by, id).await?;
        if let Some(name) = webhook.name {
            return Err(RegistryError::InUse {
                what: "webhook",
                name: id.to_owned(),
                detail: format!(
                    "it stands in the node's file as `webhooks.{name}`: remove it there"
                ),
            });
        }
        self.take_away(id).await
    }

    async fn take_away(&self, id: &str) -> Result<(), RegistryError> {
        self.remove(WEBHOOK, key_of(id).unwrap_or(id), None).await?;
        self.remove_deliveries(id).await
    }

    /// Nothing is sent to a webhook any more.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn disable_webhook(&self, id: &str, reason: &str) -> Result<(), RegistryError> {
        let Some((mut webhook, version)) = self.versioned_webhook(id).await? else {
            return Ok(());
        };
        let (at, reason) = (self.now(), reason.to_owned());
        webhook.disabled.get_or_insert(Disabled { at, reason });
        let key = key_of(id).unwrap_or(id);
        let put = self.put(WEBHOOK, key, Some(version), &webhook).await;
        match put {
            // Somebody removed or disabled it at the same moment.
            Ok(_) | Err(RegistryError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The webhooks of the node's file are these and no others: new ones are made, changed ones changed, those that are gone removed.
    /// One that was disabled is tried again.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`], or when they cannot be read or written.
    pub async fn merge_webhooks(&self, file: &[FileWebhook]) -> Result<(), RegistryError> {
        for wanted in file {
            check_name("name", &wanted.name)?;
            check_text("url", &wanted.url)?;
            self.merge_webhook(wanted).await?;
        }
        let kept: BTreeSet<_> = file.iter().map(FileWebhook::id).collect();
        for webhook in self.webhooks(None, "", usize::MAX).await? {
            if webhook.name.is_some() && !kept.contains(&webhook.id) {
                self.take_away(&webhook.id).await?;
            }
        }
        Ok(())
    }

    async fn merge_webhook(&self, wanted: &FileWebhook) -> Result<(), RegistryError> {
        let id = wanted.id();
        let found = self.webhook(&id).await?;
        let created_at = found.as_ref().map_or(self.now(), |found| found.created_at);
        let webhook = Webhook {
            project: None,
            name: Some(wanted.name.clone()),
            url: wanted.url.clone(),
            events: wanted.events.clone(),
            description: String::new(),
            created_at,
            disabled: None,
            id,
        };
        if found.as_ref() == Some(&webhook) {
            return Ok(());
        }
        let key = key_of(&webhook.id).unwrap_or_default();
        self.put(WEBHOOK, key, None, &webhook).await.map(drop)
    }

    /// From now on the events go to the outbox that these webhooks are to be sent, and those of these types.
    pub fn announce_for(&self, webhooks: &[Webhook], also: &[&str]) -> Announce {
        let what = plan::announced(webhooks, also);
        self.records.announce(what.clone());
        what
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
