//! Commands that ask a running node: the program itself, against a node's HTTP interface.

mod access;
mod refusals;
mod tasks;
mod tree;
mod watch;

use std::process::Command;

use tokio::task::block_in_place;

use crate::api::Door;
use crate::support::program::{Ran, impresario, run};

/// The program, told about this node by its environment.
fn program(door: &Door, args: &[&str]) -> Command {
    let mut command = impresario();
    command.args(args);
    command.env("IMPRESARIO_URL", &door.url);
    command.env("IMPRESARIO_KEY", &door.key);
    command
}

fn ran(command: &mut Command) -> Ran {
    block_in_place(|| run(command))
}

/// What was asked for, as a snapshot has it: the command, its exit code and all it wrote.
fn told(door: &Door, args: &[&str]) -> String {
    let ran = ran(&mut program(door, args));
    shown(args, &ran)
}

fn shown(args: &[&str], ran: &Ran) -> String {
    let code = ran
        .code()
        .map_or("killed".to_owned(), |code| code.to_string());
    let all = format!(
        "$ {}\n{}{}= {code}\n",
        args.join(" "),
        ran.stdout,
        ran.stderr
    );
    let all = all.replace(env!("CARGO_BIN_EXE_impresario"), "impresario");
    steady(&all)
}

/// Ids, times and secrets that differ each time, replaced by others that are as long: what stands below each other goes on doing so.
fn steady(text: &str) -> String {
    let zeros = "0".repeat(32);
    let replaced = [
        (
            r"\b(task|run|key)_[0-9a-f]{32}\b",
            format!("${{1}}_{zeros}"),
        ),
        (r"\b([ie]k)_[0-9a-f]{96}\b", "${1}_SECRET".to_owned()),
        (
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
            "2026-01-01T00:00:00.000Z".to_owned(),
        ),
        (r"\b\d\d:\d\d\.\d{3}\b", "00:00.000".to_owned()),
        (r"(?m)^time      .*", "time      TOOK".to_owned()),
    ];
    let replace = |text: String, (from, to): (&str, String)| {
        let pattern = regex::Regex::new(from).expect("a pattern");
        pattern.replace_all(&text, to.as_str()).into_owned()
    };
    replaced.into_iter().fold(text.to_owned(), replace)
}

/// What a command wrote to stdout, which is one word.
fn word(door: &Door, args: &[&str]) -> String {
    let ran = ran(&mut program(door, args));
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}
