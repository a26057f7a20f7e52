//! Commands that ask a running node: where it is and with which key, and what its refusals come to.

pub(super) mod key;
pub(super) mod project;
pub(super) mod run_log;
mod table;
pub(super) mod task;
pub(super) mod tree;

use std::io;

use clap::{Args, ValueHint, value_parser};
use serde::Serialize;

use super::run::{Commands, Place};
use super::{Exit, output};
use crate::client::{Client, Error, Page, Paging, ProblemKind};

/// Which node is asked, and how it answers.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The node; `http://127.0.0.1:7700` unless given
    #[arg(
        long,
        env = "IMPRESARIO_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    #[arg(global = true, value_hint = ValueHint::Url)]
    url: Option<String>,
    /// A key of the node; on its own machine the one in `.impresario/admin.key` unless given
    #[arg(
        long,
        env = "IMPRESARIO_KEY",
        value_name = "KEY",
        hide_env_values = true,
        global = true
    )]
    key: Option<String>,
    /// Print JSON: one document, or one object a line where things go on
    #[arg(long, global = true)]
    json: bool,
}

/// Which part of a list is printed.
#[derive(Debug, Args)]
struct Part {
    /// How many at most, from 1 to 500
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Where to begin, as the list before said
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// Why a command came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The node, or the way to it.
    Node(Error),
    /// What was asked for makes no sense.
    Usage(String),
    /// Nobody reads the output.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Remote {
    /// Does this with the node.
    fn with(&self, work: impl AsyncFnOnce(&Client) -> Result<Exit, Failure>) -> io::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let done = match Client::found(self.url.as_deref(), self.key.as_deref()) {
            Ok(client) => runtime.block_on(work(&client)),
            Err(error) => Err(error.into()),
        };
        runtime.shutdown_background();
        match done {
            Ok(exit) => Ok(exit),
            Err(Failure::Usage(what)) => output::error(&what).map(|()| Exit::Refused),
            Err(Failure::Output(error)) => Err(error),
            Err(Failure::Node(error)) => self.refused(&error),
        }
    }

    fn refused(&self, error: &Error) -> io::Result<Exit> {
        if let (true, Some(problem)) = (self.json, error.problem()) {
            output::json(&serde_json::to_value(problem)?)?;
        }
        output::error(&error.to_string())?;
        if let Some(advice) = advice(error) {
            output::note(advice)?;
        }
        Ok(match error {
            Error::Settings(_) => Exit::Refused,
            _ => Exit::Unreachable,
        })
    }

    /// One document, or what people read of it.
    fn print(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        match self.json {
            true => output::json(&serde_json::to_value(document)?),
            false => output::data(&text()),
        }
    }

    /// A list; where it goes on is said beside it.
    fn list<T: Serialize>(
        &self,
        page: &Page<T>,
        text: impl FnOnce(&[T]) -> String,
    ) -> Result<Exit, Failure> {
        self.print(page, || text(&page.data))?;
        if let (false, Some(cursor)) = (self.json, &page.next_cursor) {
            output::note(&format!("there are more: --cursor {cursor}"))?;
        }
        Ok(Exit::Done)
    }

    /// How the program is called to go on with a task.
    fn commands(&self, task: actors::model::TaskId) -> Commands {
        let is_known = std::env::var("IMPRESARIO_URL").ok() == self.url;
        let url = self.url.clone().filter(|_| !is_known);
        Commands::new(Place::Node(task, url))
    }
}

fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unreachable { .. } => {
            Some("is it running (`impresario serve`), and is `--url` right?")
        }
        error if error.is(&ProblemKind::Unauthorized) => {
            Some("give a good key with `--key` or `IMPRESARIO_KEY`")
        }
        _ => None,
    }
}

impl Part {
    fn paging(&self) -> Paging {
        Paging {
            limit: Some(self.limit.into()),
            cursor: self.cursor.clone(),
        }
    }
}
