//! What is decided about webhooks. Pure: which events a webhook is sent, what it is sent, and what an attempt came to.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{Event, EventBody, Timestamp};
use crate::store::Announce;

use super::Webhook;
use super::deliveries::{Attempt, Delivery, DeliveryState};

/// How many attempts of a delivery are kept.
const ATTEMPTS: usize = 20;

/// The most characters of a reason that is sent along.
const DETAIL: usize = 500;

/// The waits before the first attempt, the second, and so on, each after the one before it has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryTimes(pub Vec<Duration>);

impl Default for RetryTimes {
    fn default() -> Self {
        let (second, minute, hour) = (1, 60, 60 * 60);
        let waits = [
            0,
            5 * second,
            5 * minute,
            30 * minute,
            2 * hour,
            5 * hour,
            10 * hour,
            14 * hour,
            20 * hour,
            24 * hour,
        ];
        Self(waits.into_iter().map(Duration::from_secs).collect())
    }
}

impl RetryTimes {
    /// The wait after so many attempts that failed: up to a tenth longer than is written, as `seed` has it. None after the last.
    #[must_use]
    pub fn wait(&self, failed: u32, seed: &str) -> Option<Duration> {
        let wait = *self.0.get(failed as usize)?;
        let hash = blake3::hash(format!("{seed}/{failed}").as_bytes());
        let part = u32::from(hash.as_bytes()[0]) + 1;
        Some(wait + wait * part / 2_560)
    }
}

/// Whether a webhook is to be sent an event of a project.
#[must_use]
pub fn wants(webhook: &Webhook, project: &str, event: &Event) -> bool {
    let of_project = webhook.project.as_deref().is_none_or(|own| own == project);
    let of_type = match webhook.events.is_empty() {
        true => !event.body.is_private(),
        false => webhook.events.contains(event.body.kind()),
    };
    of_project && of_type && webhook.disabled.is_none()
}

/// What has to go to the outbox for these webhooks, and for those types of events.
#[must_use]
pub fn announced(webhooks: &[Webhook], also: &[&str]) -> Announce {
    let live = || webhooks.iter().filter(|it| it.disabled.is_none());
    if live().any(|webhook| webhook.events.is_empty()) {
        return Announce::Everything;
    }
    let own = live().flat_map(|webhook| webhook.events.iter().cloned());
    let types: BTreeSet<String> = own.chain(also.iter().map(|&it| it.to_owned())).collect();
    match types.is_empty() {
        true => Announce::Nothing,
        false => Announce::Types(types),
    }
}

/// What is sent of an event: where it is to be found, and little more.
#[must_use]
pub fn body(project: &str, event: &Event) -> String {
    let mut data = json!({
        "task_id": event.task_id,
        "project": project,
        "event": event.id,
    });
    let about = match &event.body {
        EventBody::Alert { about, .. } => *about,
        _ => None,
    };
    if let Some(run) = event.run_id.or(about) {
        data["run_id"] = json!(run);
    }
    if let Some(agent) = &event.agent {
        data["agent"] = json!(agent);
    }
    if let Some((name, text)) = detail(&event.body) {
        data[name] = Value::String(text.chars().take(DETAIL).collect());
    }
    if let EventBody::Alert { kind, .. } = &event.body {
        data["kind"] = json!(kind);
    }
    let (kind, at) = (event.body.kind(), event.at);
    json!({ "type": kind, "timestamp": at, "data": data }).to_string()
}

/// The one text of an event that whoever hears of it needs to judge it.
fn detail(body: &EventBody) -> Option<(&'static str, &str)> {
    match body {
        EventBody::TaskFailed { error } | EventBody::RunFailed { error, .. } => {
            Some(("error", error))
        }
        EventBody::TaskCancelled { reason }
        | EventBody::RunCancelled { reason, .. }
        | EventBody::RunQuarantined { reason } => Some(("reason", reason)),
        EventBody::Alert { note, .. } => Some(("note", note)),
        _ => None,
    }
}

/// What is signed: the delivery's id, the second at which it is sent, and what is sent.
#[must_use]
pub fn signed(id: &str, seconds: u64, body: &str) -> String {
    format!("{id}.{seconds}.{body}")
}

/// What an attempt to deliver came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered with this status.
    Answered(u16),
    /// It did not answer.
    Failed(String),
}

impl Outcome {
    /// Whether the receiver has it.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }

    /// Whether the receiver wants nothing any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        *self == Self::Answered(410)
    }

    fn error(&self) -> Option<String> {
        match self {
            Self::Answered(200..=299) => None,
            Self::Answered(status @ 300..=399) => Some(format!(
                "it answered {status}, and redirects are not followed: put the right address into the webhook"
            )),
            Self::Answered(status) => Some(format!("it answered {status}")),
            Self::Failed(error) => Some(error.clone()),
        }
    }
}

/// A delivery after an attempt that began at `begun` and ended now.
#[must_use]
pub fn after(
    mut delivery: Delivery,
    outcome: &Outcome,
    begun: Timestamp,
    now: Timestamp,
    times: &RetryTimes,
) -> Delivery {
    let took = now.since(begun).as_millis();
    let error = outcome.error();
    delivery.attempts.push(Attempt {
        at: begun,
        status: match outcome {
            Outcome::Answered(status) => Some(*status),
            Outcome::Failed(_) => None,
        },
        error: error.clone(),
        took_ms: u64::try_from(took).unwrap_or(u64::MAX),
    });
    let surplus = delivery.attempts.len().saturating_sub(ATTEMPTS);
    delivery.attempts.drain(..surplus);
    let Some(error) = error else {
        delivery.state = DeliveryState::Delivered { at: now };
        return delivery;
    };
    delivery.failed = delivery.failed.saturating_add(1);
    let wait = times.wait(delivery.failed, &delivery.id);
    delivery.state = match wait.filter(|_| !outcome.is_gone()) {
        Some(wait) => DeliveryState::Pending {
            due: later(now, wait),
        },
        None => DeliveryState::Parked {
            at: now,
            reason: error,
        },
    };
    delivery
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Timestamp(now.0.saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_end() {
        let times = RetryTimes::default();
        let waits: Vec<_> = (0..11).map(|failed| times.wait(failed, "msg")).collect();
        assert_eq!(waits[0], Some(Duration::ZERO));
        assert_eq!(waits[10], None);
        let waits: Vec<_> = waits.into_iter().flatten().collect();
        assert!(waits.is_sorted(), "{waits:?}");
        for (wait, written) in waits.iter().zip(&times.0).skip(1) {
            assert!(
                wait > written && *wait <= *written + *written / 10,
                "{wait:?}"
            );
        }
        assert_ne!(times.wait(3, "one"), times.wait(3, "two"));
    }
}
