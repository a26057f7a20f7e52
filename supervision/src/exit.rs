//! Why a child ended.

use std::fmt;
use std::sync::Arc;

/// The end of one incarnation of a child, in OTP's classes.
///
/// `normal`, `shutdown` (with or without a detail), a failure with its reason, and `killed`. A panic is a failure that says so.
/// The class is decided by who asked, not by how the actor library reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Its work was done.
    Normal,
    /// It was asked to stop, or stopped itself in an orderly way; the detail says why, where somebody said so.
    Shutdown(Option<Arc<str>>),
    /// It returned an error.
    Failed(Arc<str>),
    /// It panicked.
    Panicked(Arc<str>),
    /// It was killed: nothing of it ran any more, not even its clean-up.
    Killed,
}

impl Exit {
    /// An orderly stop without a detail.
    pub const SHUTDOWN: Self = Self::Shutdown(None);

    /// A failure with a reason.
    #[must_use]
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string().into())
    }

    /// Whether a transient child is restarted after it: everything but `normal` and `shutdown`.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Panicked(_) | Self::Killed)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown(None) => f.write_str("shutdown"),
            Self::Shutdown(Some(detail)) => write!(f, "shutdown: {detail}"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Killed => f.write_str("killed"),
        }
    }
}
