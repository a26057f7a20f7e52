//! The agents and teams that tasks can be given to.

use actors::registry::access::Scope;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{AgentConfig, TeamConfig};

use super::api::Api;
use super::auth::Caller;
use super::page::{Page, Paging, Params};
use super::problem::Problem;

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentView {
    /// Its name.
    name: String,
    /// Where it is declared: `file`.
    source: &'static str,
    /// Its settings, as the file's reference describes them.
    #[serde(flatten)]
    #[schema(value_type = serde_json::Value)]
    settings: AgentConfig,
}

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeamView {
    /// Its name.
    name: String,
    /// Its settings, as the file's reference describes them.
    #[serde(flatten)]
    #[schema(value_type = serde_json::Value)]
    settings: TeamConfig,
}

fn agent(name: &str, settings: &AgentConfig) -> AgentView {
    AgentView {
        name: name.to_owned(),
        source: "file",
        settings: settings.clone(),
    }
}

/// The agents, by name.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", params(Paging), responses(
    (status = 200, body = Page<AgentView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<AgentView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = paging.limit()?;
    let after = paging.cursor.unwrap_or_default();
    let config = api.config.load();
    let rest = config.agents.iter().filter(|(name, _)| **name > after);
    let views = rest.take(limit + 1).map(|(name, own)| agent(name, own));
    Ok(Json(Page::of(views.collect(), limit, |agent| {
        agent.name.clone()
    })))
}

/// An agent.
#[utoipa::path(get, path = "/v1/agents/{name}", tag = "agents", params(("name" = String, Path)), responses(
    (status = 200, body = AgentView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<AgentView>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let config = api.config.load();
    let found = config.agents.get(&name);
    let found = found.ok_or_else(|| Problem::missing("agent", &name))?;
    Ok(Json(agent(&name, found)))
}

/// The teams, by name.
#[utoipa::path(get, path = "/v1/teams", tag = "agents", params(Paging), responses(
    (status = 200, body = Page<TeamView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn teams(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<TeamView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = paging.limit()?;
    let after = paging.cursor.unwrap_or_default();
    let config = api.config.load();
    let rest = config.teams.iter().filter(|(name, _)| **name > after);
    let views = rest.take(limit + 1).map(|(name, own)| TeamView {
        name: name.clone(),
        settings: own.clone(),
    });
    Ok(Json(Page::of(views.collect(), limit, |team| {
        team.name.clone()
    })))
}
