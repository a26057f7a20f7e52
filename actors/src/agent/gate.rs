//! What makes cancelling a postcondition: everything a run begins outside itself goes through its gate. Once that is closed nothing
//! more begins, and it is known when nothing of what had begun is left. A run that is paused holds only what has not begun yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// A run's gate, or a part of it that can be closed alone.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    closed: CancellationToken,
    inside: TaskTracker,
    hold: Option<Arc<AtomicU8>>,
}

/// Nobody has been inside yet.
const UNUSED: u8 = 0;
/// Somebody was.
const USED: u8 = 1;
/// Nobody was, and nobody will be.
const HELD: u8 = 2;

/// Somebody is inside.
#[derive(Debug)]
pub struct Pass(#[expect(dead_code, reason = "held, not read")] TaskTrackerToken);

impl Gate {
    /// Goes in, unless the gate is closed.
    #[must_use]
    pub fn enter(&self) -> Option<Pass> {
        // First in, then looked: whoever closes the gate closes it first and looks who is in then, so one of the two sees the other.
        let inside = self.inside.token();
        (!self.closed.is_cancelled() && self.may_begin()).then_some(Pass(inside))
    }

    fn may_begin(&self) -> bool {
        let begins = |hold: &AtomicU8| {
            let was = hold.compare_exchange(UNUSED, USED, Ordering::SeqCst, Ordering::SeqCst);
            was != Err(HELD)
        };
        self.hold.as_deref().is_none_or(begins)
    }

    /// A part of this gate for one thing, which can be held as long as that has not begun.
    #[must_use]
    pub fn for_one(&self) -> Self {
        Self {
            hold: Some(Arc::default()),
            ..self.clone()
        }
    }

    /// Whether nobody has gone in by now; then nobody will.
    #[must_use]
    pub fn hold(&self) -> bool {
        let holds = |hold: &AtomicU8| {
            let was = hold.compare_exchange(UNUSED, HELD, Ordering::SeqCst, Ordering::SeqCst);
            was != Err(USED)
        };
        self.hold.as_deref().is_some_and(holds)
    }

    /// Whether nobody goes in any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// From now on nobody goes in.
    pub fn close(&self) {
        self.closed.cancel();
        self.inside.close();
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits until nobody is inside any more; for a gate that is closed.
    pub async fn empty(&self) {
        self.inside.wait().await;
    }

    /// A gate within this one, which closes with it or when the guard is dropped.
    #[must_use]
    pub fn within(&self) -> (Self, DropGuard) {
        let closed = self.closed.child_token();
        let (inside, hold) = (self.inside.clone(), self.hold.clone());
        let guard = closed.clone().drop_guard();
        let gate = Self {
            closed,
            inside,
            hold,
        };
        (gate, guard)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn nobody_enters_a_closed_gate_and_it_is_empty_when_the_last_has_left() {
        let gate = Gate::default();
        let (inner, _guard) = gate.within();
        let passes = [gate.enter(), inner.enter()];
        assert!(passes.iter().all(Option::is_some));
        gate.close();
        assert!(gate.enter().is_none() && inner.enter().is_none());
        assert_eq!(inner.closed().now_or_never(), Some(()));
        let [first, second] = passes;
        drop(first);
        assert_eq!(gate.empty().now_or_never(), None);
        drop(second);
        assert_eq!(gate.empty().now_or_never(), Some(()));
    }

    #[test]
    fn what_has_begun_is_not_held_and_what_is_held_does_not_begin() {
        let gate = Gate::default();
        let (first, second) = (gate.for_one(), gate.for_one());
        let (inner, _guard) = first.within();
        assert!(inner.enter().is_some() && inner.enter().is_some());
        assert!(!first.hold() && first.enter().is_some());
        assert!(second.hold() && second.enter().is_none());
        assert!(gate.enter().is_some() && !gate.hold());
    }

    #[test]
    fn a_gate_within_closes_alone() {
        let gate = Gate::default();
        let (inner, guard) = gate.within();
        drop(guard);
        assert!(inner.enter().is_none());
        assert!(gate.enter().is_some());
    }
}
