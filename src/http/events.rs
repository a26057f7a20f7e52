//! A task's events as they happen: what is stored first, then what comes, numbered as in the journal.

use std::convert::Infallible;

use actors::feed::{Feed, FeedItem};
use actors::registry::access::Scope;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use utoipa::IntoParams;

use super::api::Api;
use super::auth::Caller;
use super::page::Params;
use super::problem::Problem;

/// What of a task is streamed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only events after this number; `Last-Event-ID` says the same.
    after: Option<u64>,
    /// Whether the private messages of runs are streamed too.
    #[serde(default)]
    private: bool,
    /// Whether pieces of replies are streamed while models speak. They have no number and are not given again.
    #[serde(default)]
    deltas: bool,
}

const LAST: HeaderName = HeaderName::from_static("last-event-id");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long a client waits before it connects again, in milliseconds.
const RETRY: std::time::Duration = std::time::Duration::from_secs(2);

/// Streams a task's events as server-sent events: what there is after `Last-Event-ID`, then what comes, until the task has ended. When
/// all of an ended task was delivered, `204` tells the client to stop.
#[utoipa::path(get, path = "/v1/tasks/{id}/events", tag = "tasks",
    params(("id" = String, Path), Which, ("Last-Event-ID" = Option<u64>, Header)), responses(
    (status = 200, description = "`id` is the event's number, `event` its type, `data` the event as JSON", content_type = "text/event-stream", body = String),
    (status = 204, description = "the task has ended and all of it was delivered"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn stream(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Params(which): Params<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs(Scope::TasksRead)?;
    let row = api.task(&caller, &id).await?;
    let after = after(&headers, which.after)?;
    if row.status.is_terminal() && after >= row.head {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let feed = api.system.watch(row.id, after).until_end();
    let heartbeat = KeepAlive::new().interval(api.limits.heartbeat).text("");
    let events = sent(feed, which).take_until(ended(api.clone(), caller));
    let events = events.chain(goodbye(api.clone()));
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        axum::http::HeaderValue::from_static("no-store"),
    );
    headers.insert(BUFFERING, axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

fn after(headers: &HeaderMap, given: Option<u64>) -> Result<u64, Problem> {
    let Some(header) = headers.get(LAST) else {
        return Ok(given.unwrap_or_default());
    };
    let number = header
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    number
        .ok_or_else(|| Problem::bad_parameter("Last-Event-ID", "it is not the number of an event"))
}

/// Completes when a stream must end: the node stops, or the key is no longer good.
async fn ended(api: Api, caller: Caller) {
    loop {
        tokio::select! {
            () = api.stop.cancelled() => return,
            () = tokio::time::sleep(api.limits.heartbeat) => {}
        }
        use actors::registry::access::Refused;
        if let Err(Refused::Unknown | Refused::Revoked | Refused::Expired) =
            api.registry.still(&caller).await
        {
            return;
        }
    }
}

/// What a stream ends with that ends because the node stops. It is a comment: nobody takes it for an event.
fn goodbye(api: Api) -> impl stream::Stream<Item = Result<Sent, Infallible>> + Send {
    let word = async move {
        let word = Sent::default().comment("the node is stopping: connect again");
        api.stop.is_cancelled().then_some(Ok(word))
    };
    stream::once(word).filter_map(std::future::ready)
}

fn sent(feed: Feed, which: Which) -> impl stream::Stream<Item = Result<Sent, Infallible>> + Send {
    let first = Sent::default().retry(RETRY).comment("");
    let rest = stream::unfold((feed, which), |(mut feed, which)| async move {
        loop {
            // A store that cannot be read ends the stream; the client comes back with the number of the last event it had.
            let item = feed.next().await.ok().flatten()?;
            if let Some(sent) = event(&item, &which) {
                return Some((Ok(sent), (feed, which)));
            }
        }
    });
    stream::once(async { Ok(first) }).chain(rest)
}

fn event(item: &FeedItem, which: &Which) -> Option<Sent> {
    match item {
        FeedItem::Event(event) if event.body.is_private() && !which.private => None,
        FeedItem::Event(event) => {
            let data = serde_json::to_string(event).ok()?;
            let sent = Sent::default().id(event.id.to_string());
            Some(sent.event(event.body.kind()).data(data))
        }
        FeedItem::Delta { run, agent, text } if which.deltas => {
            let data =
                serde_json::json!({ "type": "delta", "run_id": run, "agent": agent, "text": text });
            Some(Sent::default().event("delta").data(data.to_string()))
        }
        FeedItem::Delta { .. } => None,
    }
}
