//! Roots that are deleted while an executor works in them, and what a killed one leaves half written.

use std::fs;

use impresario::executor::Point;
use serde_json::{Value, json};

use super::host::Host;
use super::stage::{Stage, call, error, linked, run};

/// The names in the root, sorted.
fn names(stage: &Stage) -> Vec<String> {
    let found = fs::read_dir(stage.root()).unwrap();
    let mut names: Vec<_> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Kills an executor that has begun to write.
fn killed_in_a_write(stage: &Stage) {
    run(async {
        let mut host = Host::start(stage, (true, true), Some(Point::BegunRecorded));
        let args = json!({"path": "report", "content": "x"});
        host.send(&call("a", 1, "write_file", args)).await;
        host.killed().await;
    });
}

#[test]
fn what_is_half_written_is_taken_away_in_the_next_life() {
    let stage = Stage::new();
    killed_in_a_write(&stage);
    let mark = fs::read_to_string(stage.state().join("mark")).unwrap();
    let ours = format!(".impresario-{}-0123456789abcdef.tmp", mark.trim());
    let others = ".impresario-0123456789abcdef-0123456789abcdef.tmp";
    for name in [&ours, &format!("deep/er/{ours}"), others, "report.tmp"] {
        stage.write(name, "half of i");
    }
    let executor = stage.open();
    assert_eq!(names(&stage), [others, "deep", "report.tmp"]);
    assert!(!stage.root().join("deep/er").join(&ours).exists());
    assert_eq!(
        executor.unacknowledged().len(),
        1,
        "the call is interrupted"
    );
}

#[test]
fn a_root_that_is_deleted() {
    let stage = Stage::new();
    let executor = stage.open();
    fs::remove_dir(stage.root()).unwrap();
    let calls: [(&str, Value); 6] = [
        ("write_file", json!({"path": "a", "content": "x"})),
        ("write_file", json!({"path": "b/a", "content": "x"})),
        (
            "edit_file",
            json!({"path": "a", "old_text": "x", "new_text": "y"}),
        ),
        ("read_file", json!({"path": "a"})),
        ("list_dir", json!({"path": "."})),
        ("shell", json!({"command": "true"})),
    ];
    run(linked(&executor, async |node| {
        for (n, (tool, args)) in calls.into_iter().enumerate() {
            let id = n.to_string();
            node.send(call(&id, 1, tool, args)).await;
            let told = error(node.result(&id).await).message;
            assert!(
                told.starts_with("the root ") && told.contains(" was deleted"),
                "{tool}: {told}"
            );
        }
    }));
    assert!(!stage.root().exists());
}
