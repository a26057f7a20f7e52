//! Projects and keys.

use std::collections::BTreeSet;

use actors::model::Timestamp;
use actors::registry::access::{Key, KeyKind, NewKey, Project, Scope};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api::Api;
use super::auth::Caller;
use super::body::Body;
use super::page::{Page, Paging, Params};
use super::problem::Problem;

/// A project.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProjectView {
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        Self {
            name: project.name,
            description: project.description,
            created_at: project.created_at.to_string(),
        }
    }
}

/// A project that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProject {
    /// Its name: letters, digits, `-`, `_`, `.`.
    name: String,
    /// What it is for.
    #[serde(default)]
    description: String,
}

/// Makes a project.
#[utoipa::path(post, path = "/v1/projects", tag = "access", request_body = NewProject, responses(
    (status = 201, body = ProjectView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create_project(
    State(api): State<Api>,
    caller: Caller,
    Body(new): Body<NewProject>,
) -> Result<(StatusCode, Json<ProjectView>), Problem> {
    caller.needs_node()?;
    let project = api.registry.create_project(&new.name, &new.description);
    Ok((StatusCode::CREATED, Json(project.await?.into())))
}

/// The projects that the key sees.
#[utoipa::path(get, path = "/v1/projects", tag = "access", params(Paging), responses(
    (status = 200, body = Page<ProjectView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn projects(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<ProjectView>>, Problem> {
    caller.needs(Scope::TasksRead)?;
    let limit = paging.limit()?;
    let found = match &caller.project {
        Some(own) => vec![api.registry.project(own).await?],
        None => {
            let after = paging.cursor.as_deref().unwrap_or_default();
            api.registry.projects(after, limit + 1).await?
        }
    };
    let views = found.into_iter().map(ProjectView::from).collect();
    Ok(Json(Page::of(views, limit, |project: &ProjectView| {
        project.name.clone()
    })))
}

/// Removes a project that has no tasks, and revokes its keys.
#[utoipa::path(delete, path = "/v1/projects/{name}", tag = "access", params(("name" = String, Path)), responses(
    (status = 204, description = "it is gone"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove_project(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.needs_node()?;
    api.registry.remove_project(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    /// Its id: `key_…`.
    id: String,
    /// Its project; none for a key of the whole node.
    project: Option<String>,
    /// Whose it is: `api` or `executor`.
    #[schema(value_type = String)]
    kind: KeyKind,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: BTreeSet<Scope>,
    /// What it is for.
    label: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was revoked.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

impl From<Key> for KeyView {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            project: key.project,
            kind: key.kind,
            scopes: key.scopes,
            label: key.label,
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        }
    }
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeKey {
    #[serde(flatten)]
    key: KeyView,
    /// The key itself. It is not kept and not shown again.
    secret: String,
}

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedKey {
    /// Its project; that of the caller's key when left out. A key of the whole node may make others of the whole node.
    project: Option<String>,
    /// Whose it is: `api`, which is usual, or `executor`.
    #[schema(value_type = Option<String>)]
    kind: Option<KeyKind>,
    /// What it may do; everything about tasks when left out.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<BTreeSet<Scope>>,
    /// What it is for.
    #[serde(default)]
    label: String,
    /// From when on it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Makes a key. Its text is in this answer and nowhere else, so a repeated request is refused and not answered again.
#[utoipa::path(post, path = "/v1/keys", tag = "access", request_body = WantedKey, responses(
    (status = 201, body = MadeKey),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create_key(
    State(api): State<Api>,
    caller: Caller,
    Body(wanted): Body<WantedKey>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    caller.needs(Scope::Admin)?;
    let project = match (&caller.project, wanted.project) {
        (None, project) => project,
        (Some(_), project) => Some(caller.project(project.as_deref())?),
    };
    let kind = wanted.kind.unwrap_or(KeyKind::Api);
    let usual = || match kind {
        KeyKind::Api => BTreeSet::from([Scope::TasksRead, Scope::TasksWrite]),
        KeyKind::Executor => BTreeSet::from([Scope::ExecutorsConnect]),
    };
    let new = NewKey {
        project,
        kind,
        scopes: wanted.scopes.unwrap_or_else(usual),
        label: wanted.label,
        expires_at: wanted.expires_at,
    };
    let made = api.registry.create_key(new).await;
    let (key, secret) = made.map_err(|error| match error {
        actors::registry::RegistryError::Missing { .. } => {
            Problem::invalid("/project", error.to_string())
        }
        error => error.into(),
    })?;
    let key = key.into();
    Ok((StatusCode::CREATED, Json(MadeKey { key, secret })))
}

/// The keys of the caller's project, or of the whole node; those that were revoked too.
#[utoipa::path(get, path = "/v1/keys", tag = "access", params(Paging), responses(
    (status = 200, body = Page<KeyView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn keys(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<KeyView>>, Problem> {
    caller.needs(Scope::Admin)?;
    let limit = paging.limit()?;
    let after = paging.cursor.as_deref().unwrap_or_default();
    let keys = api
        .registry
        .keys(caller.project.as_deref(), after, limit + 1);
    let views = keys.await?.into_iter().map(KeyView::from).collect();
    Ok(Json(Page::of(views, limit, |key: &KeyView| key.id.clone())))
}

/// Revokes a key. From the next request on it is refused; its streams and sockets end.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "access", params(("id" = String, Path)), responses(
    (status = 200, body = KeyView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn revoke_key(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<KeyView>, Problem> {
    caller.needs(Scope::Admin)?;
    Ok(Json(api.registry.revoke(&caller, &id).await?.into()))
}
