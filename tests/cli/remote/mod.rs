//! Commands that ask a running node: the program itself, against a node's HTTP interface.

mod access;
mod refusals;
mod tasks;
mod tree;
mod watch;

use std::process::Command;

use tokio::task::block_in_place;

use crate::api::{Door, plain};
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
    let stamp = regex::Regex::new(r"\b\d\d:\d\d\.\d{3}\b").expect("a pattern");
    let took = regex::Regex::new(r"(?m)^time      .*").expect("a pattern");
    let all = stamp.replace_all(&all, "MM:SS.mmm");
    let all = took.replace_all(&all, "time      TOOK");
    plain(&all)
}

/// What a command wrote to stdout, which is one word.
fn word(door: &Door, args: &[&str]) -> String {
    let ran = ran(&mut program(door, args));
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}
