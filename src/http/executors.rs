//! Executors: who is connected, and where they connect.

use actors::model::executor::ConnectedExecutor;
use actors::registry::access::{Refused, Scope};
use axum::Json;
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::api::Api;
use super::auth::Caller;
use super::link::{Revoked, prepared, serve_executor};
use super::page::{Page, Params, limit};
use super::problem::Problem;

/// An executor that is connected.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExecutorView {
    /// The id of its connection: `exec_…`.
    id: String,
    /// The project that it works for.
    project: String,
    /// Its name.
    name: String,
    /// The names of its tools.
    tools: Vec<String>,
    /// The folder it works in.
    root: String,
    /// Since when it has been connected.
    #[schema(format = DateTime)]
    connected_at: String,
    /// How many calls it was sent that have not ended.
    calls_in_flight: usize,
}

impl From<ConnectedExecutor> for ExecutorView {
    fn from(executor: ConnectedExecutor) -> Self {
        Self {
            id: executor.id.to_string(),
            project: executor.project,
            name: executor.name,
            tools: executor.tools,
            root: executor.root,
            connected_at: executor.connected_at.to_string(),
            calls_in_flight: executor.calls_in_flight,
        }
    }
}

/// Which executors are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only those of this project.
    project: Option<String>,
    /// How many, from 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The executors that are connected now, by the ids of their connections.
#[utoipa::path(get, path = "/v1/executors", tag = "executors", params(Which), responses(
    (status = 200, body = Page<ExecutorView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Result<Json<Page<ExecutorView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = limit(which.limit)?;
    let project = match (&caller.project, which.project) {
        (None, named) => named,
        (Some(_), named) => Some(caller.project(named.as_deref())?),
    };
    let connected = api.system.executors(project.as_deref());
    let mut views: Vec<_> = connected.into_iter().map(ExecutorView::from).collect();
    views.sort_by(|one, other| one.id.cmp(&other.id));
    if let Some(cursor) = which.cursor {
        views.retain(|view| view.id > cursor);
    }
    Ok(Json(Page::of(views, limit, |view: &ExecutorView| {
        view.id.clone()
    })))
}

/// Where an executor connects, over a WebSocket, with a key of its own (`ek_…`). It works for the project of its key.
#[utoipa::path(get, path = "/v1/executors/connect", tag = "executors", responses(
    (status = 101, description = "the frames are described in docs/reference/executor-protocol.md"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn connect(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs(Scope::ExecutorsConnect)?;
    let project = caller.project(None)?;
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &api).await;
    let upgrade = upgrade.map_err(|error| Problem::bad_parameter("Upgrade", error.body_text()))?;
    let options = api.limits.link.clone();
    Ok(prepared(upgrade, &options).on_upgrade(move |socket| {
        let (system, stop) = (api.system.clone(), api.stop.clone());
        let revoked = revoked(api.clone(), caller);
        let served = serve_executor(socket, system, project, options, revoked, stop);
        api.sockets.track_future(served)
    }))
}

/// Completes when the key is no longer good.
async fn revoked(api: Api, caller: Caller) -> Revoked {
    loop {
        tokio::time::sleep(api.limits.heartbeat).await;
        if let Err(Refused::Unknown | Refused::Revoked | Refused::Expired) =
            api.registry.still(&caller).await
        {
            return Revoked::Key;
        }
    }
}
