//! Tests of `cli` through its public boundary: the program itself.

mod check;
mod remote;
mod run;
mod usage;

use std::process::{Command, Output};

/// The program, with nothing of this environment that would change what it prints.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_impresario"));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command.args(args);
    command
}

/// How it ended and what it wrote.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn run(args: &[&str]) -> Ran {
    ended(program(args).output().expect("the program starts"))
}

pub(crate) fn ended(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
