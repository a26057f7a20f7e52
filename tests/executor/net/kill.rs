//! The executor is killed at every point of a call, while a real task of a real system waits for it.

use std::os::unix::process::ExitStatusExt;

use impresario::executor::Point;
use serde_json::json;

use super::super::stage::{Stage, run};
use super::host;
use super::node::{House, turn};

const POINTS: [Point; 3] = [
    Point::BegunRecorded,
    Point::EffectDone,
    Point::ResultRecorded,
];

fn turns(tool: &str) -> Vec<serde_json::Value> {
    let turn = |line: &str| match tool {
        "shell" => turn("shell", json!({"command": format!("echo {line} >> count")})),
        _ => {
            let args =
                json!({"path": "count", "old_text": "end\n", "new_text": format!("{line}\nend\n")});
            turn("edit_file", args)
        }
    };
    vec![turn("one"), turn("two"), turn("three")]
}

/// What was done, and how many calls are of unknown outcome.
async fn killed_at(tool: &str, point: Point, nth: usize) -> (String, usize) {
    let stage = Stage::new();
    if tool != "shell" {
        stage.write("count", "end\n");
    }
    let house = House::new([("a".to_owned(), turns(tool))]);
    let node = house.node().await;
    let task = node.begin("a").await;
    let mut first = host::start(&stage, &house.url(), Some((point, nth)));
    let ended = first.wait().await.unwrap();
    assert_eq!(ended.signal(), Some(9), "{ended}");
    let second = host::start(&stage, &house.url(), None);
    node.end(task).await;
    let doubts = node.doubts(task).await;
    drop(second);
    let done: Vec<_> = stage.read("count").lines().map(str::to_owned).collect();
    (done.join(" "), doubts)
}

#[test]
fn a_kill_at_any_point_doubles_nothing_and_hides_nothing() {
    run(async {
        let mut told = String::new();
        for tool in ["shell", "edit_file"] {
            for point in POINTS {
                let (done, doubts) = killed_at(tool, point, 2).await;
                told += &format!("{tool} {point:?}: {done}; in doubt: {doubts}\n");
            }
        }
        insta::assert_snapshot!(told, @r"
        shell BegunRecorded: one three; in doubt: 1
        shell EffectDone: one two three; in doubt: 1
        shell ResultRecorded: one two three; in doubt: 0
        edit_file BegunRecorded: one three end; in doubt: 1
        edit_file EffectDone: one two three end; in doubt: 1
        edit_file ResultRecorded: one two three end; in doubt: 0
        ");
    });
}
