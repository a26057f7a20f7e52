//! What a node says that is wrong with a request, as RFC 9457 has it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A request that the node refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is: to branch on.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The same in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, and what to do.
    #[serde(default)]
    pub detail: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// What the thing is, where it is not as it would have to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Which parts of the body are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// When the node wants to be asked again.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// A part of a body that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.detail.is_empty() {
            true => &self.title,
            false => &self.detail,
        })?;
        let others = self.errors.iter().filter(|it| !it.pointer.is_empty());
        for error in others {
            match error.detail == self.detail {
                true => write!(f, " ({})", error.pointer)?,
                false => write!(f, "; {}: {}", error.pointer, error.detail)?,
            }
        }
        Ok(())
    }
}

/// How every kind begins.
const PREFIX: &str = "urn:impresario:problem:";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kinds of problems.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum ProblemKind {
            $($(#[$doc])* $name,)*
            /// One that this version does not know: its type.
            Other(String),
        }

        impl From<String> for ProblemKind {
            fn from(kind: String) -> Self {
                match kind.strip_prefix(PREFIX) {
                    $(Some($text) => Self::$name,)*
                    _ => Self::Other(kind),
                }
            }
        }

        impl From<ProblemKind> for String {
            fn from(kind: ProblemKind) -> Self {
                match kind {
                    $(ProblemKind::$name => format!("{PREFIX}{}", $text),)*
                    ProblemKind::Other(kind) => kind,
                }
            }
        }
    };
}

kinds! {
    /// There is no such thing, or not for this key.
    NotFound = "not-found",
    /// The key is missing, unknown, revoked or expired.
    Unauthorized = "unauthorized",
    /// An executor's key where one of people is needed, or the other way round.
    WrongKindOfKey = "wrong-kind-of-key",
    /// The key may not do this.
    InsufficientScope = "insufficient-scope",
    /// A part of what was sent is wrong: [`Problem::errors`] say which.
    Invalid = "invalid",
    /// A parameter is wrong.
    BadParameter = "bad-parameter",
    /// It is not in a state in which this can be done: [`Problem::state`].
    WrongState = "wrong-state",
    /// It exists already.
    Exists = "exists",
    /// It is in use.
    InUse = "in-use",
    /// Somebody else changed it at the same time.
    Conflict = "conflict",
    /// The node does not know what a request came to that was sent before: look whether it took effect.
    OutcomeUnknown = "outcome-unknown",
    /// The same request is being carried out.
    RequestRunning = "request-running",
    /// The key of the request belongs to another one.
    IdempotencyKeyReused = "idempotency-key-reused",
    /// It was made, and the secret in the answer was lost: revoke it and make another.
    AlreadyMade = "already-made",
    /// The node goes by other names.
    UnknownHost = "unknown-host",
    /// Not now.
    Unavailable = "unavailable",
    /// The node failed.
    Internal = "internal",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_read_and_told() {
        let text = r#"{"type":"urn:impresario:problem:invalid","title":"the body is not valid","status":422,"detail":"say it",
            "retryable":false,"errors":[{"pointer":"/a","detail":"say it"},{"pointer":"/b","detail":"and that"}],"new":1}"#;
        let problem: Problem = serde_json::from_str(text).expect("a problem");
        assert_eq!(problem.kind, ProblemKind::Invalid);
        assert_eq!(problem.to_string(), "say it (/a); /b: and that");
    }

    #[test]
    fn kinds_come_back_as_they_were() {
        for text in [
            "urn:impresario:problem:in-use",
            "urn:other:in-use",
            "about:blank",
        ] {
            let kind = ProblemKind::from(text.to_owned());
            assert_eq!(String::from(kind), text);
        }
    }
}
