//! Changes of records that are committed together, because they wait one behind the other.

use actors::store::version::Change;
use actors::store::{Conflict, StoreError};
use tokio::sync::oneshot;

/// The most calls that are committed together, and the bytes after which no more are added.
const CALLS: usize = 64;
const BYTES: usize = 1 << 20;

/// What one call comes to.
pub(super) type Answer = Result<Vec<u64>, Conflict>;

/// A call for changes, and who waits for the answer.
pub(super) struct Call {
    pub(super) changes: Vec<Change>,
    pub(super) answer: oneshot::Sender<Result<Answer, StoreError>>,
}

/// Calls in the order in which they came.
#[derive(Default)]
pub(super) struct Group {
    calls: Vec<Vec<Change>>,
    answers: Vec<oneshot::Sender<Result<Answer, StoreError>>>,
    bytes: usize,
}

impl Group {
    /// The first call with those that wait behind it, and what waits behind them.
    pub(super) fn gather<C>(
        first: Call,
        mut waiting: impl FnMut() -> Option<Result<Call, C>>,
    ) -> (Self, Option<C>) {
        let mut group = Self::default();
        group.add(first);
        while group.calls.len() < CALLS && group.bytes < BYTES {
            match waiting() {
                Some(Ok(call)) => group.add(call),
                Some(Err(other)) => return (group, Some(other)),
                None => break,
            }
        }
        (group, None)
    }

    fn add(&mut self, call: Call) {
        self.bytes += call.changes.iter().map(Change::bytes).sum::<usize>();
        self.calls.push(call.changes);
        self.answers.push(call.answer);
    }

    pub(super) fn calls(&self) -> &[Vec<Change>] {
        &self.calls
    }

    /// Tells everybody. Whoever no longer waits for an answer does not want it.
    pub(super) fn tell(self, done: Result<Vec<Answer>, StoreError>) {
        match done {
            Ok(done) => self.answers.into_iter().zip(done).for_each(|(told, done)| {
                let _ = told.send(Ok(done));
            }),
            Err(error) => self.answers.into_iter().for_each(|told| {
                let _ = told.send(Err(error.clone()));
            }),
        }
    }
}
