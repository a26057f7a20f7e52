//! Why something could not be had from a node.

use std::time::Duration;

use super::{Problem, ProblemKind};

/// Why something could not be had from a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node refused.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No answer came: nobody listens there, the line broke, or it took too long.
    #[error("the node at {url} cannot be reached: {cause}")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        cause: String,
    },
    /// Something answers there, and not as a node does.
    #[error("what answers at {url} is not an impresario node, or one of another version: {detail}")]
    NotANode {
        /// Where.
        url: String,
        /// What it does.
        detail: String,
    },
    /// The address or the key cannot be used; nothing was sent.
    #[error("{0}")]
    Settings(String),
}

impl Error {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.retryable,
            Self::Unreachable { .. } => true,
            Self::NotANode { .. } | Self::Settings(_) => false,
        }
    }

    /// When the node wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.problem()?.retry_after
    }

    /// What the node says, if it was it that refused.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the node refused for this reason.
    #[must_use]
    pub fn is(&self, kind: &ProblemKind) -> bool {
        self.problem().is_some_and(|problem| problem.kind == *kind)
    }
}
