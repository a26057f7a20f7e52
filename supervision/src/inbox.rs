//! The bounded queue in front of an actor, which outlives its incarnations.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::handle::Handle;
use crate::restart::Availability;

/// What becomes of waiting messages when the actor behind an inbox is restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AtRestart {
    /// They wait for the next incarnation, and more are accepted meanwhile, up to the capacity.
    #[default]
    Carry,
    /// They become dead letters, and senders are told that the actor is restarting.
    DeadLetter,
}

/// How many dead letters an inbox keeps for looking at; older ones are dropped.
pub const DEAD_LETTERS_KEPT: usize = 64;

/// Makes the two ends of an inbox for `capacity` messages (at least one): the [`Handle`] for the rest of the program, and the
/// [`Inbox`] for the child that will read from it. Both outlive any number of incarnations.
#[must_use]
pub fn inbox<M: Send + 'static>(capacity: usize, at_restart: AtRestart) -> (Handle<M>, Inbox<M>) {
    let shared = Arc::new(Shared {
        capacity: capacity.max(1),
        at_restart,
        state: Mutex::new(State {
            queue: VecDeque::new(),
            reader: Reader::Awaited,
            scheduled: false,
            tickets: 0,
            dead: VecDeque::new(),
        }),
        room: Notify::new(),
        readers: AtomicUsize::new(1),
    });
    (Handle(shared.clone()), Inbox(shared))
}

/// The reading end of an inbox. Given to [`Start::actor`](crate::Start::actor); at most one incarnation reads at a time. When all
/// copies are dropped, nobody can ever read again, and senders are told that the actor has stopped.
pub struct Inbox<M>(Arc<Shared<M>>);

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        self.0.readers.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<M> Drop for Inbox<M> {
    fn drop(&mut self) {
        if self.0.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.down(Availability::Stopped, |_| true);
        }
    }
}

impl<M> fmt::Debug for Inbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("depth", &self.0.lock().queue.len())
            .finish_non_exhaustive()
    }
}

pub(crate) struct Shared<M> {
    pub(crate) capacity: usize,
    pub(crate) at_restart: AtRestart,
    state: Mutex<State<M>>,
    pub(crate) room: Notify,
    /// How many copies of the reading end there are.
    readers: AtomicUsize,
}

/// A message that waits.
pub(crate) struct Queued<M> {
    pub(crate) message: M,
    /// Who is told if it becomes a dead letter.
    pub(crate) caller: Option<oneshot::Sender<Availability>>,
}

pub(crate) struct State<M> {
    pub(crate) queue: VecDeque<Queued<M>>,
    pub(crate) reader: Reader,
    /// Whether the reader has been woken and has not found the queue empty since.
    scheduled: bool,
    /// How many have read.
    tickets: u64,
    dead: VecDeque<M>,
}

/// Wakes the incarnation that reads.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

/// Which reader of its inbox an incarnation is: one that was given up and runs on reads nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

pub(crate) enum Reader {
    /// No incarnation has read yet.
    Awaited,
    Up(Waker, Ticket),
    Down(Availability),
}

/// Whether a message can go in.
pub(crate) enum Admission {
    Open,
    Full,
    Restarting,
    Stopped,
}

impl<M> State<M> {
    pub(crate) fn admission(&self, shared: &Shared<M>) -> Admission {
        match self.reader {
            Reader::Down(Availability::Stopped) => Admission::Stopped,
            Reader::Down(_) if shared.at_restart == AtRestart::DeadLetter => Admission::Restarting,
            _ if self.queue.len() >= shared.capacity => Admission::Full,
            _ => Admission::Open,
        }
    }

    pub(crate) fn push(&mut self, queued: Queued<M>) {
        self.queue.push_back(queued);
        self.wake();
    }

    fn wake(&mut self) {
        if let Reader::Up(wake, _) = &self.reader
            && !self.scheduled
        {
            self.scheduled = true;
            wake();
        }
    }

    fn bury(&mut self, outlook: Availability) -> usize {
        let count = self.queue.len();
        for Queued { message, caller } in self.queue.drain(..) {
            caller.map(|caller| caller.send(outlook));
            self.dead.push_back(message);
        }
        let excess = self.dead.len().saturating_sub(DEAD_LETTERS_KEPT);
        self.dead.drain(..excess);
        count
    }
}

impl<M> Shared<M> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_dead(&self) -> Vec<M> {
        self.lock().dead.drain(..).collect()
    }

    fn down(&self, outlook: Availability, applies: impl FnOnce(&Reader) -> bool) -> usize {
        let mut state = self.lock();
        if !applies(&state.reader) {
            return 0;
        }
        state.reader = Reader::Down(outlook);
        state.scheduled = false;
        let carried = outlook != Availability::Stopped && self.at_restart == AtRestart::Carry;
        let buried = if carried { 0 } else { state.bury(outlook) };
        drop(state);
        self.room.notify_waiters();
        buried
    }
}

impl<M> Inbox<M> {
    /// A new incarnation reads from now on; it is woken at once if something waits.
    pub(crate) fn attach(&self, wake: Waker) -> Result<Ticket, Taken> {
        let mut state = self.0.lock();
        if matches!(state.reader, Reader::Up(..)) {
            return Err(Taken);
        }
        state.tickets += 1;
        let ticket = Ticket(state.tickets);
        state.reader = Reader::Up(wake, ticket);
        state.scheduled = false;
        if !state.queue.is_empty() {
            state.wake();
        }
        Ok(ticket)
    }

    /// The next message, for the incarnation that was woken. It is woken again if more wait.
    pub(crate) fn take(&self, ticket: Ticket) -> Option<M> {
        let mut state = self.0.lock();
        if !matches!(state.reader, Reader::Up(_, reader) if reader == ticket) {
            return None;
        }
        state.scheduled = false;
        let Queued { message, .. } = state.queue.pop_front()?;
        if !state.queue.is_empty() {
            state.wake();
        }
        drop(state);
        self.0.room.notify_one();
        Some(message)
    }

    /// A handle to the same inbox.
    #[must_use]
    pub fn handle(&self) -> Handle<M> {
        Handle(self.0.clone())
    }
}

/// An inbox that already has a reader.
#[derive(Debug, thiserror::Error)]
#[error("another child reads from its inbox: give each child an inbox of its own")]
pub(crate) struct Taken;

/// What a supervisor does with the inbox of a child, whatever its messages are.
pub(crate) trait InboxControl: Send + Sync {
    /// The child is down; returns how many messages became dead letters.
    fn down(&self, outlook: Availability) -> usize;
    /// The same for good, unless an incarnation reads from it.
    fn abandon(&self) -> usize;
    /// Waiting messages and capacity.
    fn depth(&self) -> (usize, usize);
    /// The same for two controls of one inbox.
    fn identity(&self) -> usize;
}

impl<M: Send + 'static> InboxControl for Inbox<M> {
    fn down(&self, outlook: Availability) -> usize {
        self.0.down(outlook, |_| true)
    }

    fn abandon(&self) -> usize {
        self.0.down(Availability::Stopped, |reader| {
            !matches!(reader, Reader::Up(..))
        })
    }

    fn depth(&self) -> (usize, usize) {
        (self.0.lock().queue.len(), self.0.capacity)
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
