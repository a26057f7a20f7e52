//! What is published: a task's events from any number on, without a gap and without a repeat, and what is live only.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;

use crate::model::event::Seq;
use crate::model::{AgentName, Event, RunId, TaskId};
use crate::store::{EventQuery, Store, StoreError};

/// Something that just happened.
#[derive(Debug, Clone)]
pub enum Live {
    /// It is durable.
    Event(Arc<Event>),
    /// A piece of a streaming reply. Not stored; the finished reply repeats it.
    Delta {
        /// The task.
        task: TaskId,
        /// The run.
        run: RunId,
        /// Who speaks.
        agent: AgentName,
        /// What is said.
        text: Arc<str>,
    },
    /// The journal was restarted: something may be durable that was not published.
    JournalRestarted,
}

/// Where everything live is published. A slow reader lags and reads from the store; nobody waits for it.
#[derive(Debug, Clone)]
pub struct Bus(broadcast::Sender<Live>);

/// How many live messages are kept for slow readers.
const BUS_CAPACITY: usize = 4096;

/// How many events a feed reads from the store at a time.
const PAGE: usize = 256;

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::channel(BUS_CAPACITY).0)
    }
}

impl Bus {
    /// Publishes to whoever listens.
    pub fn publish(&self, live: Live) {
        let _ = self.0.send(live);
    }

    /// Listens from now on. A listener that lags is told so by its receiver.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Live> {
        self.0.subscribe()
    }
}

/// What a [`Feed`] gives.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// The next event of the task.
    Event(Arc<Event>),
    /// A piece of a streaming reply.
    Delta {
        /// The run.
        run: RunId,
        /// Who speaks.
        agent: AgentName,
        /// What is said.
        text: Arc<str>,
    },
}

/// One reader's way through a task's events: first what is stored, then what comes, and the store again wherever something was
/// missed. The events' own numbers show what was.
pub struct Feed {
    task: TaskId,
    last: Seq,
    store: Arc<dyn Store>,
    live: broadcast::Receiver<Live>,
    page: VecDeque<Event>,
    behind: bool,
    stops: bool,
    over: bool,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("task", &self.task)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// A feed of `task` from after the event `after`.
    #[must_use]
    pub fn new(task: TaskId, after: Seq, store: Arc<dyn Store>, bus: &Bus) -> Self {
        Self {
            task,
            last: after,
            store,
            live: bus.listen(),
            page: VecDeque::new(),
            behind: true,
            stops: false,
            over: false,
        }
    }

    /// The same feed up to the task's end: after the event that ends it nothing comes.
    #[must_use]
    pub fn until_end(mut self) -> Self {
        self.stops = true;
        self
    }

    /// The next item; waits for it. `None` when nothing will ever come any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<FeedItem>, StoreError> {
        while !(self.stops && self.over) {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(self.give(Arc::new(event))));
            }
            if self.behind {
                self.read_page().await?;
                continue;
            }
            match self.live.recv().await {
                Ok(live) => {
                    if let Some(item) = self.take(live) {
                        return Ok(Some(item));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return Ok(None),
            }
        }
        Ok(None)
    }

    fn give(&mut self, event: Arc<Event>) -> FeedItem {
        self.last = event.id;
        self.over |= event.body.is_task_end();
        FeedItem::Event(event)
    }

    async fn read_page(&mut self) -> Result<(), StoreError> {
        let query = EventQuery {
            task: self.task,
            after: self.last,
            limit: PAGE,
        };
        self.page = self.store.events(query).await?.into();
        let least = if self.stops { 1 } else { PAGE };
        self.behind = self.page.len() >= least;
        if self.stops && self.page.is_empty() {
            let row = self.store.task(self.task).await?;
            self.over = row.is_some_and(|row| row.status.is_terminal() && row.head <= self.last);
        }
        Ok(())
    }

    fn take(&mut self, live: Live) -> Option<FeedItem> {
        match live {
            Live::Event(event) if event.task_id == self.task && event.id == self.last + 1 => {
                Some(self.give(event))
            }
            Live::Event(event) => {
                self.behind = event.task_id == self.task && event.id > self.last;
                None
            }
            Live::Delta {
                task,
                run,
                agent,
                text,
            } => (task == self.task).then_some(FeedItem::Delta { run, agent, text }),
            Live::JournalRestarted => {
                self.behind = true;
                None
            }
        }
    }
}
