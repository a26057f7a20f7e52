//! A call that was not let through, for the program and for the person who reads it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::transition::{Cause, State, rounded};

/// Why a call was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker `{breaker}` {}", Because(self))]
pub struct Open {
    /// The breaker's name.
    pub breaker: Arc<str>,
    /// Its state: open, or half-open with all its probes out; any when a fault is injected.
    pub state: State,
    /// Why it is so.
    pub cause: Cause,
    /// For how long it has been so.
    pub held: Duration,
    /// When it will let something through; none when nobody knows: it is held by hand, or waits for its probes.
    pub retry_in: Option<Duration>,
    /// What the newest failure was.
    pub last: Option<Arc<str>>,
}

struct Because<'a>(&'a Open);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.0;
        let (state, cause, held) = (open.state, &open.cause, rounded(open.held));
        match (cause, state) {
            (Cause::Injected, _) => return write!(f, "refused the call: {cause}"),
            (_, State::HalfOpen) => {
                return write!(
                    f,
                    "has been half-open for {held:?} and waits for its probes: try again when they are back"
                );
            }
            (Cause::Manual(reason), _) => {
                return write!(
                    f,
                    "has been held open by hand for {held:?}: {reason}; it stays so until somebody closes it or leaves it to itself"
                );
            }
            _ => write!(f, "has been {state} for {held:?}: {cause}")?,
        }
        if let Some(last) = open.last.as_ref().filter(|_| cause.is_failure()) {
            write!(f, ", the last: {last}")?;
        }
        open.retry_in.map_or(Ok(()), |wait| {
            write!(f, "; it tries again in {:?}", rounded(wait))
        })
    }
}
