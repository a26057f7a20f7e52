use actors::model::executor::{CallErrorCode, CallOutcome, FromExecutor, ToExecutor};
use impresario::executor::{Executor, ServeError};
use serde_json::json;
use tokio::sync::mpsc::channel;

use super::stage::{Stage, call, error, id, linked, run};

/// A command that waits until the test makes a file.
fn wait_for(file: &str) -> serde_json::Value {
    json!({"command": format!("echo waiting; while [ ! -e {file} ]; do sleep 0.01; done; cat {file}; echo x >> count")})
}

#[test]
fn calls_run_side_by_side_up_to_the_limit() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.limits.calls = 2;
    let executor = Executor::open(options).unwrap();
    run(linked(&executor, async |node| {
        for name in ["a", "b"] {
            node.send(call(name, 1, "shell", wait_for(name))).await;
        }
        let refused = error(node.ask("c", "shell", json!({"command": "true"})).await);
        assert_eq!(refused.code, CallErrorCode::Failed);
        insta::assert_snapshot!(refused.message, @"this executor already runs 2 calls and may not run more; nothing was done, ask again when one has ended");
        for name in ["b", "a"] {
            stage.write(name, name);
            let outcome = node.result(name).await;
            assert_eq!(
                outcome,
                CallOutcome::Ok(format!("exit code 0\nwaiting\n{name}\n"))
            );
        }
        let outcome = node.ask("c", "shell", json!({"command": "true"})).await;
        assert_eq!(
            outcome,
            CallOutcome::Ok("exit code 0\n[no output]\n".into()),
            "a refused call may be asked again"
        );
    }));
}

#[test]
fn a_call_that_runs_is_joined_and_an_older_epoch_refused() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.send(call("a", 1, "shell", wait_for("go"))).await;
        node.output_with("waiting").await;
        node.send(call("a", 3, "shell", wait_for("go"))).await;
        assert_eq!(
            node.next().await,
            FromExecutor::Started { call_id: id("a") }
        );
        node.send(call("a", 2, "shell", wait_for("go"))).await;
        assert_eq!(
            error(node.result("a").await).code,
            CallErrorCode::StaleEpoch
        );
        stage.write("go", "gone");
        assert_eq!(
            node.result("a").await,
            CallOutcome::Ok("exit code 0\nwaiting\ngone".to_owned() + "\n")
        );
        node.send(call("a", 2, "shell", wait_for("go"))).await;
        assert_eq!(
            error(node.result("a").await).code,
            CallErrorCode::StaleEpoch
        );
        node.send(call("a", 3, "shell", wait_for("go"))).await;
        assert!(matches!(node.result("a").await, CallOutcome::Ok(_)));
    }));
    assert_eq!(stage.read("count"), "x\n");
}

#[test]
fn a_call_says_that_it_started_and_is_cancelled() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.send(call("a", 1, "shell", wait_for("never"))).await;
        assert_eq!(
            node.next().await,
            FromExecutor::Started { call_id: id("a") }
        );
        node.output_with("waiting").await;
        node.send(ToExecutor::Cancel {
            call_id: id("unknown"),
        })
        .await;
        node.send(ToExecutor::Cancel { call_id: id("a") }).await;
        let ended = error(node.result("a").await);
        assert_eq!(ended.code, CallErrorCode::Cancelled);
        assert_eq!(
            ended.message,
            "cancelled; nothing of it runs any more\nwaiting\n"
        );
    }));
}

#[test]
fn closing_the_link_interrupts_what_runs_and_says_so_later() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        let (to, inbound) = channel(8);
        let (outbound, mut from) = channel(8);
        let node = async {
            to.send(call("a", 1, "shell", wait_for("never")))
                .await
                .unwrap();
            while !matches!(from.recv().await, Some(FromExecutor::Output { .. })) {}
            drop(to);
        };
        let (served, ()) = tokio::join!(executor.serve(inbound, outbound), node);
        served.unwrap();
        linked(&executor, async |node| {
            let unasked = error(node.result("a").await);
            assert_eq!(unasked.code, CallErrorCode::Interrupted);
            let asked = error(node.ask("a", "shell", wait_for("never")).await);
            assert_eq!(asked, unasked);
        })
        .await;
    });
}

#[test]
fn one_link_at_a_time() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |_| {
        let ((_to, inbound), (outbound, _from)) = (channel(1), channel(1));
        let second = executor.serve(inbound, outbound).await;
        assert!(matches!(second, Err(ServeError::Busy)));
    }));
}

#[test]
fn a_node_that_does_not_listen_holds_up_nothing_but_itself() {
    let stage = Stage::new();
    stage.write("a", "x");
    let executor = stage.open();
    run(async {
        let (to, inbound) = channel(1);
        let (outbound, mut from) = channel(1);
        let node = async {
            let command = "yes | head -c 3000000; touch done";
            to.send(call("loud", 1, "shell", json!({"command": command})))
                .await
                .unwrap();
            while !matches!(from.recv().await, Some(FromExecutor::Started { .. })) {}
            super::stage::eventually("the command ends though nobody listens", || {
                stage.root().join("done").exists()
            })
            .await;
            while !matches!(from.recv().await, Some(FromExecutor::Result { .. })) {}
            drop(to);
        };
        let (served, ()) = tokio::join!(executor.serve(inbound, outbound), node);
        served.unwrap();
    });
}

#[test]
fn without_a_supervisor_there_is_no_shell_and_it_says_why() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.shell.supervisor = Some("/bin/false".into());
    let executor = Executor::open(options).unwrap();
    let FromExecutor::Hello { tools, .. } = executor.hello() else {
        panic!("no hello");
    };
    assert!(tools.iter().all(|tool| tool.name != "shell"));
    assert!(!executor.sandbox().has_shell());
    insta::assert_snapshot!(executor.sandbox().lines().join("\n"), @"shell: not offered: /bin/false cannot supervise commands: it answers ``");
}

#[test]
fn a_program_that_was_not_asked_to_supervise_does_not() {
    if std::env::var_os("IMPRESARIO_SUPERVISOR").is_some() {
        eprintln!("skipped: IMPRESARIO_SUPERVISOR names a program");
        return;
    }
    let stage = Stage::new();
    let mut options = stage.options();
    options.shell.supervisor = None;
    let executor = Executor::open(options).unwrap();
    insta::assert_snapshot!(executor.sandbox().lines().join("\n"), @"shell: not offered: there is no program to supervise commands: call impresario::executor::main_hook() first in main, or name an impresario program in IMPRESARIO_SUPERVISOR");
}
