//! Whether the node is well, and what it can be asked.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::auth::Caller;
use super::problem::Problem;

/// How the node is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or what is wrong.
    status: &'static str,
    /// The program's version.
    version: &'static str,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The process is up and answers.
#[utoipa::path(get, path = "/healthz", tag = "node", security(()), responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        detail: None,
    })
}

/// The node can take work: its store can be written, and it is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "node", security(()), responses(
    (status = 200, body = Health),
    (status = 503, description = "it cannot take work now", body = Health),
))]
pub(super) async fn readyz(State(api): State<Api>) -> (StatusCode, Json<Health>) {
    let trouble = api.system.trouble();
    let detail = match api.stop.is_cancelled() {
        true => Some("the node is stopping".to_owned()),
        false => trouble.borrow().as_ref().map(ToString::to_string),
    };
    let (code, status) = match &detail {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let health = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        detail,
    };
    (code, Json(health))
}

/// The description of all routes, as OpenAPI.
#[utoipa::path(get, path = "/openapi.json", tag = "node", responses(
    (status = 200, description = "OpenAPI 3.1", body = serde_json::Value),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn openapi(_: Caller) -> Json<utoipa::openapi::OpenApi> {
    Json(super::openapi())
}
