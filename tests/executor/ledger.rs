use std::fs;

use actors::model::executor::{CallErrorCode, CallOutcome, FromExecutor, ToExecutor};
use impresario::executor::{Executor, LedgerError, OpenError};
use serde_json::{Value, json};

use super::stage::{Stage, call, error, id, linked, run};

fn count() -> Value {
    json!({"command": "echo x >> count; cat count"})
}

#[test]
fn a_call_seen_again_returns_its_result_across_lives() {
    let stage = Stage::new();
    let executor = stage.open();
    let first = run(linked(&executor, async |node| {
        let first = node.ask("a", "shell", count()).await;
        assert_eq!(node.ask("a", "shell", count()).await, first);
        assert_eq!(
            node.ask("a", "write_file", json!({})).await,
            first,
            "the id counts, not what is asked"
        );
        first
    }));
    drop(executor);
    let executor = stage.open();
    run(linked(&executor, async |node| {
        assert_eq!(node.result("a").await, first, "sent again unasked");
        assert_eq!(node.ask("a", "shell", count()).await, first);
    }));
    assert_eq!(stage.read("count"), "x\n");
}

#[test]
fn an_acknowledged_call_is_forgotten() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.ask("a", "shell", count()).await;
        node.send(ToExecutor::Ack { call_id: id("a") }).await;
        node.ask("b", "read_file", json!({"path": "count"})).await;
    }));
    assert_eq!(executor.unacknowledged(), []);
    drop(executor);
    assert_eq!(stage.open().unacknowledged(), []);
}

#[test]
fn errors_of_tools_that_began_are_results_too() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        let args = json!({"path": "none", "old_text": "a", "new_text": "b"});
        let first = node.ask("a", "edit_file", args.clone()).await;
        assert_eq!(error(first.clone()).code, CallErrorCode::Failed);
        stage.write("none", "a");
        assert_eq!(node.ask("a", "edit_file", args).await, first);
    }));
    assert_eq!(stage.read("none"), "a");
}

#[test]
fn a_pure_call_is_done_again_but_not_for_an_older_epoch() {
    let stage = Stage::new();
    stage.write("a", "one");
    let executor = stage.open();
    run(linked(&executor, async |node| {
        let args = json!({"path": "a"});
        node.send(call("a", 2, "read_file", args.clone())).await;
        assert_eq!(
            node.result("a").await,
            CallOutcome::Ok("     1\tone\n".into())
        );
        stage.write("a", "two");
        node.send(call("a", 1, "read_file", args.clone())).await;
        assert_eq!(
            error(node.result("a").await).code,
            CallErrorCode::StaleEpoch
        );
        node.send(call("a", 2, "read_file", args)).await;
        assert_eq!(
            node.result("a").await,
            CallOutcome::Ok("     1\ttwo\n".into())
        );
    }));
}

#[test]
fn a_later_epoch_is_remembered_across_lives() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.send(call("a", 1, "shell", count())).await;
        node.result("a").await;
        node.send(call("a", 5, "shell", count())).await;
        node.result("a").await;
    }));
    drop(executor);
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.result("a").await;
        node.send(call("a", 4, "shell", count())).await;
        assert_eq!(
            error(node.result("a").await).code,
            CallErrorCode::StaleEpoch
        );
    }));
}

#[test]
fn dropping_the_link_leaves_a_call_interrupted_for_ever() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        linked(&executor, async |node| {
            node.send(call(
                "a",
                1,
                "shell",
                json!({"command": "echo x >> count; echo begun; sleep 60"}),
            ))
            .await;
            node.output_with("begun").await;
        })
        .await;
        linked(&executor, async |node| {
            let outcome = node.ask("a", "shell", count()).await;
            assert_eq!(error(outcome).code, CallErrorCode::Interrupted);
        })
        .await;
    });
    drop(executor);
    let executor = stage.open();
    run(linked(&executor, async |node| {
        assert_eq!(
            error(node.result("a").await).code,
            CallErrorCode::Interrupted
        );
    }));
    assert_eq!(stage.read("count"), "x\n");
}

#[test]
fn the_state_folder_has_one_executor() {
    let stage = Stage::new();
    let first = stage.open();
    let second = Executor::open(stage.options()).unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }));
    let told = second.to_string().replace(
        &*stage.state().canonicalize().unwrap().to_string_lossy(),
        "STATE",
    );
    let own = format!("(process {})", std::process::id());
    insta::assert_snapshot!(told.replace(&own, "(process N)"), @"the state folder STATE is in use by another executor (process N); stop that one, or give this one a folder of its own");
    drop(first);
    stage.open();
}

#[test]
fn the_state_folder_is_out_of_the_agents_reach() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.state_dir = stage.root().join("state");
    assert!(matches!(
        Executor::open(options).unwrap_err(),
        OpenError::StateInsideRoot { .. }
    ));
}

#[test]
fn a_torn_end_is_forgiven_and_damage_before_it_is_not() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.ask("a", "shell", count()).await;
        node.ask("b", "shell", count()).await;
    }));
    drop(executor);
    let path = stage.state().join("ledger");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let executor = stage.open();
    let frames: Vec<_> = executor.unacknowledged();
    assert_eq!(frames.len(), 2);
    let FromExecutor::Result { outcome, .. } = frames[1].clone() else {
        panic!("no result");
    };
    assert_eq!(
        error(outcome).code,
        CallErrorCode::Interrupted,
        "the torn record was the end of b"
    );
    drop(executor);
    let mut damaged = whole;
    let first = damaged.iter().position(|byte| *byte == b'\n').unwrap();
    damaged[first + 30] ^= 1;
    fs::write(&path, damaged).unwrap();
    let refused = Executor::open(stage.options()).unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::Ledger(LedgerError::Damaged { line: 2, .. })
        ),
        "{refused}"
    );
}

#[test]
fn the_ledger_is_written_anew_and_stays_small() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.limits.compact_bytes = 2000;
    let executor = Executor::open(options).unwrap();
    let size = || fs::metadata(stage.state().join("ledger")).unwrap().len();
    run(linked(&executor, async |node| {
        node.ask("kept", "write_file", json!({"path": "kept", "content": ""}))
            .await;
        for _ in 0..60 {
            node.done("write_file", json!({"path": "a", "content": ""}))
                .await;
            assert!(size() < 5000);
        }
        for epoch in 2..100 {
            node.send(call("kept", epoch, "write_file", json!({})))
                .await;
            node.result("kept").await;
            assert!(size() < 5000);
        }
    }));
    drop(executor);
    let kept = stage.open().unacknowledged();
    assert!(matches!(&kept[0], FromExecutor::Result { call_id, .. } if *call_id == id("kept")));
    assert!(
        kept.len() <= 2,
        "at most the last acknowledgement was not written down any more: {kept:?}"
    );
}

#[test]
fn a_node_that_never_acknowledges_is_refused() {
    let stage = Stage::new();
    stage.write("a", "");
    let mut options = stage.options();
    options.limits.unacknowledged = 1;
    let executor = Executor::open(options).unwrap();
    run(linked(&executor, async |node| {
        node.ask("a", "shell", count()).await;
        for tool in [("shell", count()), ("read_file", json!({"path": "a"}))] {
            let refused = error(node.ask("b", tool.0, tool.1).await);
            insta::allow_duplicates!(
                insta::assert_snapshot!(refused.message, @"the ledger is full (1 calls): the node does not acknowledge results; nothing was done")
            );
        }
        node.send(ToExecutor::Ack { call_id: id("a") }).await;
        assert!(matches!(
            node.ask("a2", "shell", count()).await,
            CallOutcome::Ok(_)
        ));
    }));
    assert_eq!(stage.read("count"), "x\nx\n");
}
