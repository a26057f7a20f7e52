//! How a start and an incarnation can come out.

use std::sync::Arc;

use crate::exit::Exit;
use crate::spec::ChildId;

/// Something a start hands to whoever asked for it.
pub type Extra = Arc<dyn std::any::Any + Send + Sync>;

/// What becomes of an incarnation.
pub(crate) enum Fate {
    Started(Option<Extra>),
    StartFailed(StartFailure),
    /// It could not be started because another child reads from its inbox, which is therefore not its own to close.
    InboxTaken,
    Declined,
    /// Also for one that was never up: killed, or stopped, while it started.
    Exited(Exit),
}

/// Why something could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StartFailure {
    /// The declared child that could not be started, where a supervisor failed because of one.
    pub child: Option<ChildId>,
    /// The reason it gave.
    pub reason: Arc<str>,
}

impl StartFailure {
    pub(crate) fn new(reason: impl Into<Arc<str>>) -> Self {
        Self {
            child: None,
            reason: reason.into(),
        }
    }
}

/// An inbox that already has a reader.
#[derive(Debug, thiserror::Error)]
#[error("another child reads from its inbox: give each child an inbox of its own")]
pub(crate) struct Taken;
