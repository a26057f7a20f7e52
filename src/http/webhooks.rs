//! Webhooks and their deliveries.

use std::collections::BTreeSet;

use actors::registry::access::Scope;
use actors::registry::webhooks::deliveries::{Attempt, Delivery, DeliveryState};
use actors::registry::webhooks::{NewWebhook, Webhook};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::EVENTS;
use crate::webhook::Webhooks;

use super::api::Api;
use super::auth::Caller;
use super::body::Body;
use super::page::{Page, Paging, Params};
use super::problem::Problem;

/// A webhook, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookView {
    /// Its id: `hook_…`.
    id: String,
    /// The project whose events it is sent; none for one of the node's file, which is sent those of all.
    project: Option<String>,
    /// Its name in the node's file, if it stands there.
    name: Option<String>,
    /// The address.
    url: String,
    /// The types of the events; empty for all that are not private to a run.
    events: BTreeSet<String>,
    /// What it is for.
    description: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Since when nothing is sent any more.
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// Why.
    disabled_because: Option<String>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        let (disabled_at, disabled_because) = webhook
            .disabled
            .map(|disabled| (disabled.at.to_string(), disabled.reason))
            .unzip();
        Self {
            id: webhook.id,
            project: webhook.project,
            name: webhook.name,
            url: webhook.url,
            events: webhook.events,
            description: webhook.description,
            created_at: webhook.created_at.to_string(),
            disabled_at,
            disabled_because,
        }
    }
}

/// A webhook that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// What its deliveries are signed with: `whsec_…`. It is not kept and not shown again.
    secret: String,
}

/// A webhook that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedWebhook {
    /// The address, `https://…` or `http://…`.
    url: String,
    /// The types of the events; all that are not private to a run when left out.
    #[serde(default)]
    events: BTreeSet<String>,
    /// Its project; that of the key when left out.
    project: Option<String>,
    /// What it is for.
    #[serde(default)]
    description: String,
}

/// Makes a webhook. Its secret is in this answer and nowhere else, so a repeated request is refused and not answered again.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", request_body = WantedWebhook, responses(
    (status = 201, body = MadeWebhook),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(wanted): Body<WantedWebhook>,
) -> Result<(StatusCode, Json<MadeWebhook>), Problem> {
    caller.needs(Scope::ConfigWrite)?;
    let project = caller.project(wanted.project.as_deref())?;
    let unknown = |event: &&String| !EVENTS.contains(&event.as_str());
    if let Some(event) = wanted.events.iter().find(unknown) {
        let detail = format!("there is no event `{event}`");
        return Err(Problem::invalid("/events", detail));
    }
    let new = NewWebhook {
        project,
        url: wanted.url,
        events: wanted.events,
        description: wanted.description,
    };
    let made = hooks(&api)?.create(new).await;
    let (webhook, secret) = made.map_err(|error| match error {
        actors::registry::RegistryError::Missing { .. } => {
            Problem::invalid("/project", error.to_string())
        }
        error => error.into(),
    })?;
    let made = MadeWebhook {
        webhook: webhook.into(),
        secret: secret.text(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

fn hooks(api: &Api) -> Result<&Webhooks, Problem> {
    let missing = || {
        let detail = "this node sends no webhooks: its deliverer was not started";
        Problem::wrong_state("off", detail)
    };
    api.webhooks.get().ok_or_else(missing)
}

/// The webhooks of the caller's project, or of the whole node.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", params(Paging), responses(
    (status = 200, body = Page<WebhookView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<WebhookView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = paging.limit()?;
    let after = paging.cursor.as_deref().unwrap_or_default();
    let project = caller.project.as_deref();
    let found = api.registry.webhooks(project, after, limit + 1).await?;
    let views = found.into_iter().map(WebhookView::from).collect();
    Ok(Json(Page::of(views, limit, |it: &WebhookView| {
        it.id.clone()
    })))
}

/// A webhook.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses(
    (status = 200, body = WebhookView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let webhook = api.registry.webhook_for(&caller, &id).await?;
    Ok(Json(webhook.into()))
}

/// Removes a webhook and its deliveries.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)), responses(
    (status = 204, description = "it is gone"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::ConfigWrite)?;
    api.registry.webhook_for(&caller, &id).await?;
    hooks(&api)?.remove(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryView {
    /// Its id, `msg_…`: the header `webhook-id` of each attempt.
    id: String,
    /// The type of the event.
    event_type: String,
    /// The task.
    task_id: String,
    /// The number of the event.
    event: u64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// `pending`, `delivered`, or `parked`: not tried again by itself.
    state: &'static str,
    /// When it is tried next.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// Why it is parked.
    reason: Option<String>,
    /// The newest attempts, oldest first.
    attempts: Vec<AttemptView>,
}

/// An attempt to deliver.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptView {
    /// When it began.
    #[schema(format = DateTime)]
    at: String,
    /// The status of the answer, if there was one.
    status: Option<u16>,
    /// Why it failed, if it did.
    error: Option<String>,
    /// How long it took.
    took_ms: u64,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: attempt.at.to_string(),
            status: attempt.status,
            error: attempt.error,
            took_ms: attempt.took_ms,
        }
    }
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let (state, next_attempt_at, reason) = match delivery.state {
            DeliveryState::Pending { due } => ("pending", Some(due.to_string()), None),
            DeliveryState::Delivered { .. } => ("delivered", None, None),
            DeliveryState::Parked { reason, .. } => ("parked", None, Some(reason)),
        };
        Self {
            id: delivery.id,
            event_type: delivery.event_type,
            task_id: delivery.task.to_string(),
            event: delivery.event,
            created_at: delivery.created_at.to_string(),
            state,
            next_attempt_at,
            reason,
            attempts: delivery.attempts.into_iter().map(Into::into).collect(),
        }
    }
}

/// What was sent to a webhook, is being sent, and could not be, in the order of the events.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks", params(("id" = String, Path), Paging), responses(
    (status = 200, body = Page<DeliveryView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn deliveries(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<DeliveryView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = paging.limit()?;
    let webhook = api.registry.webhook_for(&caller, &id).await?;
    let after = paging.cursor.as_deref().unwrap_or_default();
    let found = api.registry.deliveries(&webhook.id, after, limit + 1);
    let views = found.await?.into_iter().map(DeliveryView::from).collect();
    Ok(Json(Page::of(views, limit, |it: &DeliveryView| {
        it.id.clone()
    })))
}

/// Sends a delivery again, now, under the same id, whatever has become of it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{delivery}/redeliver", tag = "webhooks",
    params(("id" = String, Path), ("delivery" = String, Path)), responses(
    (status = 202, body = DeliveryView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn redeliver(
    State(api): State<Api>,
    caller: Caller,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    caller.needs(Scope::ConfigWrite)?;
    api.registry.webhook_for(&caller, &id).await?;
    let again = hooks(&api)?.redeliver(&caller, &id, &delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(again.into())))
}
