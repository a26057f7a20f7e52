//! Requests that carry an `Idempotency-Key`: sent again, they get the same answer and nothing happens a second time.

use actors::registry::requests::{Answered, Begun, MAX_KEY, Ticket};
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::api::Api;
use super::auth::Caller;
use super::body::read;
use super::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The headers of an answer that are given again with it.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];

/// The largest answer that is kept, in bytes.
const LARGEST: usize = 512 * 1024;

/// The id that whatever a request makes is to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewId(Option<Uuid>);

impl NewId {
    /// The request's own, or a new one.
    pub(super) fn or_new(self, api: &Api) -> Uuid {
        self.0.unwrap_or_else(|| api.registry.id())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NewId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts
            .extensions
            .get::<Self>()
            .copied()
            .unwrap_or(Self(None)))
    }
}

/// Whether carrying a request out a second time makes the same as the first did.
fn makes_the_same(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    path == "/v1/tasks" || matches!(last, "cancel" | "pause" | "resume" | "stop" | "fork")
}

/// Looks whether a request was sent before.
pub(super) async fn layer(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = match request.headers().get(KEY) {
        Some(key) if request.method() == Method::POST => given(key)?,
        _ => return Ok(next.run(request).await),
    };
    let caller = request.extensions().get::<Caller>().cloned();
    let caller = caller.ok_or_else(Problem::unauthorized)?;
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let bytes = read(Request::new(body), api.limits.body).await?;
    let fingerprint = fingerprint(&parts, &bytes);
    request = Request::from_parts(parts, Body::from(bytes));
    let begun = api
        .registry
        .begin_request(&caller.id, &key, &fingerprint, api.life)
        .await?;
    let ticket = match begun {
        Begun::New(ticket) => ticket,
        Begun::Again(ticket) if makes_the_same(&path) => ticket,
        Begun::Again(ticket) => {
            // Whoever looks and decides may send it under another key.
            drop(ticket);
            return Err(unknown());
        }
        Begun::Answered(answer) => return Ok(replay(answer)),
        Begun::Running => return Err(running()),
        Begun::Different => return Err(different()),
    };
    request.extensions_mut().insert(NewId(Some(ticket.id)));
    let response = next.run(request).await;
    keep(&api, &ticket, &path, response).await
}

/// Whether the answer to this shows a secret: that is kept nowhere.
fn shows_a_secret(path: &str) -> bool {
    matches!(path, "/v1/keys" | "/v1/webhooks")
}

fn given(header: &HeaderValue) -> Result<String, Problem> {
    let text = header.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let key = bare.unwrap_or(text);
    match key.len() {
        1..=MAX_KEY => Ok(key.to_owned()),
        _ => Err(Problem::bad_parameter(
            "Idempotency-Key",
            format!("give 1 to {MAX_KEY} printable characters"),
        )),
    }
}

fn fingerprint(parts: &Parts, body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(parts.uri.to_string().as_bytes()).update(&[0]);
    hasher.update(body);
    hasher.finalize().to_hex().to_string()
}

/// An answer is kept before it is given. One that says that the node could not do it is not kept: the request may be sent again.
async fn keep(
    api: &Api,
    ticket: &Ticket,
    path: &str,
    response: Response,
) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    if parts.status.is_server_error() {
        api.registry.forget_request(ticket).await?;
        return Ok(Response::from_parts(parts, body));
    }
    let bytes = axum::body::to_bytes(body, LARGEST).await;
    let bytes = bytes.map_err(|_| unknown())?;
    let header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    let answer = match shows_a_secret(path) && parts.status.is_success() {
        true => already_made(),
        false => Answered {
            status: parts.status.as_u16(),
            headers: KEPT.iter().filter_map(header).collect(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        },
    };
    let kept = api.registry.answer_request(ticket, api.life, answer);
    kept.await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(answer: Answered) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn running() -> Problem {
    let mut problem = Problem::new(
        StatusCode::CONFLICT,
        "request-running",
        "the request is being carried out",
        "the first request with this Idempotency-Key has not been answered yet: ask again a little later",
    );
    problem.retryable = true;
    problem
}

fn different() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "the Idempotency-Key belongs to another request",
        "a request with this Idempotency-Key and another URL or body was sent before: use a new key",
    )
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "outcome-unknown",
        "it is not known what the first request came to",
        "the node ended while it carried out the request with this Idempotency-Key: look whether it took effect, and send it again under another key if it did not",
    )
}

/// What a repeated request is answered whose first answer held a secret.
fn already_made() -> Answered {
    let problem = Problem::new(
        StatusCode::CONFLICT,
        "already-made",
        "it was made by the first request",
        "the first request with this Idempotency-Key was answered with a secret, which is kept nowhere: if you do not have it, revoke \
         what was made and make another",
    );
    Answered {
        status: problem.status,
        headers: vec![(
            CONTENT_TYPE.to_string(),
            super::problem::MEDIA_TYPE.to_owned(),
        )],
        body: serde_json::to_string(&problem).unwrap_or_default(),
    }
}
