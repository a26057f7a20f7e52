//! The bounded queue in front of an actor, which outlives its incarnations.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

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
            dead: VecDeque::new(),
        }),
        room: Notify::new(),
    });
    (Handle(shared.clone()), Inbox(shared))
}

/// The reading end of an inbox. Given to [`Start::actor`](crate::Start::actor); at most one incarnation reads at a time.
pub struct Inbox<M>(pub(crate) Arc<Shared<M>>);

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
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
}

pub(crate) struct State<M> {
    pub(crate) queue: VecDeque<M>,
    pub(crate) reader: Reader,
    /// Whether the reader has been woken and has not found the queue empty since.
    scheduled: bool,
    dead: VecDeque<M>,
}

/// Wakes the incarnation that reads.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

pub(crate) enum Reader {
    /// No incarnation has read yet.
    Awaited,
    Up(Waker),
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
            Reader::Down(Availability::Restarting)
                if shared.at_restart == AtRestart::DeadLetter =>
            {
                Admission::Restarting
            }
            _ if self.queue.len() >= shared.capacity => Admission::Full,
            _ => Admission::Open,
        }
    }

    pub(crate) fn push(&mut self, message: M) {
        self.queue.push_back(message);
        self.wake();
    }

    fn wake(&mut self) {
        if let Reader::Up(wake) = &self.reader
            && !self.scheduled
        {
            self.scheduled = true;
            wake();
        }
    }

    fn bury(&mut self) -> usize {
        let count = self.queue.len();
        self.dead.extend(self.queue.drain(..));
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
}

impl<M> Inbox<M> {
    /// A new incarnation reads from now on; it is woken at once if something waits.
    pub(crate) fn attach(&self, wake: Waker) {
        let mut state = self.0.lock();
        state.reader = Reader::Up(wake);
        state.scheduled = false;
        if !state.queue.is_empty() {
            state.wake();
        }
    }

    /// The next message, for the incarnation that was woken. It is woken again if more wait.
    pub(crate) fn take(&self) -> Option<M> {
        let mut state = self.0.lock();
        state.scheduled = false;
        let message = state.queue.pop_front()?;
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

/// What a supervisor does with the inbox of a child, whatever its messages are.
pub(crate) trait InboxControl: Send + Sync {
    /// The child is down; returns how many messages became dead letters.
    fn down(&self, availability: Availability) -> usize;
    /// Waiting messages and capacity.
    fn depth(&self) -> (usize, usize);
}

impl<M: Send + 'static> InboxControl for Inbox<M> {
    fn down(&self, availability: Availability) -> usize {
        let mut state = self.0.lock();
        state.reader = Reader::Down(availability);
        state.scheduled = false;
        let carried =
            availability == Availability::Restarting && self.0.at_restart == AtRestart::Carry;
        let buried = if carried { 0 } else { state.bury() };
        drop(state);
        self.0.room.notify_waiters();
        buried
    }

    fn depth(&self) -> (usize, usize) {
        (self.0.lock().queue.len(), self.0.capacity)
    }
}
