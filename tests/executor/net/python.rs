//! An executor that shares no line with ours: examples/executor.py keeps the same promises.

use std::path::Path;
use std::process::{Command, Stdio};

use actors::model::TaskId;
use serde_json::json;

use super::super::stage::{Stage, eventually, run};
use super::node::{House, KEY, Node, turn};
use super::proxy::Proxy;
use crate::support::program::Program;

const PROGRAM: &str = "examples/executor.py";

fn has_python() -> bool {
    let mut python = Command::new("python3");
    let python = python
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let is_there = python.status().is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("skipped: there is no python3 here");
    }
    is_there
}

fn start(stage: &Stage, url: &str) -> Program {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
    let mut command = Command::new("python3");
    command
        .arg(program)
        .arg(url)
        .args([stage.root(), stage.state()])
        .env("IMPRESARIO_EXECUTOR_KEY", KEY)
        .env("WAITS", "0.01 0.05");
    Program::start(&mut command)
}

fn sh(command: &str) -> serde_json::Value {
    turn("shell", json!({"command": command}))
}

#[test]
fn it_fits_on_a_few_pages() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAM);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.lines().count() <= 200, "{}", text.lines().count());
}

async fn said(node: &Node, task: TaskId) -> String {
    let all = node.events(task).await;
    let said = all.iter().filter_map(|event| match &event.body {
        actors::model::EventBody::ToolCallCompleted { .. } => {
            Some(serde_json::to_string(&event.body).unwrap())
        }
        _ => None,
    });
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn it_does_calls_and_refuses_what_it_must() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    let house = House::new([(
        "a".to_owned(),
        vec![
            turn("write_file", json!({"path": "a/b.txt", "content": "hällo"})),
            sh("cat a/b.txt; echo x >> count; exit 3"),
            turn("read_file", json!({"path": "../state/ledger.jsonl"})),
            turn("read_file", json!({"path": "gone"})),
            turn(
                "edit_file",
                json!({"path": "a", "old_text": "a", "new_text": "b"}),
            ),
            turn("read_file", json!({"path": "count"})),
        ],
    )]);
    run(async {
        let node = house.node().await;
        let program = start(&stage, &house.url());
        let task = node.begin("a").await;
        eventually("the command ran", || stage.read("count") == "x\n").await;
        // It has no edit_file: whoever has gets that call.
        let own = Stage::new();
        let second = super::calls::connect(&own, &house.url());
        node.end(task).await;
        let said = said(&node, task).await;
        for words in [
            "exit code 3\\nhällo",
            "outside of the root",
            "No such file",
            "x\\n",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(stage.read("a/b.txt"), "hällo");
        drop((program, second));
    });
}

#[test]
fn killed_in_a_call_it_says_that_it_was_interrupted() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    let house = House::new([(
        "a".to_owned(),
        vec![sh("echo x >> count; exec sleep 600"), sh("echo y >> count")],
    )]);
    run(async {
        let node = house.node().await;
        let program = start(&stage, &house.url());
        let task = node.begin("a").await;
        eventually("the command runs", || stage.read("count") == "x\n").await;
        // SIGKILL.
        drop(program);
        let program = start(&stage, &house.url());
        node.end(task).await;
        let said = said(&node, task).await;
        assert!(said.contains("whether it took effect is unknown"), "{said}");
        assert_eq!(node.doubts(task).await, 1);
        assert_eq!(stage.read("count"), "x\ny\n");
        drop(program);
    });
}

#[test]
fn a_wire_that_is_cut_neither_loses_nor_doubles_its_calls() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    let places = || (1..1500).step_by(150);
    let name = |place: usize| format!("cut-{place}");
    let house = House::new(places().map(|place| {
        let name = name(place);
        let turns = ["a", "b"].map(|half| sh(&format!("echo {name} {half} >> count")));
        (name, turns.to_vec())
    }));
    run(async {
        let node = house.node().await;
        let proxy = Proxy::to(house.address()).await;
        let program = start(&stage, &format!("http://{}", proxy.address));
        let mut lines = String::new();
        for place in places() {
            proxy.cut_after(place, 2);
            let task = node.begin(&name(place)).await;
            node.end(task).await;
            assert_eq!(node.doubts(task).await, 0, "{}", node.told(task).await);
            lines += &format!("{0} a\n{0} b\n", name(place));
            assert_eq!(stage.read("count"), lines);
        }
        assert!(proxy.cuts() >= 10, "{} cuts", proxy.cuts());
        drop(program);
    });
}

#[test]
fn a_key_that_is_refused_ends_it() {
    if !has_python() {
        return;
    }
    let stage = Stage::new();
    run(async {
        let house = House::new([]);
        let node = house.node().await;
        let program = start(&stage, &house.url());
        node.has_executors(1).await;
        let revoked = Some(impresario::http::link::Revoked::Key);
        node.revoke.send(revoked).unwrap();
        assert_eq!(program.end().code(), Some(3));
    });
}
