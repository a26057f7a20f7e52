//! The settings of the node.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::settings::{ChangeError, Patch, Reload, Standing};

use super::api::Api;
use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;

/// The settings, and how the file stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingsView {
    #[serde(flatten)]
    settings: Standing,
    /// What came of loading the file again the last time; null if it was loaded once.
    last_reload: Option<ReloadView>,
}

/// What came of loading the file again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReloadView {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Whether the file is in force; otherwise the one before still is.
    ok: bool,
    /// What is wrong with it: file, line, column, text, message and help of each.
    #[schema(value_type = Vec<serde_json::Value>)]
    problems: Vec<crate::config::Problem>,
    /// Why it could not be put in force although nothing is wrong with it.
    error: Option<String>,
    /// What of it takes effect only when the node is started again.
    notes: Vec<String>,
}

impl From<Reload> for ReloadView {
    fn from(reload: Reload) -> Self {
        Self {
            at: reload.at.to_string(),
            ok: reload.is_good(),
            problems: reload.problems,
            error: reload.error,
            notes: reload.notes,
        }
    }
}

/// The settings of the node, as they are in force.
#[utoipa::path(get, path = "/v1/config", tag = "node", responses(
    (status = 200, body = SettingsView, headers(("ETag" = String))),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    caller.needs_node()?;
    Ok(answer(&api, api.settings.standing()))
}

/// Changes settings: in force at once, and kept across restarts. `null` takes a change back, so that the file's value is in force.
#[utoipa::path(patch, path = "/v1/config", tag = "node",
    request_body(content = Patch, content_type = "application/merge-patch+json"),
    params(("If-Match" = Option<String>, Header, description = "the `ETag` of the settings as they were seen")), responses(
    (status = 200, body = SettingsView, headers(("ETag" = String))),
    (status = 412, description = "they were changed since", body = Problem, content_type = "application/problem+json"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn change(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Body(patch): Body<Patch>,
) -> Result<Response, Problem> {
    caller.needs_node()?;
    let changed = api.settings.change(&patch, |now| is_seen(&headers, now));
    match changed.await {
        Ok(settings) => Ok(answer(&api, settings)),
        Err(ChangeError::Changed) => Err(changed_since()),
        Err(ChangeError::Patch(error)) => Err(Problem::invalid(error.pointer, error.detail)),
        Err(ChangeError::Registry(error)) => Err(error.into()),
    }
}

fn answer(api: &Api, settings: Standing) -> Response {
    let tag = HeaderValue::from_str(&tag(&settings));
    let last_reload = api.settings.last_reload().map(ReloadView::from);
    let mut response = Json(SettingsView {
        settings,
        last_reload,
    })
    .into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn tag(settings: &Standing) -> String {
    let text = serde_json::to_vec(settings).unwrap_or_default();
    format!("\"{}\"", &blake3::hash(&text).to_hex()[..16])
}

fn is_seen(headers: &HeaderMap, now: &Standing) -> bool {
    let mut given = headers.get_all(IF_MATCH).into_iter().peekable();
    let tag = tag(now);
    let means = |value: &HeaderValue| {
        let tags = value.to_str().unwrap_or_default().split(',');
        tags.map(str::trim).any(|it| it == "*" || it == tag)
    };
    given.peek().is_none() || given.any(means)
}

fn changed_since() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "changed",
        "changed since it was read",
        "the settings are not as you have seen them: read them again, and decide anew",
    )
}
