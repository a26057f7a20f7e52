//! Lists: so many at a time, and where the next ones begin.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// How many are given when nothing is said.
const USUAL: usize = 50;

/// How many are given at most.
pub(super) const MOST: usize = 500;

/// A part of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// These.
    pub(super) data: Vec<T>,
    /// Where the next ones begin; none at the end.
    pub(super) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// What was found when one more was asked for than is given.
    pub(super) fn of(mut found: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| is_more).map(cursor);
        Self {
            data: found,
            next_cursor,
        }
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    /// How many, from 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

impl Paging {
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }
}

/// How many of a list are given.
pub(super) fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        other => Err(Problem::bad_parameter(
            "limit",
            format!("{other} is not from 1 to {MOST}"),
        )),
    }
}

/// The parameters of a URL; a wrong one is a problem that names it.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        let read = read.map_err(|error| {
            let text = error.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ");
            Problem::bad_parameter("query", detail.unwrap_or(&text))
        })?;
        Ok(Self(read.0))
    }
}
