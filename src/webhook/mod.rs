//! Webhooks: events are sent to addresses outside, signed, again and again until they are taken, and at last parked.
//!
//! [`Webhooks`] is the handle that routes use; [`Webhooks::deliverer`] is the supervised child behind it. What it does is durable before
//! it is done: an event becomes deliveries before it leaves the outbox, and a delivery is pending until its receiver has taken it.
//!
//! Reading order: `sign`, `address` (where nothing is sent), `post` (one attempt), `intake` (from the outbox to deliveries), `deliver`.

mod address;
mod declared;
mod deliver;
mod intake;
mod post;
pub mod sign;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::registry::access::Key;
use actors::registry::webhooks::deliveries::Delivery;
use actors::registry::webhooks::plan::RetryTimes;
use actors::registry::webhooks::{FileWebhook, NewWebhook, Webhook};
use actors::registry::{Registry, RegistryError};
use actors::store::Announce;
use actors::system::System;
use supervision::Start;
use tokio::sync::Notify;

pub use self::address::check_url;
pub use self::declared::{declared, node_secret};
pub use self::post::{Carrier, Letter, Post};
use self::sign::Secret;

/// What can be set about webhooks.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long an attempt may take; 20 s.
    pub timeout: Duration,
    /// How many attempts are under way at once; 16.
    pub at_once: usize,
    /// How many of them go to one webhook; 4.
    pub to_one: usize,
    /// Whether addresses of this machine and of private networks may be asked; not unless said so.
    pub private_targets: bool,
    /// When a delivery that failed is tried again.
    pub times: RetryTimes,
    /// How often is looked for work that nobody told of; 5 s.
    pub look: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(20),
            at_once: 16,
            to_one: 4,
            private_targets: false,
            times: RetryTimes::default(),
            look: Duration::from_secs(5),
        }
    }
}

/// A webhook of the node's file, with its secret.
#[derive(Debug, Clone)]
pub struct Declared {
    /// What is kept of it.
    pub webhook: FileWebhook,
    /// What its deliveries are signed with; they are not signed if there is none.
    pub secret: Option<Secret>,
}

/// The webhooks of a node. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Shared>);

struct Shared {
    registry: Registry,
    /// The secrets of webhooks are made of it.
    secret: [u8; 32],
    options: Options,
    declared: Mutex<BTreeMap<String, Option<Secret>>>,
    /// Whoever looks which events are to be announced says so before the next one looks.
    announcing: tokio::sync::Mutex<()>,
    wake: Notify,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Webhooks");
        shown
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Webhooks {
    /// The webhooks of this registry. `secret` is the node's: whoever has it can sign for all of them.
    #[must_use]
    pub fn new(registry: Registry, secret: [u8; 32], options: Options) -> Self {
        Self(Arc::new(Shared {
            registry,
            secret,
            options,
            declared: Mutex::default(),
            announcing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// The child that sends, over the machine's network.
    #[must_use]
    pub fn deliverer(&self, system: &System) -> Start {
        let options = &self.0.options;
        let post = Post::new(options.timeout, options.private_targets);
        self.deliverer_over(system, Arc::new(post))
    }

    /// The child that sends, in another way.
    #[must_use]
    pub fn deliverer_over(&self, system: &System, carrier: Arc<dyn Carrier>) -> Start {
        let (hooks, system) = (self.clone(), system.clone());
        Start::worker(move || deliver::run(hooks.clone(), system.clone(), carrier.clone()))
    }

    /// Makes a webhook; with it comes its secret, which is not shown again. When this returns, whatever happens is sent to it.
    ///
    /// # Errors
    /// [`RegistryError`]; [`RegistryError::Invalid`] also for an address that may not be asked.
    pub async fn create(&self, new: NewWebhook) -> Result<(Webhook, Secret), RegistryError> {
        check_url(&new.url, self.0.options.private_targets).map_err(|detail| {
            RegistryError::Invalid {
                field: "url",
                detail,
            }
        })?;
        let webhook = self.0.registry.create_webhook(new).await?;
        self.changed().await?;
        let secret = Secret::derived(&self.0.secret, &webhook.id);
        Ok((webhook, secret))
    }

    /// Removes a webhook, for whoever sees it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn remove(&self, by: &Key, id: &str) -> Result<(), RegistryError> {
        self.0.registry.remove_webhook(by, id).await?;
        self.changed().await?;
        Ok(())
    }

    /// Sends a delivery again, now, under the same id; for whoever sees its webhook.
    ///
    /// # Errors
    /// [`RegistryError`]; [`RegistryError::InUse`] when the webhook is disabled.
    pub async fn redeliver(
        &self,
        by: &Key,
        webhook: &str,
        delivery: &str,
    ) -> Result<Delivery, RegistryError> {
        let webhook = self.0.registry.webhook_for(by, webhook).await?;
        if let Some(disabled) = webhook.disabled {
            return Err(RegistryError::InUse {
                what: "webhook",
                name: webhook.id,
                detail: format!("it is disabled, as {}: make a new one", disabled.reason),
            });
        }
        let again = self.0.registry.redeliver(&webhook.id, delivery).await?;
        self.0.wake.notify_one();
        Ok(again)
    }

    /// The webhooks of the node's file are these from now on, and no others.
    ///
    /// # Errors
    /// [`RegistryError`]; [`RegistryError::Invalid`] for an address that may not be asked. Nothing is changed then.
    pub async fn merge(&self, declared: Vec<Declared>) -> Result<(), RegistryError> {
        for one in &declared {
            let checked = check_url(&one.webhook.url, self.0.options.private_targets);
            checked.map_err(|detail| RegistryError::Invalid {
                field: "webhooks",
                detail: format!("`{}`: url: {detail}", one.webhook.name),
            })?;
        }
        let file: Vec<_> = declared.iter().map(|one| one.webhook.clone()).collect();
        let secrets = declared.into_iter();
        let secrets = secrets.map(|one| (one.webhook.id(), one.secret)).collect();
        *self
            .0
            .declared
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = secrets;
        self.0.registry.merge_webhooks(&file).await?;
        self.changed().await?;
        Ok(())
    }

    /// What a webhook's deliveries are signed with.
    fn secret(&self, webhook: &Webhook) -> Option<Secret> {
        let declared = self.0.declared.lock();
        let declared = declared.unwrap_or_else(PoisonError::into_inner);
        match webhook.name {
            Some(_) => declared.get(&webhook.id).cloned().flatten(),
            None => Some(Secret::derived(&self.0.secret, &webhook.id)),
        }
    }

    /// Whoever sends hears of it too: it waits for the events of the webhooks it knows.
    async fn changed(&self) -> Result<(), RegistryError> {
        self.announce().await?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// The store puts those events into the outbox that somebody waits for, from now on.
    async fn announce(&self) -> Result<(Vec<Webhook>, Announce), RegistryError> {
        let _one_by_one = self.0.announcing.lock().await;
        let webhooks = self.0.registry.webhooks(None, "", usize::MAX).await?;
        let announced = self.0.registry.announce_for(&webhooks, &intake::ALWAYS);
        Ok((webhooks, announced))
    }
}
