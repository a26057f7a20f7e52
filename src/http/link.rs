//! Executors that connect over a WebSocket. Whoever mounts the route has looked at the key already, and knows its project.

use std::time::Duration;

use actors::executor::{Attached, Link};
use actors::model::executor::FromExecutor;
use actors::system::System;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use crate::link::{
    Close, Ending, FRAME_BYTES, FRAMES, Heard, Pace, SUBPROTOCOL, Said, call_for, code, greeting,
    hear, part, said_by_executor, say, trouble,
};

/// What a connection of an executor may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkOptions {
    /// The longest frame, in bytes.
    pub frame_bytes: usize,
    /// How long an executor may take to say hello.
    pub hello_within: Duration,
    /// How it is known to be alive.
    pub pace: Pace,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            frame_bytes: FRAME_BYTES,
            hello_within: Duration::from_secs(10),
            pace: Pace::default(),
        }
    }
}

/// What has become of an executor's key while it was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It is not known any more.
    Key,
    /// It is not for this project any more.
    Project,
}

impl Revoked {
    fn close(self) -> Close {
        match self {
            Self::Key => Close::new(code::UNAUTHORIZED, "the executor's key was revoked"),
            Self::Project => {
                let words = "the executor's key is not for this project any more";
                Close::new(code::FORBIDDEN, words)
            }
        }
    }
}

/// An upgrade with the subprotocol and the limits that [`serve_executor`] needs. What is left is `on_upgrade`.
pub fn prepared(upgrade: WebSocketUpgrade, options: &LinkOptions) -> WebSocketUpgrade {
    upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(options.frame_bytes)
        .max_frame_size(options.frame_bytes)
}

/// Serves the connection of an executor of `project` until it ends, until its key is `revoked` or the node is to `stop`. Calls that were
/// in flight then are asked of the executor again when it is back.
pub async fn serve_executor(
    socket: WebSocket,
    system: System,
    project: String,
    options: LinkOptions,
    revoked: impl Future<Output = Revoked> + Send,
    stop: CancellationToken,
) {
    let is_known = socket.protocol().is_some_and(|it| it == SUBPROTOCOL);
    let (mut to, mut from) = halves(socket);
    let ending = tokio::select! {
        biased;
        () = stop.cancelled() => Ending::Close(stopping()),
        revoked = revoked => Ending::Close(revoked.close()),
        ending = serve(&mut to, &mut from, is_known, (&system, &project), &options) => ending,
    };
    tracing::info!(project, ?ending, "the connection of an executor has ended");
    part(&mut to, &mut from, &options.pace, &ending).await;
}

fn stopping() -> Close {
    Close::new(code::AWAY, "the node is stopping")
}

async fn serve(
    to: &mut (impl Sink<Said, Error = Ending> + Unpin),
    from: &mut (impl Stream<Item = Result<Heard, Ending>> + Unpin),
    is_known: bool,
    (system, project): (&System, &str),
    options: &LinkOptions,
) -> Ending {
    if !is_known {
        let words = format!("this node speaks {SUBPROTOCOL}, which the executor did not offer");
        return Ending::Close(Close::new(code::VERSION, words));
    }
    let hello = match timeout(options.hello_within, greeted(from)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(ending)) => return ending,
        Err(_) => {
            let words = format!("no hello within {:?}", options.hello_within);
            return Ending::Close(Close::new(code::POLICY, words));
        }
    };
    let (node_to, mut frames) = mpsc::channel(FRAMES);
    let (heard, node_from) = mpsc::channel(FRAMES);
    // There is room: it is the first.
    let _ = heard.try_send(hello);
    let link = Link {
        to: node_to,
        from: node_from,
    };
    let Ok(attached) = system.attach_executor(project, link).await else {
        return Ending::Close(stopping());
    };
    let most = options.frame_bytes;
    let ending = tokio::select! {
        ending = hear(from, &options.pace, said_by_executor, &heard) => ending,
        ending = say(to, &options.pace, &mut frames, |frame| call_for(frame, most), &heard) => ending,
    };
    match ending {
        Ending::Done => Ending::Close(let_go(attached)),
        ending => ending,
    }
}

/// The first frame.
async fn greeted(
    from: &mut (impl Stream<Item = Result<Heard, Ending>> + Unpin),
) -> Result<FromExecutor, Ending> {
    loop {
        match from.next().await {
            None => return Err(Ending::Lost("no hello was said".to_owned())),
            Some(Err(ending)) => return Err(ending),
            Some(Ok(Heard::Alive)) => {}
            Some(Ok(Heard::Goodbye(close))) => return Err(Ending::Closed(close)),
            Some(Ok(Heard::Binary)) => {
                let words = "the first frame is binary: frames are JSON texts";
                return Err(Ending::Close(Close::new(code::BINARY, words)));
            }
            Some(Ok(Heard::Text(text))) => return greeting(&text).map_err(Ending::Close),
        }
    }
}

/// Why the system let go of a connection.
fn let_go(mut attached: Attached) -> Close {
    match attached.is_replaced() {
        true => Close::new(
            code::REPLACED,
            "a newer connection of the same executor has taken the place of this one",
        ),
        false => Close::new(code::AGAIN, "the node let go of this connection"),
    }
}

// ---- axum's words

fn halves(
    socket: WebSocket,
) -> (
    impl Sink<Said, Error = Ending> + Unpin,
    impl Stream<Item = Result<Heard, Ending>> + Unpin,
) {
    let (to, from) = socket.split();
    let to = to
        .sink_map_err(broken)
        .with(|word| std::future::ready(Ok(said(word))));
    (to, from.map(|message| message.map(heard).map_err(broken)))
}

fn said(word: Said) -> Message {
    match word {
        Said::Text(text) => Message::Text(text.into()),
        Said::Ping => Message::Ping(Vec::new().into()),
        Said::Goodbye(Close { code, reason }) => Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })),
    }
}

fn heard(message: Message) -> Heard {
    match message {
        Message::Text(text) => Heard::Text(text.as_str().to_owned()),
        Message::Binary(_) => Heard::Binary,
        Message::Ping(_) | Message::Pong(_) => Heard::Alive,
        Message::Close(frame) => Heard::Goodbye(match frame {
            Some(frame) => Close::new(frame.code, frame.reason.as_str()),
            None => Close::new(1005, ""),
        }),
    }
}

fn broken(error: axum::Error) -> Ending {
    match error.into_inner().downcast::<tungstenite::Error>() {
        Ok(error) => trouble(*error),
        Err(error) => Ending::Lost(error.to_string()),
    }
}
