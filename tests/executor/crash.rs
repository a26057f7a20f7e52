//! SIGKILL at each point of a call, and the same question to the next life: no effect happens twice, and nothing is made up.

use actors::model::executor::{CallErrorCode, CallOutcome};
use impresario::executor::Point;
use serde_json::{Value, json};

use super::host::Host;
use super::stage::{Stage, call, error, linked, run};

/// Kills a host at `point` of a call and asks the next executor again. Says whether the effect had happened, and what was answered.
fn killed_at(stage: &Stage, point: Point, tool: &str, args: &Value) -> (String, CallOutcome) {
    run(async {
        let mut host = Host::start(stage, (true, true), Some(point));
        host.send(&call("a", 1, tool, args.clone())).await;
        host.killed().await;
    });
    let effect = stage.read("effect");
    stage.write("effect", "changed by somebody since");
    let executor = stage.open();
    let outcome = run(linked(&executor, async |node| {
        let first = node.result("a").await;
        for epoch in [1, 2] {
            node.send(call("a", epoch, tool, args.clone())).await;
            assert_eq!(node.result("a").await, first);
        }
        first
    }));
    assert_eq!(
        stage.read("effect"),
        "changed by somebody since",
        "it was not done again"
    );
    (effect, outcome)
}

fn effects() -> [(&'static str, Value); 3] {
    [
        ("write_file", json!({"path": "effect", "content": "done"})),
        (
            "edit_file",
            json!({"path": "effect", "old_text": "to do", "new_text": "done"}),
        ),
        ("shell", json!({"command": "printf done > effect"})),
    ]
}

fn staged(tool: &str) -> Stage {
    let stage = Stage::new();
    if tool == "edit_file" {
        stage.write("effect", "to do");
    }
    stage
}

#[test]
fn killed_when_it_had_begun() {
    for (tool, args) in effects() {
        let (effect, outcome) = killed_at(&staged(tool), Point::BegunRecorded, tool, &args);
        assert_ne!(effect, "done", "{tool} had not started yet");
        assert_eq!(error(outcome).code, CallErrorCode::Interrupted);
    }
}

#[test]
fn killed_when_the_effect_was_done() {
    for (tool, args) in effects() {
        let (effect, outcome) = killed_at(&staged(tool), Point::EffectDone, tool, &args);
        assert_eq!(effect, "done", "{tool}");
        assert_eq!(error(outcome).code, CallErrorCode::Interrupted);
    }
}

#[test]
fn killed_when_the_result_was_recorded() {
    for (tool, args) in effects() {
        let (effect, outcome) = killed_at(&staged(tool), Point::ResultRecorded, tool, &args);
        assert_eq!(effect, "done", "{tool}");
        assert!(matches!(outcome, CallOutcome::Ok(_)), "{outcome:?}");
    }
}

#[test]
fn a_pure_call_leaves_nothing_behind() {
    let stage = Stage::new();
    stage.write("a", "x");
    let args = json!({"path": "a"});
    for point in [Point::BegunRecorded, Point::ResultRecorded] {
        run(async {
            let mut host = Host::start(&stage, (true, true), Some(point));
            host.send(&call("a", 1, "read_file", args.clone())).await;
            host.killed().await;
        });
        let executor = stage.open();
        assert_eq!(executor.unacknowledged(), []);
        run(linked(&executor, async |node| {
            assert_eq!(node.done("read_file", args.clone()).await, "     1\tx\n");
        }));
    }
}
