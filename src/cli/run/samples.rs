//! Event lists for tests.

use actors::model::{Event, RunId};

/// The quickstart, as it was played.
pub(super) fn quickstart() -> Vec<Event> {
    events(include_str!("../../../tests/fixtures/quickstart.jsonl"))
}

/// A task in which everything goes wrong, one event a second. Its names and words are wide, and some would harm a terminal.
pub(super) fn trouble() -> Vec<Event> {
    events(include_str!("../../../tests/fixtures/trouble.jsonl"))
}

fn events(recorded: &str) -> Vec<Event> {
    let event = |line| serde_json::from_str(line).expect("an event");
    recorded.lines().map(event).collect()
}

/// The run numbered `n` in them.
pub(super) fn run(n: u32) -> RunId {
    let id = format!("run_01900000000070008000{n:012x}");
    id.parse().expect("an id")
}
