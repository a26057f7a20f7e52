//! What the kernel keeps a command from, where it can.

use impresario::executor::Executor;
use serde_json::json;

use super::stage::{Stage, linked, run};

/// Executors whose commands landlock confines, with namespaces and without.
fn confined(stage: &Stage) -> impl Iterator<Item = Executor> {
    [true, false].into_iter().filter_map(|namespaces| {
        let mut options = stage.options();
        options.shell.namespaces = namespaces;
        let executor = Executor::open(options).unwrap();
        let lines = executor.sandbox().lines();
        match executor.sandbox().landlock() {
            Some(_) => Some(executor),
            None => {
                eprintln!("skipped: this kernel has no landlock: {lines:#?}");
                None
            }
        }
    })
}

fn told(executor: &Executor, command: &str) -> String {
    run(linked(executor, async |node| {
        node.done("shell", json!({"command": command})).await
    }))
}

#[test]
fn a_command_writes_only_below_the_root_and_in_its_own_folders() {
    let stage = Stage::new();
    let outside = stage.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let path = outside.display();
    let command = format!(
        "echo x > inside && echo x > $TMPDIR/x && echo x > $HOME/x && echo may; \
         for to in {path} {path}.new ../outside ../state/ledger; do (echo x > $to) 2>/dev/null && echo wrote $to; done; \
         cat {path} ../state/ledger 2>/dev/null; ln -sf {path} link; cat link 2>/dev/null; \
         rm -f {path} ../state/ledger 2>/dev/null; mknod disk b 8 0 2>/dev/null && echo made; echo end"
    );
    for executor in confined(&stage) {
        assert_eq!(told(&executor, &command), "exit code 0\nmay\nend\n");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "secret");
        assert!(stage.state().join("ledger").exists());
    }
}

#[test]
fn a_command_does_not_look_into_the_executor() {
    let stage = Stage::new();
    let own = std::process::id();
    let command = format!(
        "cat /proc/{own}/environ /proc/{own}/maps 2>/dev/null; readlink /proc/{own}/fd/* /proc/{own}/cwd; kill -0 {own} 2>/dev/null && echo reached; echo end"
    );
    for executor in confined(&stage) {
        if executor.sandbox().landlock() < Some(6) {
            eprintln!("skipped: this kernel's landlock lets signals out");
            continue;
        }
        assert_eq!(told(&executor, &command), "exit code 0\nend\n");
    }
}

#[test]
fn the_system_is_there_to_be_used() {
    let stage = Stage::new();
    let command = "ls /usr >/dev/null && cat /etc/passwd >/dev/null && echo x > /dev/null && date >/dev/null && echo fine";
    for executor in confined(&stage) {
        assert_eq!(told(&executor, command), "exit code 0\nfine\n");
    }
}

#[test]
fn of_root_little_is_left() {
    let stage = Stage::new();
    let kept: u64 = [0, 1, 3, 4, 5, 6, 7, 10]
        .into_iter()
        .map(|bit| 1 << bit)
        .sum();
    for executor in confined(&stage) {
        let told = told(&executor, "grep Cap[EP] /proc/self/status");
        for line in told.lines().skip(1) {
            let (_, sets) = line.split_once(":\t").unwrap();
            let sets = u64::from_str_radix(sets, 16).unwrap();
            assert_eq!(sets & !kept, 0, "{line}");
        }
    }
}

#[test]
fn nobody_becomes_another_user() {
    for landlock in [true, false] {
        let stage = Stage::new();
        let mut options = stage.options();
        options.shell.landlock = landlock;
        let executor = Executor::open(options).unwrap();
        assert_eq!(
            told(&executor, "grep NoNewPrivs /proc/self/status"),
            "exit code 0\nNoNewPrivs:\t1\n"
        );
    }
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
