//! The names a file may use that it does not declare itself.

use actors::model::Place;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The tools an agent may be given, and where each of them works.
pub const TOOLS: &[(&str, Place)] = &[
    ("create_run", Place::Node),
    ("post_message", Place::Node),
    ("read_file", Place::Executor),
    ("write_file", Place::Executor),
    ("edit_file", Place::Executor),
    ("list_dir", Place::Executor),
    ("glob", Place::Executor),
    ("grep", Place::Executor),
    ("shell", Place::Executor),
];

/// The types of events that webhooks and faults may name: those there are, and those that are still to come.
pub const EVENTS: &[&str] = &[
    "task_created",
    "task_message",
    "topology_changed",
    "peer_decided",
    "task_needs_attention",
    "task_resumed",
    "task_completed",
    "task_failed",
    "task_cancelled",
    "task_reopened",
    "run_queued",
    "run_started",
    "run_progress",
    "run_waiting",
    "run_resumed",
    "run_retrying",
    "run_restarted",
    "run_quarantined",
    "run_released",
    "run_continued",
    "run_completed",
    "run_failed",
    "run_cancelled",
    "message",
    "tool_call_started",
    "tool_call_completed",
    "tool_call_in_doubt",
    "tool_call_resolved",
    "tool_call_late",
    "model_call_started",
    "model_call_interrupted",
    "model_call_completed",
    "plan_updated",
    "plan_step_updated",
    "verification",
    "agent_state",
    "executor_connected",
    "executor_disconnected",
    "breaker_opened",
    "breaker_closed",
    "supervisor_restart",
    "supervisor_gave_up",
    "budget_exceeded",
    "budget_raised",
    "fault_injected",
    "alert",
];

/// Those of [`EVENTS`] that are still to come.
pub(crate) const TO_COME: &[&str] = &[
    "plan_updated",
    "plan_step_updated",
    "verification",
    "executor_connected",
    "executor_disconnected",
];

/// The schema of a list of tools.
pub(crate) fn tools_schema(_: &mut SchemaGenerator) -> Schema {
    list_schema(&tool_names())
}

/// The schema of a list of events.
pub(crate) fn events_schema(_: &mut SchemaGenerator) -> Schema {
    list_schema(EVENTS)
}

fn list_schema(names: &[&str]) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string", "enum": names } })
}

/// The names of [`TOOLS`].
pub(crate) fn tool_names() -> Vec<&'static str> {
    TOOLS.iter().map(|(name, _)| *name).collect()
}
