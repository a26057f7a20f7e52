//! The registry of runs: who was delegated what by whom, how it stands, and what it waits for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Content, Delegation, EventBody, RunId, Usage};
use crate::run::why::Why;
use crate::store::{RunRow, Store, StoreError, each_event};

/// A run in the tree of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunNode {
    /// The run: id, task, status, when it started, parent.
    pub run: RunRow,
    /// The runs it waits for: those it delegated in the foreground that have not ended.
    pub depends_on: Vec<RunId>,
    /// Why it does not go on at this moment, or what it is doing; none once it has ended.
    pub why: Option<Why>,
    /// What it and all it delegated used and wasted.
    pub whole: Usage,
    /// The runs it delegated, in order.
    pub children: Vec<RunNode>,
}

/// A run in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run as it stands in lists.
    pub run: RunRow,
    /// What it was given.
    pub input: String,
    /// How often it was claimed: 1, and one more for each crash it went on after.
    pub attempt: u64,
    /// Its result, if it has one.
    pub result: Option<Content>,
    /// Why it has none, if it ended without.
    pub error: Option<String>,
}

/// The runs of a task as a tree; roots first, each in order of creation.
pub(super) fn tree(rows: Vec<RunRow>, mut why: BTreeMap<RunId, Why>) -> Vec<RunNode> {
    let mut below = BTreeMap::<Option<RunId>, Vec<RunRow>>::new();
    for row in rows {
        below.entry(row.parent).or_default().push(row);
    }
    nodes(None, &mut below, &mut why)
}

fn nodes(
    parent: Option<RunId>,
    below: &mut BTreeMap<Option<RunId>, Vec<RunRow>>,
    why: &mut BTreeMap<RunId, Why>,
) -> Vec<RunNode> {
    let rows = below.remove(&parent).unwrap_or_default();
    let node = |run: RunRow| {
        let children = nodes(Some(run.id), below, why);
        let waits = |child: &&RunNode| {
            child.run.delegation == Some(Delegation::Foreground) && !child.run.status.is_terminal()
        };
        let depends_on = children
            .iter()
            .filter(waits)
            .map(|child| child.run.id)
            .collect();
        let mut whole = run.usage;
        children.iter().for_each(|child| whole += child.whole);
        RunNode {
            why: why.remove(&run.id),
            whole,
            run,
            depends_on,
            children,
        }
    };
    rows.into_iter().map(node).collect()
}

/// Reads what a row leaves out.
pub(super) async fn record(store: &dyn Store, run: RunRow) -> Result<RunRecord, StoreError> {
    let attempt = run.epoch;
    let mut record = RunRecord {
        run,
        input: String::new(),
        attempt,
        result: None,
        error: None,
    };
    let (task, id) = (record.run.task, Some(record.run.id));
    each_event(store, task, 0, |event| {
        if event.run_id == id {
            record.take(&event.body);
        }
    })
    .await?;
    Ok(record)
}

impl RunRecord {
    fn take(&mut self, body: &EventBody) {
        match body {
            EventBody::RunQueued { spec } => self.input.clone_from(&spec.input),
            EventBody::RunCompleted { result, .. } => self.result = Some(result.clone()),
            EventBody::RunFailed { error, .. } => self.error = Some(error.clone()),
            EventBody::RunCancelled { reason, .. } => self.error = Some(reason.clone()),
            EventBody::RunContinued { .. } => (self.result, self.error) = (None, None),
            _ => {}
        }
    }
}
