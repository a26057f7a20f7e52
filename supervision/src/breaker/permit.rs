//! The right to make one call, as a guard.

use super::core::Ticket;
use super::shell::CircuitBreaker;
use super::transition::{Failure, Outcome};

/// The right to make one call. Say what became of it; dropped without a word it counts as [`Config::abandoned`] says, and a probe's
/// place is free again.
///
/// [`Config::abandoned`]: super::Config::abandoned
#[derive(Debug)]
#[must_use = "a permit that is dropped says that the call was abandoned"]
pub struct Permit {
    breaker: CircuitBreaker,
    ticket: Option<Ticket>,
}

impl Permit {
    pub(super) fn new(breaker: CircuitBreaker, ticket: Ticket) -> Self {
        Self {
            breaker,
            ticket: Some(ticket),
        }
    }

    /// It worked.
    pub fn success(self) {
        self.settle(Outcome::Success);
    }

    /// It failed, in the caller's opinion.
    pub fn failure(self, failure: Failure) {
        self.settle(Outcome::Failure(failure));
    }

    /// It says nothing about the one who was called.
    pub fn ignore(self) {
        self.settle(Outcome::Ignore);
    }

    /// What became of it.
    pub fn settle(mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.settle(ticket, outcome);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.abandon(ticket);
        }
    }
}
