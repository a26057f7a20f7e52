//! What went wrong, as RFC 9457 has it: a stable type to branch on, and words for whoever reads it.

use actors::journal::JournalError;
use actors::registry::RegistryError;
use actors::registry::access::Scope;
use actors::store::StoreError;
use actors::system::SystemError;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is: `urn:impresario:problem:…`. It never changes.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, and what to do.
    pub detail: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What the thing is, where it is not as it would have to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Which parts of the body are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A part of a body that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:impresario:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            retryable: status.is_server_error(),
            state: None,
            errors: Vec::new(),
        }
    }

    pub(super) fn missing(what: &str, name: &str) -> Self {
        let name: String = name.chars().take(100).collect();
        let detail = format!("there is no {what} `{name}`");
        Self::new(StatusCode::NOT_FOUND, "not-found", "not found", detail)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "send a key of this node: `Authorization: Bearer ik_…`; it may be unknown, revoked or expired";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "no good key",
            detail,
        )
    }

    pub(super) fn wrong_kind_of_key(connects: bool) -> Self {
        let detail = match connects {
            true => "executors connect with keys of their own, `ek_…`",
            false => "keys of executors, `ek_…`, are for connecting as one and nothing else",
        };
        Self::new(
            StatusCode::FORBIDDEN,
            "wrong-kind-of-key",
            "wrong kind of key",
            detail,
        )
    }

    pub(super) fn not_allowed(scope: Scope) -> Self {
        let detail = format!("this key lacks the scope `{scope}`");
        Self::new(
            StatusCode::FORBIDDEN,
            "insufficient-scope",
            "not allowed",
            detail,
        )
    }

    pub(super) fn of_a_project() -> Self {
        let detail =
            "this concerns the whole node, and the key is one of a project: use the node's own";
        Self::new(
            StatusCode::FORBIDDEN,
            "insufficient-scope",
            "not allowed",
            detail,
        )
    }

    /// A part of what was sent is wrong.
    pub(super) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "the body is not valid",
            detail.clone(),
        );
        problem.errors = vec![FieldError { pointer, detail }];
        problem
    }

    /// A parameter of the URL or a header is wrong.
    pub(super) fn bad_parameter(name: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-parameter",
            "a parameter is not valid",
            format!("{name}: {detail}"),
        )
    }

    /// It is not in a state in which this can be done.
    pub(super) fn wrong_state(state: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "wrong-state",
            "not in this state",
            detail,
        );
        problem.state = Some(state.to_owned());
        problem
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "not available now",
            detail,
        )
    }

    fn internal(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the node failed",
            detail,
        );
        problem.retryable = false;
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        match status {
            StatusCode::UNAUTHORIZED => {
                let value = HeaderValue::from_static("Bearer realm=\"impresario\"");
                headers.insert(WWW_AUTHENTICATE, value);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error.may_pass() {
            true => Self::unavailable(error.to_string()),
            false => Self::internal(error.to_string()),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let detail = error.to_string();
        match error {
            RegistryError::Missing { what, name } => Self::missing(what, &name),
            RegistryError::Exists { .. } => {
                Self::new(StatusCode::CONFLICT, "exists", "it exists already", detail)
            }
            RegistryError::Invalid { field, detail } => Self::invalid(format!("/{field}"), detail),
            RegistryError::InUse { .. } => {
                Self::new(StatusCode::CONFLICT, "in-use", "it is in use", detail)
            }
            RegistryError::Conflict(_) => {
                let mut problem = Self::new(StatusCode::CONFLICT, "conflict", "conflict", detail);
                problem.retryable = true;
                problem
            }
            RegistryError::Store(error) => error.into(),
        }
    }
}

impl From<SystemError> for Problem {
    fn from(error: SystemError) -> Self {
        let detail = error.to_string();
        match error {
            SystemError::NoSuchTask(task) => Self::missing("task", &task.to_string()),
            SystemError::NoSuchRun(run) => Self::missing("run", &run.to_string()),
            SystemError::NoSuchAgent(agent) => Self::missing("agent", agent.as_str()),
            SystemError::NoSuchEvent(_, event, _) => Self::missing("event", &event.to_string()),
            SystemError::Over(_) => Self::wrong_state("ended", detail),
            SystemError::Busy(_) => Self::wrong_state("busy", detail),
            SystemError::Journal(JournalError::Rejected(_)) => Self::wrong_state("changed", detail),
            SystemError::Definition(_)
            | SystemError::Topology(_)
            | SystemError::Fork(_)
            | SystemError::TooManyCauses { .. } => Self::invalid("", detail),
            SystemError::Store(error) => error.into(),
            SystemError::Journal(_) | SystemError::Silent | SystemError::Down(_) => {
                Self::unavailable(detail)
            }
            SystemError::Start(_) | SystemError::Faults(_) => Self::internal(detail),
        }
    }
}

pub(super) async fn no_such_route(uri: Uri) -> Problem {
    Problem::missing("route", uri.path())
}

pub(super) async fn no_such_method(uri: Uri) -> Problem {
    let detail = format!(
        "{} does not take this method: /openapi.json has those it takes",
        uri.path()
    );
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "method not allowed",
        detail,
    )
}

pub(super) fn after_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::internal("the handler of this request crashed; the node goes on").into_response()
}
