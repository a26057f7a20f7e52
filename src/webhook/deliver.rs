//! The child that sends. Should it end in the middle of an attempt, the delivery is still pending, and is sent again under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actors::feed::Live;
use actors::model::Timestamp;
use actors::registry::RegistryError;
use actors::registry::webhooks::Webhook;
use actors::registry::webhooks::deliveries::{Delivery, DeliveryState, Due};
use actors::registry::webhooks::plan::{self, Outcome};
use actors::store::Announce;
use actors::system::System;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use supervision::Failure;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::post::{Carrier, Letter};
use super::{Webhooks, intake};

/// How many deliveries that wait are read at a time, and how many are looked at for one that may be sent.
const PAGE: usize = 256;
const LOOKED_AT: usize = 4_096;

/// An attempt that has come to something.
struct Attempted {
    due: Due,
    delivery: Delivery,
    version: u64,
    begun: Timestamp,
    outcome: Outcome,
}

struct Deliverer {
    hooks: Webhooks,
    carrier: Arc<dyn Carrier>,
    webhooks: BTreeMap<String, Webhook>,
    flying: FuturesUnordered<BoxFuture<'static, Attempted>>,
    taken: BTreeSet<String>,
    busy: BTreeMap<String, usize>,
}

/// Sends until it is dropped or the store fails.
pub(super) async fn run(
    hooks: Webhooks,
    system: System,
    carrier: Arc<dyn Carrier>,
) -> Result<(), Failure> {
    let mut live = system.bus().listen();
    let mut deliverer = Deliverer {
        hooks: hooks.clone(),
        carrier,
        webhooks: BTreeMap::new(),
        flying: FuturesUnordered::new(),
        taken: BTreeSet::new(),
        busy: BTreeMap::new(),
    };
    loop {
        let (webhooks, announced) = hooks.announce().await?;
        intake::take(&hooks, &system, &webhooks).await?;
        let webhooks = webhooks.into_iter();
        deliverer.webhooks = webhooks.map(|it| (it.id.clone(), it)).collect();
        let wait = deliverer.send().await?;
        tokio::select! {
            Some(attempted) = deliverer.flying.next() => deliverer.settle(attempted).await?,
            () = hooks.0.wake.notified() => {}
            () = news(&mut live, &announced) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Waits for an event that is announced.
async fn news(live: &mut Receiver<Live>, announced: &Announce) {
    loop {
        match live.recv().await {
            Ok(Live::Event(event)) if announced.has(event.body.kind()) => return,
            Ok(Live::Event(_) | Live::Delta { .. }) => {}
            Ok(Live::JournalRestarted) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Deliverer {
    /// Begins as many attempts as may be under way; how long there is nothing else to do.
    async fn send(&mut self) -> Result<Duration, Failure> {
        let (mut after, mut looked_at) = (String::new(), 0);
        let options = self.hooks.0.options.clone();
        while self.flying.len() < options.at_once && looked_at < LOOKED_AT {
            let page = self.hooks.0.registry.due_deliveries(&after, PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            after.clone_from(&last.key);
            looked_at += page.len();
            for due in page {
                let now = self.hooks.0.registry.now();
                if due.due > now {
                    return Ok(due.due.since(now).min(options.look));
                }
                let is_busy = self
                    .busy
                    .get(&due.webhook)
                    .is_some_and(|n| *n >= options.to_one);
                if !is_busy && !self.taken.contains(&due.key) && self.flying.len() < options.at_once
                {
                    self.begin(due, now).await?;
                }
            }
        }
        Ok(options.look)
    }

    async fn begin(&mut self, due: Due, now: Timestamp) -> Result<(), Failure> {
        let registry = self.hooks.0.registry.clone();
        let found = registry.delivery(&due.webhook, &due.delivery).await?;
        let webhook = self.webhooks.get(&due.webhook);
        let Some((delivery, version)) = found else {
            return Ok(registry.strike_due(&due).await?);
        };
        let Some(webhook) = webhook else {
            return Ok(registry.drop_deliveries(&[delivery]).await?);
        };
        if delivery.state != (DeliveryState::Pending { due: due.due }) {
            return Ok(registry.strike_due(&due).await?);
        }
        if let Some(disabled) = &webhook.disabled {
            let reason = format!("the webhook is disabled: {}", disabled.reason);
            return self.park(delivery, version, now, reason).await;
        }
        let letter = self.letter(webhook, &delivery, now);
        let carrier = self.carrier.clone();
        self.taken.insert(due.key.clone());
        *self.busy.entry(due.webhook.clone()).or_default() += 1;
        self.flying.push(Box::pin(async move {
            let outcome = carrier.carry(letter).await;
            Attempted {
                due,
                delivery,
                version,
                begun: now,
                outcome,
            }
        }));
        Ok(())
    }

    fn letter(&self, webhook: &Webhook, delivery: &Delivery, now: Timestamp) -> Letter {
        let seconds = now.0 / 1_000;
        let signed = plan::signed(&delivery.id, seconds, &delivery.body);
        let secret = self.hooks.secret(webhook);
        Letter {
            url: webhook.url.clone(),
            id: delivery.id.clone(),
            seconds,
            signature: secret.map(|secret| secret.sign(&signed)),
            body: delivery.body.clone(),
        }
    }

    async fn park(
        &mut self,
        was: Delivery,
        version: u64,
        at: Timestamp,
        reason: String,
    ) -> Result<(), Failure> {
        let mut now = was.clone();
        now.state = DeliveryState::Parked { at, reason };
        self.change(&was, version, &now).await
    }

    async fn settle(&mut self, attempted: Attempted) -> Result<(), Failure> {
        let Attempted {
            due,
            delivery: was,
            version,
            begun,
            outcome,
        } = attempted;
        self.taken.remove(&due.key);
        if let Some(busy) = self.busy.get_mut(&due.webhook) {
            *busy = busy.saturating_sub(1);
        }
        let registry = &self.hooks.0.registry;
        if outcome.is_gone() {
            let reason = "its receiver answered 410: it wants nothing any more";
            registry.disable_webhook(&due.webhook, reason).await?;
        }
        let times = &self.hooks.0.options.times;
        let now = plan::after(was.clone(), &outcome, begun, registry.now(), times);
        if let DeliveryState::Parked { reason, .. } = &now.state {
            let (webhook, delivery) = (&now.webhook, &now.id);
            tracing::warn!(%webhook, %delivery, "a webhook's delivery is parked: {reason}");
        }
        self.change(&was, version, &now).await
    }

    /// Should somebody else have changed it, that stands.
    async fn change(
        &mut self,
        was: &Delivery,
        version: u64,
        now: &Delivery,
    ) -> Result<(), Failure> {
        let changed = self.hooks.0.registry.change_delivery(was, version, now);
        match changed.await {
            Ok(()) | Err(RegistryError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
