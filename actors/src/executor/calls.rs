//! Calls in flight on one executor. Pure.

use std::collections::BTreeMap;

use crate::model::executor::{CallOutcome, ExecutorName, FromExecutor, ToExecutor};
use crate::model::{CallId, ToolSpec};

/// What is in flight, and for whom.
#[derive(Debug)]
pub struct Calls<W> {
    waiting: BTreeMap<CallId, (ToExecutor, Vec<W>)>,
}

impl<W> Default for Calls<W> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
        }
    }
}

/// What an executor says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Introduced {
    /// Which it is.
    pub executor: ExecutorName,
    /// What it can do.
    pub tools: Vec<ToolSpec>,
    /// The folder it works in.
    pub root: String,
    /// Its life.
    pub session: String,
}

/// What follows from a frame.
#[derive(Debug, PartialEq)]
pub enum Heard<W> {
    /// The executor introduced itself: it offers these tools, and is told again what is in flight; it knows what it has done.
    Hello {
        /// Who it is.
        hello: Introduced,
        /// What to tell it.
        again: Vec<ToExecutor>,
    },
    /// A call has ended for these.
    Ended(Vec<W>, CallOutcome),
    /// A result that nobody waits for.
    Unasked(CallId),
    /// Some output, for watching.
    Output(CallId, String),
    /// Nothing follows.
    Nothing,
}

impl<W> Calls<W> {
    /// One more waits for this call. The frame to send, if the call is not in flight yet.
    pub fn call(&mut self, call_id: CallId, frame: ToExecutor, waiter: W) -> Option<ToExecutor> {
        let entry = self.waiting.entry(call_id);
        let is_new = matches!(entry, std::collections::btree_map::Entry::Vacant(_));
        let (kept, waiters) = entry.or_insert_with(|| (frame, Vec::new()));
        waiters.push(waiter);
        is_new.then(|| kept.clone())
    }

    /// One more waits for the end of this call, which is to be stopped. The frame to send: also for a call that is not known to be in
    /// flight, as the executor may have it from an earlier connection.
    pub fn stop(&mut self, call_id: CallId, waiter: W) -> ToExecutor {
        let frame = ToExecutor::Cancel {
            call_id: call_id.clone(),
        };
        let entry = self.waiting.entry(call_id);
        let (kept, waiters) = entry.or_insert_with(|| (frame.clone(), Vec::new()));
        kept.clone_from(&frame);
        waiters.push(waiter);
        frame
    }

    /// Takes a frame in.
    pub fn hear(&mut self, frame: FromExecutor) -> Heard<W> {
        match frame {
            FromExecutor::Hello {
                name,
                ledger,
                tools,
                root,
                session,
                ..
            } => Heard::Hello {
                hello: Introduced {
                    executor: ExecutorName { name, ledger },
                    tools,
                    root,
                    session,
                },
                again: self
                    .waiting
                    .values()
                    .map(|(frame, _)| frame.clone())
                    .collect(),
            },
            FromExecutor::Started { .. } => Heard::Nothing,
            FromExecutor::Output { call_id, chunk } => Heard::Output(call_id, chunk),
            FromExecutor::Result { call_id, outcome } => match self.waiting.remove(&call_id) {
                Some((_, waiters)) => Heard::Ended(waiters, outcome),
                None => Heard::Unasked(call_id),
            },
        }
    }

    /// How many calls are in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
