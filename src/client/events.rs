//! A task's events as they happen, over lines that break and nodes that are started again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actors::model::event::Seq;
use actors::model::{AgentName, Event, EventBody, RunId, TaskId};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::ask::{Ask, cause, shown};
use super::{Client, Error, Options};
use crate::sse::SseDecoder;

/// How long a task that has ended is asked about once more, which tells whether it was opened again.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// Something about a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// Something happened, and is in the journal.
    Event(Box<Event>),
    /// A piece of a reply that is being written. It is not stored: the whole reply comes as an event.
    Delta {
        /// The run whose model speaks.
        run: RunId,
        /// Its agent.
        agent: AgentName,
        /// What was added.
        text: String,
    },
    /// An event that this version does not know.
    Unknown(Value),
    /// The node is away, for this reason, and is asked again and again.
    Away(String),
    /// The node is there again.
    Back,
}

impl From<Value> for Update {
    fn from(value: Value) -> Self {
        #[derive(Deserialize)]
        struct Delta {
            run_id: RunId,
            agent: AgentName,
            text: String,
        }
        if value["type"] == "delta"
            && let Ok(delta) = Delta::deserialize(&value)
        {
            let Delta {
                run_id: run,
                agent,
                text,
            } = delta;
            return Self::Delta { run, agent, text };
        }
        match Event::deserialize(&value) {
            Ok(event) => Self::Event(Box::new(event)),
            Err(_) => Self::Unknown(value),
        }
    }
}

impl Update {
    fn number(&self) -> Option<Seq> {
        match self {
            Self::Event(event) => Some(event.id),
            Self::Unknown(value) => value["id"].as_u64(),
            Self::Delta { .. } | Self::Away(_) | Self::Back => None,
        }
    }

    fn ends(&self) -> bool {
        let Self::Event(event) = self else {
            return false;
        };
        use EventBody as B;
        matches!(
            event.body,
            B::TaskCompleted { .. } | B::TaskFailed { .. } | B::TaskCancelled { .. }
        )
    }
}

/// A task's events: those there are, then those that come, until the task has ended. When the line breaks or the node is started again,
/// it goes on with the event after the last one it gave, for as long as [`Options::outage`] allows.
///
/// A [`Stream`] too. Dropping the future of [`next`](Self::next) loses nothing.
pub struct Events {
    session: Option<Session>,
    items: BoxStream<'static, Result<Update, Error>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    pub(super) fn new(client: Client, task: TaskId) -> Self {
        Self {
            session: Some(Session::new(client, task)),
            items: stream::empty().boxed(),
        }
    }

    /// Only what comes after the event of this number.
    #[must_use]
    pub fn after(mut self, event: Seq) -> Self {
        self.set(|session| session.after = event);
        self
    }

    /// With the private messages of runs too.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.set(|session| session.private = true);
        self
    }

    /// With pieces of replies while models speak.
    #[must_use]
    pub fn deltas(mut self) -> Self {
        self.set(|session| session.deltas = true);
        self
    }

    /// With [`Update::Away`] and [`Update::Back`].
    #[must_use]
    pub fn outages(mut self) -> Self {
        self.set(|session| session.outages = true);
        self
    }

    fn set(&mut self, change: impl FnOnce(&mut Session)) {
        if let Some(session) = &mut self.session {
            change(session);
        }
    }

    /// The next one; waits for it. None when the task has ended.
    ///
    /// # Errors
    /// When the node refuses, or was away for too long. Nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<Update>, Error> {
        StreamExt::next(self).await.transpose()
    }
}

impl Stream for Events {
    type Item = Result<Update, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(session) = self.session.take() {
            let step = |mut session: Session| async move {
                let item = session.next().await.transpose()?;
                Some((item, session))
            };
            self.items = stream::unfold(session, step).boxed();
        }
        self.items.poll_next_unpin(context)
    }
}

/// What is open.
struct Line {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    decoder: SseDecoder,
}

struct Session {
    client: Client,
    task: TaskId,
    private: bool,
    deltas: bool,
    outages: bool,
    /// The number of the last event that was given.
    after: Seq,
    line: Option<Line>,
    ready: VecDeque<Update>,
    /// Tries since something last came.
    tries: u32,
    /// Since when the node is away.
    away: Option<Instant>,
    is_away_told: bool,
    /// Whether the last event ended the task.
    has_ended: bool,
    is_over: bool,
}

impl Session {
    fn new(client: Client, task: TaskId) -> Self {
        Self {
            client,
            task,
            private: false,
            deltas: false,
            outages: false,
            after: 0,
            line: None,
            ready: VecDeque::new(),
            tries: 0,
            away: None,
            is_away_told: false,
            has_ended: false,
            is_over: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Update>, Error> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                if self.takes(&update) {
                    return Ok(Some(update));
                }
                continue;
            }
            if self.is_over {
                return Ok(None);
            }
            let went = match self.line.take() {
                Some(line) => self.read(line).await,
                None => self.connect().await,
            };
            if let Err(error) = went {
                self.lost(error).await?;
            }
        }
    }

    /// Whether it is new. What was sent once is not given twice.
    fn takes(&mut self, update: &Update) -> bool {
        let Some(number) = update.number() else {
            return true;
        };
        if number <= self.after {
            return false;
        }
        (self.after, self.has_ended) = (number, update.ends());
        true
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let options = self.options();
        let ask = Ask::get(["tasks", &self.task.to_string(), "events"])
            .with("private", self.private.then_some(true))
            .with("deltas", self.deltas.then_some(true));
        let request = ask
            .request(self.client.inner())
            .header(ACCEPT, "text/event-stream")
            .header("last-event-id", self.after);
        let late = |_| {
            let wait = shown(options.timeout);
            self.client
                .unreachable(format!("no answer came within {wait}"))
        };
        let response = timeout(options.timeout, request.send())
            .await
            .map_err(late)?;
        let response = response.map_err(|error| self.client.unreachable(cause(&error)))?;
        let kind = response.headers().get(CONTENT_TYPE);
        let is_stream = kind.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
        match response.status() {
            StatusCode::NO_CONTENT => self.is_over = true,
            StatusCode::OK if is_stream => {
                self.line = Some(Line {
                    bytes: response.bytes_stream().boxed(),
                    decoder: SseDecoder::new(options.largest),
                });
            }
            status if status.is_success() => {
                return Err(self
                    .client
                    .stranger("it gives no stream of events".to_owned()));
            }
            _ => return Err(self.client.refused(response).await),
        }
        Ok(())
    }

    /// Reads one piece; a line that ends well is asked for anew, for only the node knows whether that is the end.
    async fn read(&mut self, mut line: Line) -> Result<(), Error> {
        let silence = self.options().silence;
        let Ok(piece) = timeout(silence, line.bytes.next()).await else {
            let text = format!("nothing came for {}", shown(silence));
            return Err(self.client.unreachable(text));
        };
        let bytes = match piece {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Err(self.client.unreachable(cause(&error))),
            None if self.has_ended => return Ok(()),
            None => return Err(self.client.unreachable("the stream ended".to_owned())),
        };
        self.heard();
        let events = line.decoder.feed(&bytes);
        let most = self.options().largest;
        let too_large = |_| {
            self.client
                .stranger(format!("an event is larger than {most} bytes"))
        };
        for event in events.map_err(too_large)? {
            let value = serde_json::from_str::<Value>(&event.data);
            let unread = |error| {
                self.client
                    .stranger(format!("an event cannot be read: {error}"))
            };
            let value = value.map_err(unread)?;
            self.tries = 0;
            self.ready.push_back(value.into());
        }
        self.line = Some(line);
        Ok(())
    }

    fn heard(&mut self) {
        self.away = None;
        if std::mem::take(&mut self.is_away_told) {
            self.ready.push_back(Update::Back);
        }
    }

    /// Waits before the next try, unless there is to be none.
    async fn lost(&mut self, error: Error) -> Result<(), Error> {
        self.tries += 1;
        let chance = fastrand::f64();
        let wait = self.options().wait(&error, self.tries, chance);
        let began = *self.away.get_or_insert_with(Instant::now);
        let most = match self.has_ended {
            true => AFTERWARDS.min(self.options().outage),
            false => self.options().outage,
        };
        match wait {
            Some(wait) if began.elapsed() + wait <= most => {
                if self.outages && self.tries > 1 && !self.is_away_told {
                    // One line that breaks is mended before anybody would notice.
                    self.is_away_told = true;
                    self.ready.push_back(Update::Away(error.to_string()));
                }
                sleep(wait).await;
                Ok(())
            }
            // It had ended when it was last heard of.
            Some(_) if self.has_ended => {
                self.is_over = true;
                Ok(())
            }
            _ => {
                self.is_over = true;
                Err(error)
            }
        }
    }

    fn options(&self) -> &Options {
        &self.client.inner().options
    }
}
