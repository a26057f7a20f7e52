//! Whatever ends a command ends everything it started, also what left its session, its group and its parents.

use std::time::Duration;

use actors::model::executor::{CallErrorCode, FromExecutor, ToExecutor};
use impresario::executor::{Executor, Options};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::host::Host;
use super::stage::{Stage, call, error, eventually, id, linked, run};

/// Ways to keep commands in: namespaces, landlock.
const WAYS: [(bool, bool); 3] = [(true, true), (false, true), (false, false)];

/// A number of seconds to sleep by which a test's processes are known from all others.
fn mark() -> String {
    use std::hash::{BuildHasher, Hasher};
    let number = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    format!("3600.{number:020}")
}

/// The ids of the processes whose arguments hold `mark`.
fn alive(mark: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(mark)
        })
        .collect()
}

/// A command with children in sessions of their own, children that fork twice, that ignore hangups and that ignore SIGTERM.
fn family(mark: &str) -> Value {
    let stubborn = format!("trap '' TERM HUP INT; sleep {mark} & wait; sleep {mark}");
    let command = format!(
        "setsid sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' &) ; nohup sleep {mark} >/dev/null 2>&1 & \
         sh -c \"{stubborn}\" & (env -i setsid sleep {mark} >/dev/null 2>&1 &) ; echo ready; wait"
    );
    json!({"command": command})
}

const NONE: [i32; 0] = [];

/// How many processes [`family`] has at least.
const FAMILY: usize = 7;

async fn grown(mark: &str) {
    eventually("all children are there", || alive(mark).len() >= FAMILY).await;
}

async fn gone(mark: &str) {
    eventually("none of the tree is left", || alive(mark).is_empty()).await;
}

fn opened(stage: &Stage, way: (bool, bool)) -> Option<Executor> {
    open_with(stage.options(), way)
}

fn open_with(mut options: Options, (namespaces, landlock): (bool, bool)) -> Option<Executor> {
    options.shell.namespaces = namespaces;
    options.shell.landlock = landlock;
    let executor = Executor::open(options).unwrap();
    let sandbox = executor.sandbox();
    if (namespaces, landlock) != (sandbox.has_namespace(), sandbox.landlock().is_some()) {
        eprintln!(
            "skipped: this machine lacks namespaces or landlock: {:#?}",
            sandbox.lines()
        );
        return None;
    }
    Some(executor)
}

#[test]
fn after_a_cancel() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        run(linked(&executor, async |node| {
            node.send(call("a", 1, "shell", family(&mark))).await;
            node.output_with("ready").await;
            grown(&mark).await;
            node.send(ToExecutor::Cancel { call_id: id("a") }).await;
            assert_eq!(error(node.result("a").await).code, CallErrorCode::Cancelled);
            assert_eq!(alive(&mark), NONE, "gone when the result says so");
        }));
    }
}

#[test]
fn after_a_timeout() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        run(linked(&executor, async |node| {
            let mut args = family(&mark);
            args["timeout_ms"] = json!(300);
            let ended = error(node.ask("a", "shell", args).await);
            assert_eq!(ended.code, CallErrorCode::Timeout);
            assert_eq!(
                ended.message,
                "it took longer than 300 ms and was ended; nothing of it runs any more\nready\n"
            );
            assert_eq!(alive(&mark), NONE, "gone when the result says so");
        }));
    }
}

#[test]
fn after_the_command_itself() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        run(linked(&executor, async |node| {
            let command = format!("setsid sleep {mark} & (sleep {mark} &) ; exit 3");
            let told = node.done("shell", json!({"command": command})).await;
            assert_eq!(
                told,
                "exit code 3\n[no output]\n[2 processes were left in the background and ended]\n"
            );
            assert_eq!(alive(&mark), NONE);
        }));
    }
}

#[test]
fn after_the_link_is_dropped() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        run(async {
            linked(&executor, async |node| {
                node.send(call("a", 1, "shell", family(&mark))).await;
                node.output_with("ready").await;
                grown(&mark).await;
            })
            .await;
            gone(&mark).await;
        });
    }
}

#[test]
fn after_a_kill_of_the_host() {
    for way in WAYS {
        let stage = Stage::new();
        if opened(&stage, way).is_none() {
            continue;
        }
        let mark = mark();
        run(async {
            let mut host = Host::start(&stage, way, None);
            host.send(&call("a", 1, "shell", family(&mark))).await;
            host.output_with("ready").await;
            grown(&mark).await;
            host.kill().await;
            gone(&mark).await;
        });
    }
}

#[test]
fn while_it_does_nothing_but_fork() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        run(linked(&executor, async |node| {
            let command = format!(
                "trap '' TERM; fork() {{ while :; do (setsid sleep {mark} &) ; sleep 0.01; done; }}; \
                 fork & fork & (fork &) ; echo ready; fork"
            );
            node.send(call("a", 1, "shell", json!({"command": command})))
                .await;
            node.output_with("ready").await;
            grown(&mark).await;
            node.send(ToExecutor::Cancel { call_id: id("a") }).await;
            assert_eq!(error(node.result("a").await).code, CallErrorCode::Cancelled);
            assert_eq!(alive(&mark), NONE);
        }));
    }
}

#[test]
fn while_it_runs_away_from_one_process_to_the_next() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        stage.write(&mark, "trap '' TERM; sh ./$0 &");
        run(linked(&executor, async |node| {
            let command = format!("for i in 1 2 3; do sh {mark} & done; echo ready; sleep 60");
            node.send(call("a", 1, "shell", json!({"command": command})))
                .await;
            node.output_with("ready").await;
            node.send(ToExecutor::Cancel { call_id: id("a") }).await;
            assert_eq!(error(node.result("a").await).code, CallErrorCode::Cancelled);
            assert_eq!(alive(&mark), NONE);
        }));
    }
}

#[test]
fn a_command_that_wants_to_kill_its_supervisor() {
    for way in WAYS {
        let stage = Stage::new();
        let Some(executor) = opened(&stage, way) else {
            continue;
        };
        let mark = mark();
        run(linked(&executor, async |node| {
            let command =
                format!("setsid sleep {mark} & kill -9 $PPID 2>/dev/null; echo still; exit 0");
            match way {
                (false, false) => {
                    let ended = error(node.ask("a", "shell", json!({"command": command})).await);
                    assert!(
                        ended
                            .message
                            .starts_with("the command's supervisor died without a word"),
                        "{ended:?}"
                    );
                }
                _ => {
                    let told = node.done("shell", json!({"command": command})).await;
                    assert!(told.starts_with("exit code 0\nstill\n"), "{told}");
                }
            }
            assert_eq!(alive(&mark), NONE);
        }));
    }
}

#[test]
fn a_command_that_stops_its_supervisor() {
    for way in WAYS {
        let stage = Stage::new();
        let mut options = stage.options();
        options.limits.tools.shell.patience = Duration::from_secs(2);
        let Some(executor) = open_with(options, way) else {
            continue;
        };
        let mark = mark();
        run(linked(&executor, async |node| {
            let command =
                format!("setsid sleep {mark} & kill -STOP $PPID 2>/dev/null; echo ready; wait");
            node.send(call("a", 1, "shell", json!({"command": command})))
                .await;
            node.output_with("ready").await;
            node.send(ToExecutor::Cancel { call_id: id("a") }).await;
            assert_eq!(error(node.result("a").await).code, CallErrorCode::Cancelled);
            assert_eq!(alive(&mark), NONE);
        }));
    }
}

#[test]
fn what_two_kills_left_is_ended_by_the_next_life() {
    let stage = Stage::new();
    let mark = mark();
    run(async {
        let mut host = Host::start(&stage, (false, false), None);
        host.send(&call(
            "a",
            1,
            "shell",
            json!({"command": format!("setsid sleep {mark} & echo ready; wait")}),
        ))
        .await;
        host.output_with("ready").await;
        eventually("the child is there", || !alive(&mark).is_empty()).await;
        kill_process(host.pid(), Signal::STOP).unwrap();
        for child in children(host.pid()) {
            kill_process(child, Signal::KILL).unwrap();
        }
        host.kill().await;
        assert_ne!(alive(&mark), NONE, "both who could end it are gone");
        let executor = stage.open();
        assert_eq!(alive(&mark), NONE);
        linked(&executor, async |node| {
            assert_eq!(
                error(node.result("a").await).code,
                CallErrorCode::Interrupted
            );
        })
        .await;
    });
}

fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_nonzero();
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).unwrap();
    tasks
        .flat_map(|task| {
            let path = task.unwrap().path().join("children");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split_whitespace()
                .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_output_of_a_program_outside_the_tree_is_not_waited_for() {
    let stage = Stage::new();
    let executor = stage.open();
    run(linked(&executor, async |node| {
        node.send(call(
            "a",
            1,
            "shell",
            json!({"command": "echo out; echo err >&2; echo out"}),
        ))
        .await;
        let mut frames = Vec::new();
        loop {
            match node.next().await {
                FromExecutor::Output { chunk, .. } => frames.push(chunk),
                FromExecutor::Result { outcome, .. } => {
                    assert_eq!(
                        format!("{outcome:?}"),
                        "Ok(\"exit code 0\\nout\\nerr\\nout\\n\")"
                    );
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(
            frames.concat(),
            "out\nerr\nout\n",
            "what is watched is what is returned"
        );
    }));
}
