//! Following a breaker's state without asking again and again.

use tokio::sync::watch;

use super::shell::CircuitBreaker;
use super::transition::State;

/// Follows a breaker's state. Only the newest state counts: what was in between is for listeners.
#[derive(Debug)]
pub struct Subscription {
    breaker: CircuitBreaker,
    seen: u64,
    bell: watch::Receiver<u64>,
}

impl Subscription {
    pub(super) fn new(breaker: CircuitBreaker, seen: u64, bell: watch::Receiver<u64>) -> Self {
        Self {
            breaker,
            seen,
            bell,
        }
    }

    /// The state now; what [`changed`](Self::changed) waits for comes after it.
    pub fn state(&mut self) -> State {
        let (generation, state, _) = self.breaker.look();
        self.seen = generation;
        state
    }

    /// Waits until the state is not the one seen last, and returns the newest. May be cancelled at any time: nothing is missed.
    pub async fn changed(&mut self) -> State {
        loop {
            let (generation, state, due) = self.breaker.look();
            if generation != self.seen {
                self.seen = generation;
                return state;
            }
            // Remembers what rang since it last waited, so nothing falls between the look and the wait.
            let rung = self.bell.changed();
            match due {
                None => drop(rung.await),
                Some(due) => drop(tokio::time::timeout_at(due, rung).await),
            }
        }
    }
}
