//! What the ledger knows: a fold of its records.

use std::collections::BTreeMap;

use actors::model::CallId;
use actors::model::executor::CallOutcome;

use super::record::Record;

/// What is known of a call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::executor) struct Entry {
    /// The highest epoch that asked for it.
    pub(in crate::executor) epoch: u64,
    pub(in crate::executor) state: State,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::executor) enum State {
    /// It has no effect: only its epoch is known, and only in memory.
    Pure,
    /// Begun with this tool.
    Begun(String),
    /// Ended.
    Done(CallOutcome),
}

/// All calls that have not been acknowledged.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) entries: BTreeMap<CallId, Entry>,
}

impl Book {
    pub(super) fn of(records: Vec<Record>) -> Self {
        let mut book = Self::default();
        records.into_iter().for_each(|record| book.apply(record));
        book
    }

    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Ledger { .. } => {}
            Record::Begun {
                call_id,
                epoch,
                tool,
            } => {
                let state = State::Begun(tool);
                self.entries.insert(call_id, Entry { epoch, state });
            }
            Record::Epoch { call_id, epoch } => self.raise(&call_id, epoch),
            Record::Result { call_id, outcome } => self.end(&call_id, outcome),
            Record::Acked { call_id } => {
                self.entries.remove(&call_id);
            }
        }
    }

    fn raise(&mut self, call_id: &CallId, epoch: u64) {
        if let Some(entry) = self.entries.get_mut(call_id) {
            entry.epoch = entry.epoch.max(epoch);
        }
    }

    /// The first result stays: it may have been sent.
    fn end(&mut self, call_id: &CallId, outcome: CallOutcome) {
        if let Some(entry) = self.entries.get_mut(call_id)
            && matches!(entry.state, State::Begun(_))
        {
            entry.state = State::Done(outcome);
        }
    }

    /// Remembers, until it is acknowledged, that a call without effect was asked for.
    pub(super) fn note(&mut self, call_id: &CallId, epoch: u64) {
        let entry = self.entries.entry(call_id.clone()).or_insert(Entry {
            epoch,
            state: State::Pure,
        });
        entry.epoch = entry.epoch.max(epoch);
    }

    /// Forgets a call, unless it runs. Says whether the disk knows of it.
    pub(super) fn forget(&mut self, call_id: &CallId) -> bool {
        let state = self.entries.get(call_id).map(|entry| &entry.state);
        let recorded = matches!(state, Some(State::Done(_)));
        if recorded || state == Some(&State::Pure) {
            self.entries.remove(call_id);
        }
        recorded
    }

    /// The calls that begun and did not end, with their tools.
    pub(super) fn unfinished(&self) -> Vec<(CallId, String)> {
        self.entries
            .iter()
            .filter_map(|(call_id, entry)| match &entry.state {
                State::Begun(tool) => Some((call_id.clone(), tool.clone())),
                _ => None,
            })
            .collect()
    }

    /// The fewest records that say the same.
    pub(super) fn records(&self) -> Vec<Record> {
        let entries = self.entries.iter();
        entries
            .flat_map(|(call_id, entry)| match &entry.state {
                State::Pure => vec![],
                State::Begun(tool) => vec![begun(call_id, entry.epoch, tool)],
                State::Done(outcome) => vec![
                    begun(call_id, entry.epoch, ""),
                    Record::Result {
                        call_id: call_id.clone(),
                        outcome: outcome.clone(),
                    },
                ],
            })
            .collect()
    }
}

fn begun(call_id: &CallId, epoch: u64, tool: &str) -> Record {
    Record::Begun {
        call_id: call_id.clone(),
        epoch,
        tool: tool.to_owned(),
    }
}
