//! What is known of one incarnation while it lasts, and what it has said about itself when it is gone.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Extra, Fate, StartFailure, Taken};
use crate::exit::Exit;

/// For as long as it is there, a supervisor's own end waits for the incarnation.
pub(crate) type Leash = mpsc::Sender<Infallible>;

/// What an incarnation, whoever watches over it and its supervisor have in common.
#[derive(Default)]
pub(crate) struct Slot<A>(Arc<Common<A>>);

impl<A> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Default)]
struct Common<A> {
    note: Mutex<Note>,
    /// What ends with it.
    attached: A,
    /// Whether it is to look up from its inbox: it is to stop, or was killed.
    is_in_a_hurry: AtomicBool,
    /// How many messages of its own it has not come to.
    own_waiting: AtomicUsize,
}

/// What an incarnation says about itself, read when nothing of it is left.
#[derive(Default)]
struct Note {
    up: bool,
    declined: bool,
    inbox_taken: bool,
    /// Whether its supervisor wants it to end.
    is_unwanted: bool,
    is_lost: bool,
    is_stopping: bool,
    leash: Option<Leash>,
    /// Once somebody has asked for it.
    stopping: Option<CancellationToken>,
    extra: Option<Extra>,
    start_failed: Option<StartFailure>,
    exit: Option<Exit>,
}

impl<A: Default> Slot<A> {
    pub(crate) fn leashed(leash: Leash) -> Self {
        let slot = Self::default();
        slot.note(|note| note.leash = Some(leash));
        slot
    }
}

impl<A> Slot<A> {
    fn note<R>(&self, write: impl FnOnce(&mut Note) -> R) -> R {
        write(&mut self.0.note.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn attached(&self) -> &A {
        &self.0.attached
    }

    pub(crate) fn unleash(&self) {
        let leash = self.note(|note| note.leash.take());
        drop(leash);
    }

    pub(crate) fn hurry(&self) {
        self.0.is_in_a_hurry.store(true, Ordering::Release);
    }

    /// Its supervisor has asked it to stop.
    pub(crate) fn stop(&self) {
        let stopping = self.note(|note| {
            (note.is_unwanted, note.is_stopping) = (true, true);
            note.stopping.clone()
        });
        self.hurry();
        stopping.inspect(CancellationToken::cancel);
    }

    pub(crate) fn stopping(&self) -> CancellationToken {
        let (token, is_stopping) = self.note(|note| {
            let token = note.stopping.get_or_insert_default();
            (token.clone(), note.is_stopping)
        });
        if is_stopping {
            token.cancel();
        }
        token
    }

    pub(crate) fn own_comes(&self) {
        self.0.own_waiting.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn own_is_there(&self) {
        self.0.own_waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether one more message from the inbox is enough for now.
    pub(crate) fn has_other_things_to_do(&self) -> bool {
        self.0.own_waiting.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_in_a_hurry(&self) -> bool {
        self.0.is_in_a_hurry.load(Ordering::Acquire)
    }

    pub(crate) fn start_failed(&self, failure: StartFailure) {
        self.note(|note| note.start_failed = Some(failure));
    }

    /// Its supervisor wants it to end, whatever it does until then.
    pub(crate) fn disown(&self) {
        self.note(|note| note.is_unwanted = true);
    }

    /// It has been given up.
    pub(crate) fn lose(&self) {
        self.note(|note| note.is_lost = true);
    }

    pub(crate) fn is_unwanted(&self) -> bool {
        self.note(|note| note.is_unwanted)
    }

    /// Has it read from its inbox, unless it was given up before it came to that.
    pub(crate) fn attach<T>(&self, read: impl FnOnce() -> Result<T, Taken>) -> Result<T, Taken> {
        self.note(|note| {
            let reads = if note.is_lost { Err(Taken) } else { read() };
            note.inbox_taken = reads.is_err();
            reads
        })
    }

    pub(crate) fn decline(&self) {
        self.note(|note| note.declined = true);
    }

    pub(crate) fn hand_over(&self, extra: Extra) {
        self.note(|note| note.extra = Some(extra));
    }

    pub(crate) fn up(&self) -> Option<Extra> {
        self.note(|note| {
            note.up = true;
            note.extra.take()
        })
    }

    pub(crate) fn exit(&self, exit: Exit) {
        self.note(|note| note.exit = Some(exit));
    }

    pub(crate) fn fate(&self) -> Fate {
        self.note(|note| match note.start_failed.take() {
            Some(failure) if !note.up => Fate::StartFailed(failure),
            _ if note.inbox_taken => Fate::InboxTaken,
            _ if note.declined && !note.up => Fate::Declined,
            _ => Fate::Exited(note.exit.take().unwrap_or(Exit::Killed)),
        })
    }
}
