//! The program itself as an executor of a node.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::super::stage::{Stage, eventually, run};
use super::node::{House, KEY, turn};
use crate::support::program::{Program, impresario};

/// The program, connected to a node.
pub(crate) fn connect(stage: &Stage, url: &str) -> Program {
    let mut command = impresario();
    command
        .args(["connect", "--name", "laptop", "--url", url, "--root"])
        .arg(stage.root())
        .arg("--state-dir")
        .arg(stage.state())
        .env("IMPRESARIO_EXECUTOR_KEY", KEY);
    Program::start(&mut command)
}

pub(crate) fn signal(program: &Program, signal: Signal) {
    let pid = Pid::from_raw(program.id().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits until the executor on this stage, which may be at work, has nothing in its ledger that the node has not acknowledged.
async fn all_acknowledged(stage: &Stage) {
    let path = stage.state().join("ledger");
    eventually("every call was acknowledged", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let count = |record: &str| text.matches(&format!("\"record\":\"{record}\"")).count();
        count("begun") > 0 && count("begun") == count("acked")
    })
    .await;
}

#[test]
fn a_task_is_done_on_another_machine() {
    let stage = Stage::new();
    let house = House::new([(
        "a".to_owned(),
        vec![
            turn(
                "write_file",
                json!({"path": "notes/a.txt", "content": "hello"}),
            ),
            turn(
                "shell",
                json!({"command": "echo x >> count; cat notes/a.txt"}),
            ),
            turn("read_file", json!({"path": "count"})),
        ],
    )]);
    run(async {
        let node = house.node().await;
        let task = node.begin("a").await;
        let mut program = connect(&stage, &house.url());
        assert_eq!(node.end(task).await, "     1\tx\n");
        assert_eq!(stage.read("count"), "x\n");
        assert_eq!(stage.read("notes/a.txt"), "hello");

        let listed = node.connected();
        let [one] = listed.as_slice() else {
            panic!("{listed:?}");
        };
        assert!(one.id.to_string().starts_with("exec_"));
        assert_eq!(one.name, "laptop");
        assert_eq!(
            one.root,
            stage.root().canonicalize().unwrap().display().to_string()
        );
        assert!(one.ledger.is_some() && one.tools.contains(&"shell".to_owned()));
        assert_eq!(one.calls_in_flight, 0);

        program.wait_for("connected");
        all_acknowledged(&stage).await;
        signal(&program, Signal::TERM);
        let ran = program.end();
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        node.has_executors(0).await;
    });
}

#[test]
fn ctrl_c_ends_what_runs_and_the_node_is_told() {
    let stage = Stage::new();
    let command = "echo x >> count; sleep 600";
    let house = House::new([(
        "a".to_owned(),
        vec![turn("shell", json!({"command": command}))],
    )]);
    run(async {
        let node = house.node().await;
        let program = connect(&stage, &house.url());
        let task = node.begin("a").await;
        eventually("the command runs", || stage.read("count") == "x\n").await;
        assert_eq!(node.connected()[0].calls_in_flight, 1);
        signal(&program, Signal::INT);
        let ran = program.end();
        assert_eq!(ran.code(), Some(130), "{ran:?}");
        // It heard before the executor was gone: nobody has to come back for that.
        let told = node.end(task).await;
        assert!(told.contains("whether it took effect is unknown"), "{told}");
        assert_eq!(node.doubts(task).await, 1);
    });
}

#[test]
fn an_executor_that_is_frozen_is_noticed_and_goes_on_where_it_was() {
    let stage = Stage::new();
    let command = "echo x >> count; while [ ! -e go ]; do sleep 0.01; done; echo done";
    let house = House::new([(
        "a".to_owned(),
        vec![turn("shell", json!({"command": command}))],
    )]);
    let house = house.impatient();
    run(async {
        let node = house.node().await;
        let program = connect(&stage, &house.url());
        let task = node.begin("a").await;
        eventually("the command runs", || stage.read("count") == "x\n").await;
        signal(&program, Signal::STOP);
        node.has_executors(0).await;
        stage.write("go", "");
        signal(&program, Signal::CONT);
        assert_eq!(node.end(task).await, "exit code 0\ndone\n");
        assert_eq!(stage.read("count"), "x\n");
        assert_eq!(node.doubts(task).await, 0);
        drop(program);
    });
}

#[test]
fn a_node_that_dies_and_comes_back_finds_the_call_where_it_was() {
    let stage = Stage::new();
    let command = "echo x >> count; while [ ! -e go ]; do sleep 0.01; done; echo done";
    let house = House::new([(
        "a".to_owned(),
        vec![turn("shell", json!({"command": command}))],
    )]);
    run(async {
        let node = house.node().await;
        let mut program = connect(&stage, &house.url());
        let task = node.begin("a").await;
        eventually("the command runs", || stage.read("count") == "x\n").await;
        drop(node);
        program.wait_for("the connection is lost");
        let node = house.node().await;
        node.has_executors(1).await;
        stage.write("go", "");
        assert_eq!(node.end(task).await, "exit code 0\ndone\n");
        assert_eq!(stage.read("count"), "x\n");
        assert_eq!(node.doubts(task).await, 0);
        all_acknowledged(&stage).await;
        drop(program);
        node.has_executors(0).await;
    });
}
