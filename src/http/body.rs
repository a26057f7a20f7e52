//! Bodies of requests, and every way in which they can be wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::api::Api;
use super::problem::Problem;

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let is_json = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
            let text = value.to_str().unwrap_or_default();
            let media = text.split(';').next().unwrap_or_default().trim();
            media.eq_ignore_ascii_case("application/json")
                || media.eq_ignore_ascii_case("application/merge-patch+json")
        });
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "unsupported media type",
                "send JSON, with `Content-Type: application/json`",
            ));
        }
        let bytes = read(request, api.limits.body).await?;
        parse(&bytes).map(Self)
    }
}

/// A body that may be left out.
#[derive(Debug)]
pub(super) struct MaybeBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = read(request, api.limits.body).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false => parse(&bytes).map(Self),
        }
    }
}

/// The whole body, if it is not too large and its sender does not stop in the middle of it.
pub(super) async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let body = request.into_body();
    let read = axum::body::to_bytes(body, limit).await;
    read.map_err(|error| {
        let is_too_large = std::error::Error::source(&error)
            .is_some_and(|source| source.to_string().contains("length limit"));
        match is_too_large {
            true => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is too large",
                format!("at most {limit} bytes are taken"),
            ),
            false => Problem::new(
                StatusCode::BAD_REQUEST,
                "incomplete",
                "the body is incomplete",
                "it ended before it was complete: send it again",
            ),
        }
    })
}

/// Reads JSON that must be an object.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        // A list would be taken for the fields of an object in their order.
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(|error| not_json(&error))?;
        return Err(Problem::invalid("", "a JSON object is expected"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader);
    let value = parsed.map_err(|error| wrong(&error))?;
    reader.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() {
        return not_json(inner);
    }
    Problem::invalid(pointer(error.path()), without_place(inner))
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "not-json",
        "the body is not JSON",
        error.to_string(),
    )
}

/// The pointer says where; what serde says of lines and columns is left out.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let escaped = |key: &str| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => escaped(key),
        Segment::Enum { variant } => escaped(variant),
        Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}
