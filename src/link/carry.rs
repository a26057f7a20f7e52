//! Frames over a WebSocket, whichever end of it.

use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};

use super::Pace;
use super::close::{Close, code};

/// What comes from the other end.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A frame.
    Text(String),
    /// What nobody may send.
    Binary,
    /// A sign of life.
    Alive,
    /// The end.
    Goodbye(Close),
}

/// What goes there.
#[derive(Debug)]
pub(crate) enum Said {
    /// A frame.
    Text(String),
    /// Are you there?
    Ping,
    /// The end.
    Goodbye(Close),
}

/// A frame that is to be said.
#[derive(Debug)]
pub(crate) enum Written<B> {
    /// As a text.
    Text(String),
    /// It cannot be said; this is the answer to it.
    Answer(B),
    /// It cannot be said, and need not.
    Nothing,
}

/// How a connection came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// This end is to close it.
    Close(Close),
    /// The other end has closed it.
    Closed(Close),
    /// It broke.
    Lost(String),
    /// The other end has given no sign of life, or has not taken what it was sent, for so long.
    Silent(Duration),
    /// There is nothing more to say.
    Done,
}

/// What an error of a WebSocket means for the connection.
pub(crate) fn trouble(error: Error) -> Ending {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let words = format!("a frame of {size} bytes; {max_size} at most");
            Ending::Close(Close::new(code::TOO_LONG, words))
        }
        Error::Utf8(_) => Ending::Close(Close::new(code::NOT_TEXT, "a text that is not UTF-8")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => cut(),
        Error::Protocol(error) => Ending::Close(Close::new(code::BROKEN, error.to_string())),
        Error::ConnectionClosed | Error::AlreadyClosed => cut(),
        Error::Io(error) => Ending::Lost(error.to_string()),
        error => Ending::Lost(error.to_string()),
    }
}

fn cut() -> Ending {
    Ending::Lost("the connection was cut".to_owned())
}

/// The next thing that is heard, as long as the other end is alive.
async fn next(
    from: &mut (impl Stream<Item = Result<Heard, Ending>> + Unpin),
    pace: &Pace,
) -> Result<Heard, Ending> {
    match timeout(pace.dead_after, from.next()).await {
        Err(_) => Err(Ending::Silent(pace.dead_after)),
        Ok(None) => Err(cut()),
        Ok(Some(heard)) => heard,
    }
}

/// Hears frames, each as `read` reads it, until the end. While nobody takes them, no more are heard.
pub(crate) async fn hear<T>(
    from: &mut (impl Stream<Item = Result<Heard, Ending>> + Unpin),
    pace: &Pace,
    mut read: impl FnMut(&str) -> Result<T, Close>,
    to: &Sender<T>,
) -> Ending {
    loop {
        let text = match next(from, pace).await {
            Err(ending) => return ending,
            Ok(Heard::Alive) => continue,
            Ok(Heard::Goodbye(close)) => return Ending::Closed(close),
            Ok(Heard::Binary) => {
                let words = "a binary frame: frames are JSON texts";
                return Ending::Close(Close::new(code::BINARY, words));
            }
            Ok(Heard::Text(text)) => text,
        };
        match read(&text) {
            Err(close) => return Ending::Close(close),
            // Who does not listen any more will say so at the other half of the connection.
            Ok(frame) => drop(to.send(frame).await),
        }
    }
}

/// Says frames, each as `write` writes it, until there are no more; asks in between whether the other end is there. Answers to what cannot
/// be said go `back`.
pub(crate) async fn say<T, B>(
    to: &mut (impl Sink<Said, Error = Ending> + Unpin),
    pace: &Pace,
    frames: &mut Receiver<T>,
    mut write: impl FnMut(T) -> Written<B>,
    back: &Sender<B>,
) -> Ending {
    let mut pings = interval_at(Instant::now() + pace.ping_every, pace.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let frame = tokio::select! {
            _ = pings.tick() => None,
            frame = frames.recv() => match frame {
                Some(frame) => Some(write(frame)),
                None => return Ending::Done,
            },
        };
        let said = match frame {
            None => Said::Ping,
            Some(Written::Text(text)) => Said::Text(text),
            Some(Written::Answer(answer)) => {
                let _ = back.send(answer).await;
                continue;
            }
            Some(Written::Nothing) => continue,
        };
        match timeout(pace.dead_after, to.send(said)).await {
            Err(_) => return Ending::Silent(pace.dead_after),
            Ok(Err(ending)) => return ending,
            Ok(Ok(())) => {}
        }
    }
}

/// Says goodbye, if that is for this end to do, and hears the other's.
pub(crate) async fn part(
    to: &mut (impl Sink<Said, Error = Ending> + Unpin),
    from: &mut (impl Stream<Item = Result<Heard, Ending>> + Unpin),
    pace: &Pace,
    ending: &Ending,
) {
    let parting = async {
        match ending {
            // The rest of it would be read wholly if anything was read.
            Ending::Close(close) if close.code == code::TOO_LONG => {
                let _ = to.send(Said::Goodbye(close.clone())).await;
            }
            Ending::Close(close) => {
                if to.send(Said::Goodbye(close.clone())).await.is_ok() {
                    while let Some(Ok(_)) = from.next().await {}
                }
            }
            Ending::Closed(_) => drop(to.flush().await),
            Ending::Lost(_) | Ending::Silent(_) | Ending::Done => {}
        }
    };
    let _ = timeout(pace.goodbye, parting).await;
}
