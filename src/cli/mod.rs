//! The command line: one file for each command. Data goes to stdout, everything said about it to stderr.

mod check;
mod completions;
mod connect;
mod exit;
mod output;
mod remote;
mod run;
mod schema;
mod serve;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::Exit;

/// A runtime in which AI agents are supervised actors and the show goes on
#[derive(Debug, Parser)]
#[command(
    name = "impresario",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
#[command(after_help = Exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Serve(Box<serve::Serve>),
    Connect(Box<connect::Connect>),
    Check(check::Check),
    Schema(schema::Schema),
    Task(Box<remote::task::Task>),
    RunLog(Box<remote::run_log::RunLog>),
    Tree(Box<remote::tree::Tree>),
    Project(Box<remote::project::Project>),
    Key(Box<remote::key::Key>),
    Completions(completions::Completions),
}

/// Runs the command that the program was started with.
#[must_use]
pub fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => finished(cli.command.run()),
        Err(error) => finished(error.print().map(|()| usage(&error))),
    };
    exit.into()
}

impl Command {
    fn run(&self) -> io::Result<Exit> {
        match self {
            Self::Run(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Connect(command) => command.run(),
            Self::Check(command) => command.run(),
            Self::Schema(command) => command.run(),
            Self::Task(command) => command.run(),
            Self::RunLog(command) => command.run(),
            Self::Tree(command) => command.run(),
            Self::Project(command) => command.run(),
            Self::Key(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}

/// Asking for help is no mistake.
fn usage(error: &clap::Error) -> Exit {
    match error.exit_code() {
        0 => Exit::Done,
        _ => Exit::Refused,
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn finished(result: io::Result<Exit>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            // With stderr gone as well there is nobody left to tell.
            let _ = output::error(&format!("cannot write the output: {error}"));
            Exit::Failed
        }
    }
}
