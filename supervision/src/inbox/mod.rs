//! The bounded queue in front of an actor, which outlives its incarnations.

mod letters;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::letters::DeadLetters;
pub(crate) use self::letters::{Buried, Queued, Verdict};
pub use self::letters::{DEAD_LETTERS_KEPT, DeadLetter};
use crate::handle::Handle;
use crate::incarnation::{Awake, Taken, Wake};
use crate::report::DeadLetterReason;
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

/// Makes the two ends of an inbox for `capacity` messages (at least one): the [`Handle`] for the rest of the program, and the
/// [`Inbox`] for the child that will read from it. Both outlive any number of incarnations.
#[must_use]
pub fn inbox<M: Send + 'static>(capacity: usize, at_restart: AtRestart) -> (Handle<M>, Inbox<M>) {
    ends(capacity, at_restart, None)
}

/// Like [`inbox`], but a message whose handling is cut off by a crash or a kill is handled again by the next incarnation, before
/// all others, until `crashes` incarnations (at least one) have crashed over it: then it is a dead letter. Each time is reported.
/// Whatever the next incarnation then does to the world is done once more: this is for messages that bear it.
#[must_use]
pub fn inbox_redelivering<M: Clone + Send + 'static>(
    capacity: usize,
    at_restart: AtRestart,
    crashes: u32,
) -> (Handle<M>, Inbox<M>) {
    let redelivery = Redelivery {
        crashes: crashes.max(1),
        copy: M::clone,
    };
    ends(capacity, at_restart, Some(redelivery))
}

fn ends<M: Send + 'static>(
    capacity: usize,
    at_restart: AtRestart,
    redelivery: Option<Redelivery<M>>,
) -> (Handle<M>, Inbox<M>) {
    let shared = Arc::new(Shared {
        capacity: capacity.max(1),
        at_restart,
        redelivery,
        state: Mutex::new(State {
            queue: VecDeque::new(),
            again: VecDeque::new(),
            in_flight: None,
            reader: Reader::Awaited,
            scheduled: false,
            is_crowded: false,
            tickets: 0,
            dead: None,
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
            .field("depth", &self.0.lock().depth())
            .finish_non_exhaustive()
    }
}

pub(crate) struct Shared<M> {
    pub(crate) capacity: usize,
    pub(crate) at_restart: AtRestart,
    redelivery: Option<Redelivery<M>>,
    state: Mutex<State<M>>,
    pub(crate) room: Notify,
    /// How many copies of the reading end there are.
    readers: AtomicUsize,
}

/// How often a message may be handled, and how it is copied for that.
struct Redelivery<M> {
    crashes: u32,
    copy: fn(&M) -> M,
}

pub(crate) struct State<M> {
    queue: VecDeque<Queued<M>>,
    /// What goes before the queue and takes no room in it: what comes back from a crash, and what a fault doubled.
    again: VecDeque<Queued<M>>,
    /// A copy of what is being handled, where that may be handled again.
    in_flight: Option<(Ticket, Queued<M>)>,
    reader: Reader<M>,
    /// Whether the reader has been woken and has not found the queue empty since.
    scheduled: bool,
    /// Whether it was ever found full, and somebody may wait for room.
    is_crowded: bool,
    /// How many have read.
    tickets: u64,
    /// None before the first.
    dead: Option<Box<DeadLetters<M>>>,
}

/// Which reader of its inbox an incarnation is: one that was given up and runs on reads nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

enum Reader<M> {
    /// No incarnation has read yet.
    Awaited,
    Up(Awake<M>, Ticket),
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

    /// Somebody found it full.
    pub(crate) fn crowd(&mut self) {
        self.is_crowded = true;
    }

    pub(crate) fn push(&mut self, queued: Queued<M>)
    where
        M: Send + 'static,
    {
        self.queue.push_back(queued);
        self.wake();
    }

    fn wake(&mut self)
    where
        M: Send + 'static,
    {
        if let Reader::Up(actor, _) = &self.reader
            && !self.scheduled
        {
            self.scheduled = true;
            let _ = actor.cast(Wake::Inbox);
        }
    }

    pub(crate) fn depth(&self) -> usize {
        self.again.len() + self.queue.len()
    }

    /// Gives up what waits. What comes back from a crash stays, unless nobody comes to handle it.
    fn bury(&mut self, outlook: Availability) -> usize {
        let (again, reason) = match outlook {
            Availability::Stopped => (self.again.len(), DeadLetterReason::ReceiverStopped),
            _ => (0, DeadLetterReason::NotCarried),
        };
        let given_up = self.again.drain(..again).chain(self.queue.drain(..));
        let mut count = 0;
        for queued in given_up {
            self.dead
                .get_or_insert_default()
                .bury(queued, reason, Buried::Ended(outlook));
            count += 1;
        }
        count
    }

    /// Takes back a message whose handling was cut off.
    fn take_back(&mut self, mut queued: Queued<M>, is_crash: bool, allowed: u32) -> Verdict {
        queued.crashes += u32::from(is_crash);
        let crashes = queued.crashes;
        if crashes < allowed {
            self.again.push_front(queued);
            return Verdict::Again { crashes, allowed };
        }
        let reason = DeadLetterReason::Crashes(crashes);
        self.dead
            .get_or_insert_default()
            .bury(queued, reason, Buried::Crashed);
        Verdict::Dead { crashes }
    }
}

impl<M> Shared<M> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn down(&self, outlook: Availability, applies: impl FnOnce(&Reader<M>) -> bool) -> Losses {
        let mut state = self.lock();
        // Once stopped, nothing has come in since.
        let is_stopped = matches!(state.reader, Reader::Down(Availability::Stopped));
        if is_stopped && outlook == Availability::Stopped || !applies(&state.reader) {
            return Losses::default();
        }
        state.reader = Reader::Down(outlook);
        state.scheduled = false;
        // Only one that was given up still has something in flight.
        let in_flight = state.in_flight.take().zip(self.redelivery.as_ref());
        let in_flight = in_flight
            .map(|((_, queued), redelivery)| state.take_back(queued, true, redelivery.crashes));
        let carried = outlook != Availability::Stopped && self.at_restart == AtRestart::Carry;
        let waiting = if carried { 0 } else { state.bury(outlook) };
        drop(state);
        self.room.notify_waiters();
        Losses { waiting, in_flight }
    }
}

/// What became of messages when their receiver went down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Losses {
    /// How many of those that waited were given up.
    pub(crate) waiting: usize,
    pub(crate) in_flight: Option<Verdict>,
}

/// Dead letters.
impl<M> Shared<M> {
    pub(crate) fn take_dead(&self) -> Vec<M> {
        let mut state = self.lock();
        let dead = state.dead.as_mut();
        dead.map(|dead| dead.take_all()).unwrap_or_default()
    }

    pub(crate) fn dead(&self) -> Vec<DeadLetter<M>>
    where
        M: Clone,
    {
        let state = self.lock();
        let dead = state.dead.iter().flat_map(|dead| dead.iter());
        dead.cloned().collect()
    }

    /// Sends a dead letter again, if there is room; otherwise it stays one.
    pub(crate) fn resend(&self, number: u64) -> Option<Admission>
    where
        M: Send + 'static,
    {
        let mut state = self.lock();
        let letter = state.dead.as_mut()?.take(number)?;
        let admission = state.admission(self);
        match admission {
            Admission::Open => state.push(Queued::new(letter.message, None)),
            _ => state.dead.get_or_insert_default().put_back(letter),
        }
        Some(admission)
    }
}

impl<M> Inbox<M> {
    /// A new incarnation reads from now on; it is woken at once if something waits.
    pub(crate) fn attach(&self, actor: Awake<M>) -> Result<Ticket, Taken>
    where
        M: Send + 'static,
    {
        let mut state = self.0.lock();
        if matches!(state.reader, Reader::Up(..)) {
            return Err(Taken);
        }
        state.tickets += 1;
        let ticket = Ticket(state.tickets);
        state.reader = Reader::Up(actor, ticket);
        state.scheduled = false;
        if state.depth() > 0 {
            state.wake();
        }
        Ok(ticket)
    }

    /// The next message, for the incarnation that was woken, and whether it is the last. If it is not, the incarnation comes for the
    /// others by itself; after the last it is woken again.
    pub(crate) fn take(&self, ticket: Ticket) -> Option<(M, bool)> {
        let mut state = self.0.lock();
        if !matches!(state.reader, Reader::Up(_, reader) if reader == ticket) {
            return None;
        }
        let queued = state.again.pop_front();
        let queued = queued.or_else(|| state.queue.pop_front());
        state.scheduled = state.depth() > 0;
        let (queued, is_last) = (queued?, !state.scheduled);
        let message = match &self.0.redelivery {
            // In this order: should the copying panic, the message is in flight, and not lost.
            Some(redelivery) => {
                let (_, queued) = state.in_flight.insert((ticket, queued));
                (redelivery.copy)(&queued.message)
            }
            None => queued.message,
        };
        let is_crowded = state.is_crowded;
        drop(state);
        if is_crowded {
            self.0.room.notify_one();
        }
        Some((message, is_last))
    }

    pub(crate) fn can_copy(&self) -> bool {
        self.0.redelivery.is_some()
    }

    /// Whether what this reader took is a message that a fault made.
    pub(crate) fn is_double(&self, ticket: Ticket) -> bool {
        let state = self.0.lock();
        let in_flight = state.in_flight.as_ref();
        in_flight.is_some_and(|(of, queued)| *of == ticket && queued.is_double)
    }

    /// The message comes once more, before all others.
    pub(crate) fn double(&self, message: &M)
    where
        M: Send + 'static,
    {
        if let Some(redelivery) = &self.0.redelivery {
            let copy = (redelivery.copy)(message);
            let mut state = self.0.lock();
            let mut double = Queued::new(copy, None);
            double.is_double = true;
            state.again.push_front(double);
            state.wake();
        }
    }

    /// The message that this reader took has been handled, or is to be forgotten.
    pub(crate) fn done(&self, ticket: Ticket) {
        if self.0.redelivery.is_some() {
            let done = self.0.lock().in_flight.take_if(|(of, _)| *of == ticket);
            drop(done);
        }
    }

    /// The handling of the message that this reader took was cut off. None if it was taken back before, from one that was given up.
    pub(crate) fn cut_off(&self, ticket: Ticket, is_crash: bool) -> Option<Verdict> {
        let Some(redelivery) = &self.0.redelivery else {
            return Some(Verdict::Lost);
        };
        let mut state = self.0.lock();
        let (_, queued) = state.in_flight.take_if(|(of, _)| *of == ticket)?;
        Some(state.take_back(queued, is_crash, redelivery.crashes))
    }

    /// A handle to the same inbox.
    #[must_use]
    pub fn handle(&self) -> Handle<M> {
        Handle(self.0.clone())
    }
}

/// What a supervisor does with the inbox of a child, whatever its messages are.
pub(crate) trait InboxControl: Send + Sync {
    /// The child is down.
    fn down(&self, outlook: Availability) -> Losses;
    /// The same for good, unless an incarnation reads from it.
    fn abandon(&self) -> Losses;
    /// Waiting messages and capacity.
    fn depth(&self) -> (usize, usize);
    /// The same for two controls of one inbox.
    fn identity(&self) -> usize;
}

impl<M: Send + 'static> InboxControl for Inbox<M> {
    fn down(&self, outlook: Availability) -> Losses {
        self.0.down(outlook, |_| true)
    }

    fn abandon(&self) -> Losses {
        self.0.down(Availability::Stopped, |reader| {
            !matches!(reader, Reader::Up(..))
        })
    }

    fn depth(&self) -> (usize, usize) {
        (self.0.lock().depth(), self.0.capacity)
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
