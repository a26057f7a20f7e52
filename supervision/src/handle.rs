//! What the rest of the program holds of an actor.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::inbox::{Admission, Buried, DeadLetter, Queued, Shared};
use crate::restart::Availability;

/// The sending end of an actor's inbox. Stable: it means the actor, not one incarnation of it.
///
/// The message being handled when an actor crashes is lost and reported, unless the inbox is one that
/// [redelivers](crate::inbox_redelivering). What still waited follows the inbox's [`AtRestart`](crate::AtRestart).
pub struct Handle<M>(pub(crate) Arc<Shared<M>>);

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> PartialEq for Handle<M> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("depth", &self.depth())
            .field("capacity", &self.0.capacity)
            .finish()
    }
}

/// A message that was not sent, and why. The message comes back.
#[derive(Clone, PartialEq, Eq)]
pub enum SendError<M> {
    /// The inbox holds as many messages as it may.
    Full(M),
    /// The actor is being restarted, and its inbox does not carry messages over.
    Restarting(M),
    /// The actor has ended and is not coming back by itself.
    Stopped(M),
}

impl<M> SendError<M> {
    fn map<N>(self, change: impl FnOnce(M) -> N) -> SendError<N> {
        match self {
            Self::Full(message) => SendError::Full(change(message)),
            Self::Restarting(message) => SendError::Restarting(change(message)),
            Self::Stopped(message) => SendError::Stopped(change(message)),
        }
    }

    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Restarting(message) | Self::Stopped(message) => message,
        }
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the inbox is full",
            Self::Restarting(_) => "the actor is restarting",
            Self::Stopped(_) => "the actor has stopped",
        })
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<M> std::error::Error for SendError<M> {}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The actor is being restarted, and its inbox does not carry messages over.
    #[error("the actor is restarting")]
    Restarting,
    /// The actor has ended and is not coming back by itself.
    #[error("the actor has stopped")]
    Stopped,
    /// There was no answer in time; the question may still be answered to nobody.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The actor crashed over the question, or dropped it.
    #[error("the actor ended without an answer")]
    Lost,
}

/// Where an answer goes. Its copies are one place: the first answer is the answer.
#[derive(Debug)]
pub struct Reply<R>(Arc<Mutex<Option<oneshot::Sender<R>>>>);

impl<R> Clone for Reply<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R> Reply<R> {
    /// A place for an answer, and where it is waited for.
    #[must_use]
    pub fn channel() -> (Self, oneshot::Receiver<R>) {
        let (reply, answer) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(reply)))), answer)
    }

    /// Answers. Nobody may be waiting any more; that is no concern of the actor's.
    pub fn send(self, answer: R) {
        let reply = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        reply.map(|reply| reply.send(answer));
    }

    /// Whether whoever asked has gone away, or has an answer.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        let reply = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// Why a dead letter was not sent again. It is still there, unless it was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// No dead letter of this number is kept.
    #[error(
        "there is no dead letter of this number: it was sent again, taken, or pushed out by newer ones"
    )]
    Unknown,
    /// The inbox holds as many messages as it may.
    #[error("the inbox is full")]
    Full,
    /// The actor is being restarted, and its inbox does not carry messages over.
    #[error("the actor is restarting")]
    Restarting,
    /// The actor has ended and is not coming back by itself.
    #[error("the actor has stopped")]
    Stopped,
}

impl<M: Send + 'static> Handle<M> {
    /// Sends at once or not at all.
    ///
    /// # Errors
    /// The message with the reason.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        self.admit(Queued::new(message, None))
            .map_err(|refused| refused.map(|queued| queued.message))
    }

    fn admit(&self, queued: Queued<M>) -> Result<(), SendError<Queued<M>>> {
        let mut state = self.0.lock();
        match state.admission(&self.0) {
            Admission::Open => {
                state.push(queued);
                Ok(())
            }
            Admission::Full => {
                state.crowd();
                Err(SendError::Full(queued))
            }
            Admission::Restarting => Err(SendError::Restarting(queued)),
            Admission::Stopped => Err(SendError::Stopped(queued)),
        }
    }

    /// Sends, waiting for room. While the actor is down and its inbox carries messages over, a full inbox is waited for too.
    ///
    /// # Errors
    /// [`SendError::Restarting`] or [`SendError::Stopped`], with the message; never [`SendError::Full`].
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        let sent = self.admit_in_time(Queued::new(message, None)).await;
        sent.map_err(|refused| refused.map(|queued| queued.message))
    }

    async fn admit_in_time(&self, queued: Queued<M>) -> Result<(), SendError<Queued<M>>> {
        match self.admit(queued) {
            // Boxed: hardly anybody waits for room, and whoever asks is as large as what it might wait for.
            Err(SendError::Full(back)) => self.admit_later(back).boxed().await,
            result => result,
        }
    }

    async fn admit_later(&self, mut queued: Queued<M>) -> Result<(), SendError<Queued<M>>> {
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.admit(queued) {
                Err(SendError::Full(back)) => queued = back,
                result => return result,
            }
            room.await;
        }
    }

    /// Asks and waits for the answer, `deadline` in all.
    ///
    /// # Errors
    /// A [`CallError`] that says which way it went.
    pub async fn call<R>(
        &self,
        question: impl FnOnce(Reply<R>) -> M,
        deadline: Duration,
    ) -> Result<R, CallError> {
        tokio::time::timeout(deadline, self.ask(question))
            .await
            .unwrap_or(Err(CallError::Timeout(deadline)))
    }

    /// Asks and waits for the answer as long as the actor lives. For questions that have a deadline of their own, or none.
    ///
    /// # Errors
    /// A [`CallError`], never [`CallError::Timeout`].
    pub async fn ask<R>(&self, question: impl FnOnce(Reply<R>) -> M) -> Result<R, CallError> {
        let (reply, answer) = Reply::channel();
        let (caller, buried) = oneshot::channel();
        let queued = Queued::new(question(reply), Some(caller));
        self.admit_in_time(queued)
            .await
            .map_err(|refused| match refused {
                SendError::Stopped(_) => CallError::Stopped,
                SendError::Full(_) | SendError::Restarting(_) => CallError::Restarting,
            })?;
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| CallError::Lost),
            // Dead letters are kept, and with them the way back, on which no answer will come.
            Ok(buried) = buried => Err(match buried {
                Buried::Crashed => CallError::Lost,
                Buried::Ended(Availability::Stopped) => CallError::Stopped,
                Buried::Ended(_) => CallError::Restarting,
            }),
        }
    }

    /// Takes the messages that were given up and kept, oldest first.
    #[must_use]
    pub fn take_dead_letters(&self) -> Vec<M> {
        self.0.take_dead()
    }

    /// Copies of the messages that were given up and kept, oldest first, with what is known of them. They stay where they are.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter<M>>
    where
        M: Clone,
    {
        self.0.dead()
    }

    /// Sends a dead letter again, as a new message behind all that wait; whoever asked it has been told that it is lost.
    ///
    /// # Errors
    /// A [`ResendError`]; the dead letter stays one.
    pub fn resend(&self, number: u64) -> Result<(), ResendError> {
        match self.0.resend(number) {
            Some(Admission::Open) => Ok(()),
            Some(Admission::Full) => Err(ResendError::Full),
            Some(Admission::Restarting) => Err(ResendError::Restarting),
            Some(Admission::Stopped) => Err(ResendError::Stopped),
            None => Err(ResendError::Unknown),
        }
    }
}

impl<M> Handle<M> {
    /// How many messages wait.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.lock().depth()
    }

    /// Whether the actor has ended and is not coming back by itself.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.0.lock().admission(&self.0), Admission::Stopped)
    }

    /// How many messages may wait.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }
}
