//! What the journal says was begun.

use actors::model::CallId;
use actors::run::state::{CallPhase, RunState};
use actors::store::{EventQuery, Store, StoreError};

/// The tool calls of unfinished tasks that were begun and have no end, with their tools.
pub(super) async fn begun(store: &impl Store) -> Result<Vec<(CallId, String)>, StoreError> {
    let mut begun = Vec::new();
    for task in store.tasks(true).await? {
        let query = EventQuery {
            task: task.id,
            after: 0,
            limit: usize::MAX,
        };
        let events = store.events(query).await?;
        for run in store.runs(task.id).await? {
            begun.extend(open(&RunState::from_events(run.id, &events)));
        }
    }
    Ok(begun)
}

fn open(run: &RunState) -> Vec<(CallId, String)> {
    let is_begun = |phase: &CallPhase| matches!(phase, CallPhase::Started { .. });
    let calls = run.open_calls().filter(|(_, call)| is_begun(&call.phase));
    let calls = calls.map(|(step, call)| {
        let id = CallId::again(run.id, step, call.retries);
        (id, call.call.name.clone())
    });
    calls.collect()
}
