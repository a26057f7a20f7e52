//! Who asks: a key for everything but the two questions whether the node is well.

use std::sync::Arc;

use actors::registry::access::{Key, KeyKind, Refused, Scope};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::api::Api;
use super::problem::Problem;

/// Where no key is needed.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Where executors connect, with keys of their own.
pub(super) const CONNECT: &str = "/v1/executors/connect";

/// Whose key a request carries.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<Key>);

impl std::ops::Deref for Caller {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.0
    }
}

impl Caller {
    /// It must be allowed to do this.
    pub(super) fn needs(&self, scope: Scope) -> Result<(), Problem> {
        match self.may(scope) {
            true => Ok(()),
            false => Err(Problem::not_allowed(scope)),
        }
    }

    /// It must be a key of the whole node that may do everything.
    pub(super) fn needs_node(&self) -> Result<(), Problem> {
        self.needs(Scope::Admin)?;
        match self.is_of_node() {
            true => Ok(()),
            false => Err(Problem::of_a_project()),
        }
    }

    /// The project it works in: its own, or the one that was named.
    pub(super) fn project(&self, named: Option<&str>) -> Result<String, Problem> {
        match (self.project.as_deref(), named) {
            (Some(own), Some(named)) if own != named => Err(Problem::missing("project", named)),
            (Some(own), _) => Ok(own.to_owned()),
            (None, named) => Ok(named.unwrap_or(crate::config::PROJECT).to_owned()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(Problem::unauthorized)
    }
}

/// Lets nobody through without a good key of the right kind.
pub(super) async fn layer(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if OPEN.contains(&request.uri().path()) {
        return Ok(next.run(request).await);
    }
    let header = request.headers().get(AUTHORIZATION);
    let text = header.and_then(|header| header.to_str().ok());
    let key = text.and_then(|text| {
        let (scheme, key) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(key.trim_start())
    });
    let key = key.ok_or_else(Problem::unauthorized)?;
    let key = match api.registry.authenticate(key).await {
        Ok(key) => key,
        Err(Refused::Registry(error)) => return Err(error.into()),
        Err(_) => return Err(Problem::unauthorized()),
    };
    let connects = request.uri().path() == CONNECT;
    if connects != (key.kind == KeyKind::Executor) {
        return Err(Problem::wrong_kind_of_key(connects));
    }
    request.extensions_mut().insert(Caller(Arc::new(key)));
    Ok(next.run(request).await)
}
