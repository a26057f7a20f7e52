//! The one writer: takes what waits, one transaction, one sync, answers all, then publishes.
//!
//! Group commit as databases do it: while one batch is being written the next gathers, so a single writer waits for one sync and
//! many writers share one. A store that is full or busy is tried again, and nobody's append is lost meanwhile; see [`Trouble`].

mod recent;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use supervision::{Actor, AtRestart, Context, Failure, Handle, Inbox, Reply, Start, inbox};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::feed::{Bus, Live};
use crate::model::Event;
use crate::store::{Append, Appended, Rejected, Store, StoreError};

pub use recent::{Follower, Look, News, Recent};

/// Why an append was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// It was refused.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The store is beyond trying again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal crashed meanwhile: whether it was written is to be read from the store.
    #[error("the journal was restarted; whether this was written is to be read from the store")]
    Lost,
}

/// What keeps the journal from writing, if anything does. It goes on trying.
pub type Trouble = Option<StoreError>;

/// How many appends may wait.
const INBOX: usize = 1024;
/// How many appends one transaction takes.
const BATCH: usize = 256;
/// How long a store in trouble is left alone before the next try.
const RETRY: Duration = Duration::from_secs(1);

/// What the rest of the system holds of the journal.
#[derive(Clone)]
pub struct Journal {
    handle: Handle<JournalMessage>,
    trouble: watch::Receiver<Trouble>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    bus: Bus,
    recent: Recent,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// The journal over a store, and how its actor is started.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, bus: Bus) -> (Self, Start) {
        let (handle, reads) = inbox(INBOX, AtRestart::DeadLetter);
        let (says, trouble) = watch::channel(None);
        let recent = Recent::default();
        let start = start(reads, store.clone(), bus.clone(), recent.clone(), says);
        (
            Self {
                handle,
                trouble,
                store,
                clock,
                bus,
                recent,
            },
            start,
        )
    }

    /// Writes events together or not at all; returns them, numbered, when they are durable.
    ///
    /// # Errors
    /// See [`JournalError`]. It does not give up on a full disk; it waits.
    pub async fn append(&self, append: Append) -> Result<Vec<Event>, JournalError> {
        self.handle
            .ask(|reply| JournalMessage::Append(Box::new(append), reply))
            .await
            .unwrap_or(Err(JournalError::Lost))
    }

    /// The store behind it, for reading.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The time for new records.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Where what was written is published.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// What was written lately.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// What keeps it from writing, as it changes.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.clone()
    }
}

type AppendReply = Reply<Result<Vec<Event>, JournalError>>;

/// What the journal's actor is told.
enum JournalMessage {
    Append(Box<Append>, AppendReply),
    Written(Vec<Append>, Result<Appended, StoreError>),
    TryAgain,
}

struct JournalActor {
    store: Arc<dyn Store>,
    bus: Bus,
    recent: Recent,
    trouble: watch::Sender<Trouble>,
    waiting: VecDeque<(Append, AppendReply)>,
    writing: Vec<AppendReply>,
    is_busy: bool,
    /// How many of those that wait are written one by one.
    alone: usize,
}

fn start(
    reads: Inbox<JournalMessage>,
    store: Arc<dyn Store>,
    bus: Bus,
    recent: Recent,
    trouble: watch::Sender<Trouble>,
) -> Start {
    Start::actor(reads, move |_| {
        recent.forget();
        bus.publish(Live::JournalRestarted);
        let (store, bus, trouble) = (store.clone(), bus.clone(), trouble.clone());
        let recent = recent.clone();
        let (waiting, writing) = (VecDeque::new(), Vec::new());
        std::future::ready(Ok(JournalActor {
            store,
            bus,
            recent,
            trouble,
            waiting,
            writing,
            is_busy: false,
            alone: 0,
        }))
    })
}

impl Actor for JournalActor {
    type Message = JournalMessage;

    async fn handle(
        &mut self,
        message: JournalMessage,
        cx: &mut Context<JournalMessage>,
    ) -> Result<(), Failure> {
        match message {
            JournalMessage::Append(append, reply) => self.waiting.push_back((*append, reply)),
            JournalMessage::Written(batch, result) => self.written(batch, result, cx),
            JournalMessage::TryAgain => self.is_busy = false,
        }
        if !self.is_busy {
            self.write_next(cx);
        }
        Ok(())
    }
}

impl JournalActor {
    fn write_next(&mut self, cx: &Context<JournalMessage>) {
        if self.waiting.is_empty() {
            return;
        }
        let most = if self.alone > 0 { 1 } else { BATCH };
        self.alone = self.alone.saturating_sub(1);
        let next = self.waiting.drain(..self.waiting.len().min(most));
        let (batch, replies): (Vec<_>, Vec<_>) = next.unzip();
        (self.writing, self.is_busy) = (replies, true);
        let store = self.store.clone();
        cx.attach(async move {
            let result = store.append(batch.clone()).await;
            JournalMessage::Written(batch, result)
        });
    }

    fn written(
        &mut self,
        batch: Vec<Append>,
        result: Result<Appended, StoreError>,
        cx: &Context<JournalMessage>,
    ) {
        let replies = std::mem::take(&mut self.writing);
        match result {
            Ok(appended) => {
                self.trouble
                    .send_if_modified(|trouble| trouble.take().is_some());
                self.is_busy = false;
                replies
                    .into_iter()
                    .zip(appended)
                    .for_each(|(reply, result)| self.answer(reply, result));
            }
            Err(error) if error.may_pass() => {
                tracing::error!("the journal cannot write and tries again in {RETRY:?}: {error}");
                self.wait_again(batch, replies);
                self.trouble.send_replace(Some(error));
                let _ = cx.after(RETRY, JournalMessage::TryAgain);
            }
            // One append that meets damage must not take its batch-mates along: each is tried alone.
            Err(_) if batch.len() > 1 => {
                self.is_busy = false;
                self.alone = batch.len();
                self.wait_again(batch, replies);
            }
            Err(error) => {
                self.is_busy = false;
                replies
                    .into_iter()
                    .for_each(|reply| reply.send(Err(error.clone().into())));
            }
        }
    }

    fn wait_again(&mut self, batch: Vec<Append>, replies: Vec<AppendReply>) {
        for again in batch.into_iter().zip(replies).rev() {
            self.waiting.push_front(again);
        }
    }

    fn answer(&self, reply: AppendReply, result: Result<Vec<Event>, Rejected>) {
        if let Ok(events) = &result {
            for event in events {
                let event = Arc::new(event.clone());
                self.recent.note(&event);
                self.bus.publish(Live::Event(event));
            }
        }
        reply.send(result.map_err(JournalError::Rejected));
    }
}
