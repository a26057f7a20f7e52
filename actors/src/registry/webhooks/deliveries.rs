//! What is sent to webhooks: each delivery is a record, and while it waits there is another one that says since when it is due, so that
//! whoever sends reads no more than what is due. Both are written together.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::model::event::Seq;
use crate::model::{Event, TaskId, Timestamp};
use crate::registry::{Registry, RegistryError};
use crate::store::{Put, RecordQuery};

use super::{PAGE, Webhook, id_of, plan};

const DELIVERY: &str = "delivery";
const DUE: &str = "delivery_due";

/// How many deliveries are written at once.
const AT_ONCE: usize = 250;

/// An event on its way to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id, `msg_…`: the same at each attempt, so that a receiver knows what it has had.
    pub id: String,
    /// The webhook.
    pub webhook: String,
    /// The type of the event.
    pub event_type: String,
    /// The event's task.
    pub task: TaskId,
    /// The event's number there.
    pub event: Seq,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts have failed since it was made, or sent again by hand.
    pub failed: u32,
    /// The newest attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What is sent.
    pub body: String,
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is yet to be delivered.
    Pending {
        /// When it is tried.
        due: Timestamp,
    },
    /// The receiver has it.
    Delivered {
        /// Since when.
        at: Timestamp,
    },
    /// It is not tried again by itself.
    Parked {
        /// Since when.
        at: Timestamp,
        /// What the last attempt came to, or why there was none.
        reason: String,
    },
}

/// An attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// A delivery that waits, and where that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Since when it is due.
    pub due: Timestamp,
    /// The webhook.
    pub webhook: String,
    /// The delivery.
    pub delivery: String,
    /// Its place among those that wait.
    pub key: String,
}

impl Delivery {
    /// An event for a webhook. Its id is the same however often it is made.
    #[must_use]
    pub fn new(webhook: &Webhook, project: &str, event: &Event, now: Timestamp) -> Self {
        let name = format!("{}/{}/{}", webhook.id, event.task_id, event.id);
        let id = id_of(event.at, &blake3::hash(name.as_bytes()));
        Self {
            id: format!("msg_{}", id.simple()),
            webhook: webhook.id.clone(),
            event_type: event.body.kind().to_owned(),
            task: event.task_id,
            event: event.id,
            created_at: now,
            state: DeliveryState::Pending { due: now },
            failed: 0,
            attempts: Vec::new(),
            body: plan::body(project, event),
        }
    }

    fn due_key(&self) -> Option<String> {
        match self.state {
            DeliveryState::Pending { due } => Some(format!(
                "{:016x}/{}",
                due.0,
                record_key(&self.webhook, &self.id)
            )),
            _ => None,
        }
    }
}

fn record_key(webhook: &str, delivery: &str) -> String {
    let webhook = webhook.strip_prefix("hook_").unwrap_or(webhook);
    let delivery = delivery.strip_prefix("msg_").unwrap_or(delivery);
    format!("{webhook}/{delivery}")
}

fn due_of(key: &str) -> Option<Due> {
    let mut parts = key.splitn(3, '/');
    let due = u64::from_str_radix(parts.next()?, 16).ok()?;
    Some(Due {
        due: Timestamp(due),
        webhook: format!("hook_{}", parts.next()?),
        delivery: format!("msg_{}", parts.next()?),
        key: key.to_owned(),
    })
}

impl Registry {
    /// Makes deliveries durable. Those that are there already are left as they are.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn add_deliveries(&self, new: Vec<Delivery>) -> Result<(), RegistryError> {
        for part in new.chunks(AT_ONCE) {
            let puts = part.iter().flat_map(|one| self.puts(one, Some(0), None));
            let written = self.records.put_records(puts.collect()).await?;
            if written.is_ok() {
                continue;
            }
            for one in part {
                let puts = self.puts(one, Some(0), None);
                // A conflict says that it is there.
                let _ = self.records.put_records(puts).await?;
            }
        }
        Ok(())
    }

    /// A delivery in another state instead of what it was.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] when somebody else changed it, or when it cannot be written.
    pub async fn change_delivery(
        &self,
        was: &Delivery,
        version: u64,
        now: &Delivery,
    ) -> Result<(), RegistryError> {
        let puts = self.puts(now, Some(version), was.due_key());
        self.records.put_records(puts).await??;
        Ok(())
    }

    fn puts(
        &self,
        delivery: &Delivery,
        expected: Option<u64>,
        was_due: Option<String>,
    ) -> Vec<Put> {
        let put = |kind: &str, key: String, expected, body| Put {
            kind: kind.to_owned(),
            key,
            expected,
            at: self.now(),
            body,
        };
        let key = record_key(&delivery.webhook, &delivery.id);
        let body = serde_json::to_value(delivery).unwrap_or_default();
        let mut puts = vec![put(DELIVERY, key, expected, Some(body))];
        puts.extend(was_due.map(|key| put(DUE, key, None, None)));
        puts.extend(
            delivery
                .due_key()
                .map(|key| put(DUE, key, None, Some(json!({})))),
        );
        puts
    }

    /// A delivery of a webhook, with its version.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn delivery(
        &self,
        webhook: &str,
        id: &str,
    ) -> Result<Option<(Delivery, u64)>, RegistryError> {
        self.get(DELIVERY, &record_key(webhook, id)).await
    }

    /// Deliveries of a webhook in the order of their events, after one of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn deliveries(
        &self,
        webhook: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Delivery>, RegistryError> {
        let after = match after.is_empty() {
            true => String::new(),
            false => record_key(webhook, after),
        };
        let prefix = record_key(webhook, "");
        let found = self.list(DELIVERY, &prefix, &after, limit).await?;
        Ok(found.into_iter().map(|(_, one)| one).collect())
    }

    /// Deliveries that wait, those first that are due first, after one of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn due_deliveries(
        &self,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Due>, RegistryError> {
        let query = RecordQuery {
            kind: DUE.to_owned(),
            prefix: String::new(),
            after: after.to_owned(),
            limit,
        };
        let found = self.records.records(query).await?;
        Ok(found
            .iter()
            .filter_map(|record| due_of(&record.key))
            .collect())
    }

    /// Strikes out what waits for nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn strike_due(&self, due: &Due) -> Result<(), RegistryError> {
        self.remove(DUE, &due.key, None).await
    }

    /// Sends a delivery again, now, under the same id.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Conflict`], or when it cannot be written.
    pub async fn redeliver(&self, webhook: &str, id: &str) -> Result<Delivery, RegistryError> {
        let found = self.delivery(webhook, id).await?;
        let (was, version) = found.ok_or_else(|| RegistryError::Missing {
            what: "delivery",
            name: id.to_owned(),
        })?;
        let mut now = was.clone();
        now.state = DeliveryState::Pending { due: self.now() };
        now.failed = 0;
        self.change_delivery(&was, version, &now).await?;
        Ok(now)
    }

    pub(super) async fn remove_deliveries(&self, webhook: &str) -> Result<(), RegistryError> {
        loop {
            let page = self.deliveries(webhook, "", PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.drop_deliveries(&page).await?;
        }
    }

    /// Removes deliveries, whatever has become of them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn drop_deliveries(&self, gone: &[Delivery]) -> Result<(), RegistryError> {
        let at = self.now();
        let remove = |kind: &str, key: String| Put {
            kind: kind.to_owned(),
            key,
            expected: None,
            at,
            body: None,
        };
        let of_one = |one: &Delivery| {
            let itself = remove(DELIVERY, record_key(&one.webhook, &one.id));
            let wait = one.due_key().map(|key| remove(DUE, key));
            [Some(itself), wait].into_iter().flatten()
        };
        let puts = gone.iter().flat_map(of_one).collect();
        self.records.put_records(puts).await??;
        Ok(())
    }

    /// Removes deliveries that were delivered or parked before a time, at most so many of each webhook; how many.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub async fn prune_deliveries(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, RegistryError> {
        let is_old = |one: &Delivery| match one.state {
            DeliveryState::Pending { .. } => false,
            DeliveryState::Delivered { at } | DeliveryState::Parked { at, .. } => at < before,
        };
        let mut pruned = 0;
        for webhook in self.webhooks(None, "", usize::MAX).await? {
            let page = self.deliveries(&webhook.id, "", limit.min(AT_ONCE)).await?;
            let old: Vec<_> = page.into_iter().filter(is_old).collect();
            if !old.is_empty() {
                self.drop_deliveries(&old).await?;
                pruned += old.len();
            }
        }
        Ok(pruned)
    }
}
