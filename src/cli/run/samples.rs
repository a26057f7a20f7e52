//! Event lists for tests: one that was recorded, and one in which everything goes wrong.

use actors::model::{Event, RunId};
use serde_json::{Value, json};

/// The run numbered `n`.
pub(super) fn run(n: u32) -> RunId {
    id("run", n).parse().expect("an id")
}

fn id(kind: &str, n: u32) -> String {
    format!("{kind}_01900000000070008000{n:012x}")
}

/// The quickstart, as it was played.
pub(super) fn quickstart() -> Vec<Event> {
    let recorded = include_str!("../../../tests/fixtures/quickstart.jsonl");
    let event = |line| serde_json::from_str(line).expect("an event");
    recorded.lines().map(event).collect()
}

/// A task in which everything goes wrong, one event a second. Its names and words are wide.
pub(super) fn trouble() -> Vec<Event> {
    let events = trouble_events();
    type Sample<'a> = (u64, (Option<(u32, &'a str)>, Value));
    let event = |(n, (run, body)): Sample<'_>| {
        let mut event = json!({ "id": n, "task_id": id("task", 1) });
        event["at"] = format!("2026-01-01T00:{:02}:{:02}Z", n / 60, n % 60).into();
        if let Some((run, agent)) = run {
            event["agent"] = agent.into();
            if run > 0 {
                (event["run_id"], event["epoch"]) = (id("run", run).into(), 1.into());
            }
        }
        event
            .as_object_mut()
            .expect("an object")
            .extend(body.as_object().expect("an object").clone());
        serde_json::from_value(event).expect("an event")
    };
    (1..).zip(events).map(event).collect()
}

const BOSS: (u32, &str) = (1, "部長");
const HAND: (u32, &str) = (2, "hand");

fn trouble_events() -> Vec<(Option<(u32, &'static str)>, Value)> {
    let nobody_knows = "the executor stopped while shell ran: whether it took effect is unknown";
    let question = format!("did shell (step 0.1) take effect? {nobody_knows}");
    let usage = json!({ "input_tokens": 1200, "output_tokens": 34, "cost_usd_micros": 5600 });
    vec![
        (None, created()),
        (Some(BOSS), queued("部長", "引っ越し 🚚", None)),
        (Some(BOSS), json!({ "type": "run_started" })),
        (
            Some(BOSS),
            json!({ "type": "model_call_started", "turn": 0, "seen": 3 }),
        ),
        (
            Some(BOSS),
            json!({ "type": "run_waiting", "for": "permit", "pool": "workers" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "model_call_completed", "turn": 0, "text": "まず片付けよう。\u{1b}[2J\n", "usage": usage, "stop": "tool_calls", "calls": [
            { "id": "a", "name": "create_run", "args": { "agent": "hand", "title": "carry" } },
            { "id": "b", "name": "shell", "args": { "command": "mv 家 \\\n  新居" } } ] }),
        ),
        (
            Some(BOSS),
            json!({ "type": "tool_call_started", "step": "0.0", "tool": "create_run", "class": "transactional" }),
        ),
        (Some(HAND), queued("hand", "carry", Some("background"))),
        (
            Some(BOSS),
            json!({ "type": "tool_call_completed", "step": "0.0", "outcome": "ok", "content": "started" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "tool_call_started", "step": "0.1", "tool": "shell", "class": "once" }),
        ),
        (Some(HAND), json!({ "type": "run_started" })),
        (
            Some(HAND),
            json!({ "type": "model_call_started", "turn": 0, "seen": 11 }),
        ),
        (
            Some(HAND),
            json!({ "type": "run_retrying", "turn": 0, "attempt": 1, "error": "rate limited", "delay_ms": 30000 }),
        ),
        (
            Some((0, "hand")),
            json!({ "type": "supervisor_restart", "path": "system/tasks/t/agents", "child": "hand", "incarnation": 2, "reason": "panicked: no" }),
        ),
        (
            Some((0, "hand")),
            json!({ "type": "agent_state", "state": "restarting", "reason": "panicked: no" }),
        ),
        (
            Some((0, "hand")),
            json!({ "type": "agent_state", "state": "idle" }),
        ),
        (
            Some(HAND),
            json!({ "type": "run_restarted", "recovery": "resume", "reason": "agent `hand` crashed" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "tool_call_in_doubt", "step": "0.1", "tool": "shell", "reason": nobody_knows, "policy": "ask" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "run_waiting", "for": "human", "question": question }),
        ),
        (
            Some(BOSS),
            json!({ "type": "task_needs_attention", "why": "in_doubt", "run": id("run", 1), "question": question }),
        ),
        (
            Some(HAND),
            json!({ "type": "run_quarantined", "reason": "panicked: no" }),
        ),
        (
            None,
            json!({ "type": "task_needs_attention", "why": "quarantined", "run": id("run", 2), "reason": "panicked: no" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "tool_call_resolved", "step": "0.1", "by": "human", "how": "answered", "result": "it did" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "tool_call_completed", "step": "0.1", "outcome": "ok", "content": "it did" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "task_resumed", "answer": "it did" }),
        ),
        (Some(HAND), json!({ "type": "run_released" })),
        (
            Some(HAND),
            json!({ "type": "run_restarted", "recovery": "clean_slate", "reason": "released" }),
        ),
        (
            Some(BOSS),
            json!({ "type": "budget_exceeded", "limit": "16 live children of one run" }),
        ),
        (
            Some(HAND),
            json!({ "type": "run_waiting", "for": "executor", "tool": "shell" }),
        ),
        (
            None,
            json!({ "type": "supervisor_gave_up", "path": "system/tasks/t/agents", "reason": "`hand` panicked: no" }),
        ),
        (
            None,
            json!({ "type": "task_needs_attention", "why": "gave_up", "path": "system/tasks/t/agents", "reason": "`hand` panicked: no" }),
        ),
        (
            None,
            json!({ "type": "task_resumed", "answer": "continue" }),
        ),
        (
            Some(HAND),
            json!({ "type": "run_failed", "error": "after 4 attempts: rate limited", "usage": {} }),
        ),
        (
            Some(BOSS),
            json!({ "type": "run_failed", "error": "nobody carries it", "usage": usage }),
        ),
        (
            None,
            json!({ "type": "task_failed", "error": "nobody carries it" }),
        ),
    ]
}

fn created() -> Value {
    let agent = |provider: &str| json!({ "provider": provider });
    json!({ "type": "task_created", "definition": {
        "name": "引っ越し 🚚", "description": "move", "project": "default", "root_agent": "部長", "available_agents": ["hand", "idle"],
        "team": { "name": "movers", "lead": "部長", "members": ["hand", "idle"], "strategy": "one_for_one", "max_restarts": 3, "within": 60000 },
        "agents": { "部長": agent("cloud"), "hand": agent("stage"), "idle": agent("cloud") },
        "source": { "workspace": "/srv/a folder",
            "config": { "providers": { "stage": { "kind": "scripted" }, "cloud": { "kind": "anthropic" } } } } } })
}

fn queued(agent: &str, title: &str, delegation: Option<&str>) -> Value {
    let parent = delegation.map(|delegation| json!({ "run": id("run", 1), "step": "0.0", "delegation": delegation, "up_to": 1 }));
    json!({ "type": "run_queued", "spec": { "agent": agent, "title": title, "input": "do it", "depth": u32::from(parent.is_some()),
        "context": "scoped", "parent": parent } })
}
