//! The node's numbers.

use actors::registry::access::Scope;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::api::Api;
use super::auth::Caller;
use super::problem::Problem;

/// As Prometheus takes it from OpenMetrics.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The node's numbers, for Prometheus. It takes a key of the whole node with `tasks:read`.
#[utoipa::path(get, path = "/metrics", tag = "node", responses(
    (status = 200, description = "OpenMetrics", content_type = "application/openmetrics-text", body = String),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    caller.needs(Scope::TasksRead)?;
    if !caller.is_of_node() {
        return Err(Problem::of_a_project());
    }
    let look = api.system.pools().look();
    let trouble = api.system.trouble().borrow().is_some();
    let text = api.meter.text(&look, trouble);
    Ok(([(CONTENT_TYPE, TEXT)], text).into_response())
}
