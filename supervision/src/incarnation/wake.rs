//! What wakes an incarnation.

use std::sync::Arc;

use ractor::ActorRef;

/// An incarnation of an actor, as those see it that wake it.
pub(crate) type Awake<M> = ActorRef<Wake<M>>;

pub(crate) enum Wake<M> {
    /// The inbox is not empty.
    Inbox,
    /// Something attached came to its end.
    Own(Box<Own<M>>),
    /// The start itself asked to end.
    Leave,
}

/// What comes back to an incarnation from what it attached.
pub(crate) enum Own<M> {
    Message(M),
    Panicked(Arc<str>),
}
