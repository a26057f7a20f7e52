//! What the kernel keeps a command from, where it can.

use impresario::executor::Executor;
use serde_json::json;

use super::stage::{Stage, linked, run};

fn confined(stage: &Stage) -> Option<Executor> {
    let executor = stage.open();
    if executor.sandbox().landlock().is_none() {
        eprintln!(
            "skipped: this kernel has no landlock: {:#?}",
            executor.sandbox().lines()
        );
        return None;
    }
    Some(executor)
}

fn told(executor: &Executor, command: &str) -> String {
    run(linked(executor, async |node| {
        node.done("shell", json!({"command": command})).await
    }))
}

#[test]
fn a_command_writes_only_below_the_root_and_in_its_own_folders() {
    let stage = Stage::new();
    let Some(executor) = confined(&stage) else {
        return;
    };
    let outside = stage.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let outside = outside.display();
    let command = format!(
        "echo x > inside && echo x > $TMPDIR/x && echo x > $HOME/x && echo may; \
         for to in {outside} {outside}.new ../outside ../state/ledger; do (echo x > $to) 2>/dev/null && echo wrote $to; done; \
         cat {outside} ../state/ledger 2>/dev/null; ln -s {outside} link; cat link 2>/dev/null; rm -f {outside} ../state/ledger 2>/dev/null; echo end"
    );
    assert_eq!(told(&executor, &command), "exit code 0\nmay\nend\n");
    assert_eq!(
        std::fs::read_to_string(stage.path().join("outside")).unwrap(),
        "secret"
    );
    assert!(stage.state().join("ledger").exists());
}

#[test]
fn a_command_does_not_see_the_environment_of_the_executor() {
    let stage = Stage::new();
    let Some(executor) = confined(&stage) else {
        return;
    };
    let command = format!(
        "cat /proc/{}/environ 2>/dev/null; cat /proc/*/environ 2>/dev/null | grep -c CARGO_MANIFEST_DIR",
        std::process::id()
    );
    assert_eq!(told(&executor, &command), "exit code 1\n0\n");
}

#[test]
fn the_system_is_there_to_be_used() {
    let stage = Stage::new();
    let Some(executor) = confined(&stage) else {
        return;
    };
    let command = "ls / >/dev/null 2>&1; ls /usr >/dev/null && cat /etc/passwd >/dev/null && echo x > /dev/null && date >/dev/null && echo fine";
    assert_eq!(told(&executor, command), "exit code 0\nfine\n");
}

#[test]
fn nobody_becomes_another_user() {
    let stage = Stage::new();
    let executor = stage.open();
    assert_eq!(
        told(&executor, "grep NoNewPrivs /proc/self/status"),
        "exit code 0\nNoNewPrivs:\t1\n"
    );
}

#[test]
fn the_lines_for_people_say_what_holds() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.shell.namespaces = false;
    options.shell.landlock = false;
    let executor = Executor::open(options).unwrap();
    let lines = executor.sandbox().lines().join("\n");
    let lines = lines.replace(env!("CARGO_BIN_EXE_impresario"), "PROGRAM");
    insta::assert_snapshot!(lines, @r"
    shell: supervised by PROGRAM
    process trees: ended by their supervisor, but a command that means to can kill it; no namespace: switched off
    files: commands may do what this user may; no landlock: switched off
    ");
}
