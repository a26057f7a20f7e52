//! A breaker as it stands, for whoever looks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::transition::{Cause, State, rounded};
use super::window::Tally;

/// Everything counted since the breaker was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls let through.
    pub admitted: u64,
    /// Calls refused.
    pub refused: u64,
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that said nothing.
    pub ignored: u64,
    /// Permits dropped without a word; each counts as ignored or failed too.
    pub abandoned: u64,
    /// Outcomes that came when the state in which they were permitted was over; each counts as what it is too.
    pub stale: u64,
    /// How often it opened.
    pub opened: u64,
}

/// A breaker as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub breaker: Arc<str>,
    /// Its state.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// Why somebody holds it so by hand; none when nobody does.
    pub manual: Option<Arc<str>>,
    /// For how long it has been so.
    pub held: Duration,
    /// How long it will stay open; none when it is not, or for as long as somebody wants.
    pub wait: Option<Duration>,
    /// The calls in the window.
    pub window: Tally,
    /// Probes that are out.
    pub probes: u32,
    /// Probes that have succeeded since it is half-open.
    pub successes: u32,
    /// What the newest failure was.
    pub last: Option<Arc<str>>,
    /// Everything since it was made.
    pub totals: Totals,
}

impl fmt::Display for Snapshot {
    /// In a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:?}", self.state, rounded(self.held))?;
        if let Some(reason) = &self.manual {
            return write!(f, ", by hand: {reason}");
        }
        match self.state {
            State::Closed => {
                let Tally {
                    calls, failures, ..
                } = self.window;
                write!(f, ", {failures} of {calls} calls failed")
            }
            State::Open => {
                let wait = rounded(self.wait.unwrap_or_default());
                write!(f, " ({}), tries again in {wait:?}", self.cause)
            }
            State::HalfOpen => {
                let (out, back) = (self.probes, self.successes);
                write!(f, ", probes: {out} out, {back} succeeded")
            }
        }
    }
}
