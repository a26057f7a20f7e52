//! Live messages in both directions over one WebSocket: subscribe to tasks, and speak in them.
//!
//! A reader that is slow is waited for: its events stay in the store until it takes them, and one that takes nothing for as long as a
//! peer may be silent is closed. Nothing is queued for it but what is on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::feed::{Feed, FeedItem};
use actors::model::TaskId;
use actors::registry::access::{Refused, Scope};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::{self, AbortHandle, Abortable, BoxStream, SelectAll};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, agent};
use super::auth::Caller;
use super::problem::Problem;

/// The protocol that a client may name.
const PROTOCOL: &str = "impresario.v1";

/// The largest frame that is taken, in bytes.
const FRAME: usize = 256 * 1024;

/// How many tasks one socket follows at most.
const SUBSCRIPTIONS: usize = 256;

/// How often a silent peer is asked whether it is there.
const PING: Duration = Duration::from_secs(20);

/// After how long a peer that says and takes nothing is given up.
const DEAD: Duration = Duration::from_secs(45);

/// Why a socket is closed, beside the codes of the protocol itself.
mod code {
    /// The node stops.
    pub(super) const AWAY: u16 = 1001;
    /// Something else than text was sent.
    pub(super) const UNSUPPORTED: u16 = 1003;
    /// It takes too little too late.
    pub(super) const TRY_AGAIN: u16 = 1013;
    /// The key is no longer good.
    pub(super) const KEY: u16 = 4401;
}

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// Comes back with the answer.
    id: Option<Value>,
    /// Follow this task.
    subscribe: Option<String>,
    /// Only events after this number.
    #[serde(default)]
    after: u64,
    /// The private messages of runs too.
    #[serde(default)]
    private: bool,
    /// Pieces of replies while models speak too.
    #[serde(default)]
    deltas: bool,
    /// Follow this task no more.
    unsubscribe: Option<String>,
    /// Say something in a task.
    send: Option<Words>,
}

/// Something to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    task_id: String,
    content: String,
    to: Option<String>,
}

/// Opens a WebSocket. The client says `{"subscribe": "task_…", "after": 0}`, `{"unsubscribe": "task_…"}` and
/// `{"send": {"task_id": "task_…", "content": "…", "to": "agent"}, "id": 1}`; events come as in the stream of server-sent events.
#[utoipa::path(get, path = "/v1/ws", tag = "tasks", responses(
    (status = 101, description = "a WebSocket"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn open(
    State(api): State<Api>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    caller.needs(Scope::TasksRead)?;
    let upgrade = upgrade.map_err(|error| {
        Problem::new(
            axum::http::StatusCode::UPGRADE_REQUIRED,
            "upgrade-required",
            "this is a WebSocket",
            error.body_text(),
        )
    })?;
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(FRAME);
    let token = api.sockets.token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let _open = token;
        Session::new(api, caller).run(socket).await;
    }))
}

type Items = BoxStream<'static, (TaskId, Option<FeedItem>)>;

struct Session {
    api: Api,
    caller: Caller,
    followed: BTreeMap<TaskId, Followed>,
    items: SelectAll<Items>,
}

struct Followed {
    end: AbortHandle,
    private: bool,
    deltas: bool,
}

type Closing = (u16, &'static str);

impl Session {
    fn new(api: Api, caller: Caller) -> Self {
        Self {
            api,
            caller,
            followed: BTreeMap::new(),
            items: SelectAll::new(),
        }
    }

    async fn run(mut self, mut socket: WebSocket) {
        if let Err(Some((code, reason))) = self.talk(&mut socket).await {
            let reason = reason.into();
            let close = Message::Close(Some(CloseFrame { code, reason }));
            let _ = tokio::time::timeout(PING, socket.send(close)).await;
        }
    }

    /// Until one of the two has enough: why, where it is for us to say.
    async fn talk(&mut self, socket: &mut WebSocket) -> Result<(), Option<Closing>> {
        let (mut heard, mut beat) = (Instant::now(), tokio::time::interval(PING));
        let stop = self.api.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Some((code::AWAY, "the node is stopping"))),
                _ = beat.tick() => self.beat(socket, heard).await?,
                said = socket.recv() => {
                    heard = Instant::now();
                    self.hear(said, socket).await?;
                }
                Some((task, item)) = self.items.next() => self.give(task, item, socket).await?,
            }
        }
    }

    async fn beat(
        &mut self,
        socket: &mut WebSocket,
        heard: Instant,
    ) -> Result<(), Option<Closing>> {
        if heard.elapsed() > DEAD {
            return Err(Some((code::TRY_AGAIN, "nothing was heard for too long")));
        }
        let still = self.api.registry.still(&self.caller).await;
        if let Err(Refused::Unknown | Refused::Revoked | Refused::Expired) = still {
            return Err(Some((code::KEY, "the key is no longer good")));
        }
        put(socket, Message::Ping(Default::default())).await
    }

    async fn hear(
        &mut self,
        said: Option<Result<Message, axum::Error>>,
        socket: &mut WebSocket,
    ) -> Result<(), Option<Closing>> {
        let text = match said {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => {
                return Err(Some((code::UNSUPPORTED, "send JSON as text")));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            // It said goodbye, or is gone.
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        };
        let (id, done) = match super::body::parse::<Said>(text.as_bytes()) {
            Ok(mut said) => (said.id.take(), self.act(said).await),
            Err(problem) => (None, Err(problem)),
        };
        let mut answer = match done {
            Ok(answer) => answer,
            Err(problem) => json!({ "type": "problem", "problem": problem }),
        };
        if let (Some(id), Some(answer)) = (id, answer.as_object_mut()) {
            answer.insert("id".to_owned(), id);
        }
        put(socket, Message::Text(answer.to_string().into())).await
    }

    async fn act(&mut self, said: Said) -> Result<Value, Problem> {
        match (
            said.subscribe.as_deref(),
            said.unsubscribe.as_deref(),
            &said.send,
        ) {
            (Some(task), None, None) => self.subscribe(task, &said).await,
            (None, Some(task), None) => self.unsubscribe(task).await,
            (None, None, Some(words)) => self.say(words).await,
            _ => Err(Problem::invalid(
                "",
                "say one of `subscribe`, `unsubscribe` and `send`",
            )),
        }
    }

    async fn subscribe(&mut self, task: &str, said: &Said) -> Result<Value, Problem> {
        let row = self.api.task(&self.caller, task).await?;
        if self.followed.len() >= SUBSCRIPTIONS && !self.followed.contains_key(&row.id) {
            let detail = format!("one socket follows {SUBSCRIPTIONS} tasks at most: open another");
            return Err(Problem::invalid("/subscribe", detail));
        }
        let feed = self.api.system.watch(row.id, said.after).until_end();
        let (end, registration) = AbortHandle::new_pair();
        let items = Abortable::new(items(row.id, feed), registration);
        let followed = Followed {
            end,
            private: said.private,
            deltas: said.deltas,
        };
        if let Some(before) = self.followed.insert(row.id, followed) {
            before.end.abort();
        }
        self.items.push(items.boxed());
        Ok(json!({ "type": "subscribed", "task_id": row.id, "last_event": row.head }))
    }

    async fn unsubscribe(&mut self, task: &str) -> Result<Value, Problem> {
        let row = self.api.task(&self.caller, task).await?;
        if let Some(followed) = self.followed.remove(&row.id) {
            followed.end.abort();
        }
        Ok(json!({ "type": "unsubscribed", "task_id": row.id }))
    }

    async fn say(&mut self, words: &Words) -> Result<Value, Problem> {
        self.caller.needs(Scope::TasksWrite)?;
        let row = self.api.task(&self.caller, &words.task_id).await?;
        if words.content.trim().is_empty() {
            return Err(Problem::invalid("/send/content", "say something"));
        }
        let to = words.to.as_deref().map(agent);
        let event = self.api.system.say(row.id, &words.content, to).await?;
        Ok(json!({ "type": "sent", "task_id": row.id, "event": event }))
    }

    async fn give(
        &mut self,
        task: TaskId,
        item: Option<FeedItem>,
        socket: &mut WebSocket,
    ) -> Result<(), Option<Closing>> {
        let Some(followed) = self.followed.get(&task) else {
            return Ok(());
        };
        let frame = match item {
            None => {
                self.followed.remove(&task);
                json!({ "type": "ended", "task_id": task })
            }
            Some(FeedItem::Event(event)) if event.body.is_private() && !followed.private => {
                return Ok(());
            }
            Some(FeedItem::Event(event)) => serde_json::to_value(&*event).unwrap_or_default(),
            Some(FeedItem::Delta { run, agent, text }) if followed.deltas => {
                json!({ "type": "delta", "task_id": task, "run_id": run, "agent": agent, "text": text })
            }
            Some(FeedItem::Delta { .. }) => return Ok(()),
        };
        put(socket, Message::Text(frame.to_string().into())).await
    }
}

/// What a feed gives, and `None` once at its end.
fn items(
    task: TaskId,
    feed: Feed,
) -> impl stream::Stream<Item = (TaskId, Option<FeedItem>)> + Send {
    stream::unfold(Some(feed), move |feed| async move {
        let mut feed = feed?;
        match feed.next().await {
            Ok(Some(item)) => Some(((task, Some(item)), Some(feed))),
            Ok(None) | Err(_) => Some(((task, None), None)),
        }
    })
}

async fn put(socket: &mut WebSocket, message: Message) -> Result<(), Option<Closing>> {
    match tokio::time::timeout(DEAD, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some((code::TRY_AGAIN, "it takes nothing"))),
    }
}
