//! `impresario run`

mod lines;
mod outcome;
mod start;

use std::io;
use std::path::PathBuf;

use actors::feed::FeedItem;
use actors::model::{EventBody, TaskId, TaskStatus};
use actors::system::System;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, output};
use crate::config::Problems;
use lines::Lines;
use start::Started;

/// Run one task to its end on this machine, with live progress
#[derive(Debug, Args)]
#[command(after_help = "\
The first Ctrl-C cancels the task; a second one ends the program at once. A task that was interrupted in any other way, by a kill or \
a power cut, goes on with --continue: nothing is lost and nothing is done twice.")]
pub(super) struct Run {
    /// The team file; with --continue it may be left out, the task's own definition is in the data folder
    #[arg(required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// What is to be done, instead of what the file says
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// The team that does it, instead of the one the file names
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// The folder for everything that is kept; `.impresario` unless the file says otherwise
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The folder the agents work in; `workspace` in the data folder unless given
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Go on with the interrupted task of the data folder; start it where there is none
    #[arg(long = "continue")]
    resume: bool,
    /// With --continue: the answer to what the task waits for
    #[arg(long, value_name = "TEXT", requires = "resume")]
    answer: Option<String>,
    /// Print each event as one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Why nothing was started, or why it did not go on.
#[derive(Debug)]
enum Refusal {
    /// The file has mistakes.
    Problems(Problems),
    /// What was asked for makes no sense here; nothing was started.
    Usage(String),
    /// It could not be done.
    Failed(String),
}

impl Run {
    pub(super) fn run(&self) -> io::Result<Exit> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let done = runtime.block_on(self.play());
        runtime.shutdown_background();
        match done {
            Ok(exit) => exit,
            Err(Refusal::Problems(problems)) => output::problems(&problems).map(|()| Exit::Refused),
            Err(Refusal::Usage(message)) => output::error(&message).map(|()| Exit::Refused),
            Err(Refusal::Failed(message)) => output::error(&message).map(|()| Exit::Failed),
        }
    }

    async fn play(&self) -> Result<io::Result<Exit>, Refusal> {
        let Started { node, task } = match start::start(self).await? {
            start::Begin::Started(started) => *started,
            start::Begin::Over(row, events) => return Ok(outcome::again(&row, &events, self.json)),
        };
        let exit = self.watch(&node.system, task).await;
        node.stop()
            .await
            .map_err(|error| Refusal::Failed(error.to_string()))?;
        Ok(exit)
    }

    /// Shows what happens until the task has ended, or waits for a human.
    async fn watch(&self, system: &System, task: TaskId) -> io::Result<Exit> {
        let mut lines = Lines::new(self.json);
        let mut feed = system.watch(task, 0);
        let mut trouble = system.trouble();
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let mut cancelled = false;
        loop {
            tokio::select! {
                biased;
                _ = interrupt.recv() => {
                    if std::mem::replace(&mut cancelled, true) {
                        return Ok(Exit::Interrupted);
                    }
                    output::note("cancelling the task; Ctrl-C again ends the program at once")?;
                    let system = system.clone();
                    // Told beside the loop: the end arrives as an event like any other.
                    lines.beside(async move { drop(system.cancel(task, "interrupted").await) });
                }
                _ = terminate.recv() => {
                    output::note("stopping; go on with `impresario run --continue`")?;
                    return Ok(Exit::Interrupted);
                }
                Ok(()) = trouble.changed() => {
                    if let Some(error) = trouble.borrow_and_update().clone() {
                        output::error(&format!("{error}; go on with `impresario run --continue`"))?;
                        return Ok(Exit::Failed);
                    }
                }
                () = lines.beside_done() => {}
                item = feed.next() => match item {
                    Ok(Some(FeedItem::Event(event))) => {
                        lines.event(&event)?;
                        if let Some(exit) = ended(&event.body) {
                            return lines.end(&event).map(|()| if cancelled { Exit::Interrupted } else { exit });
                        }
                        if matches!(event.body, EventBody::TaskNeedsAttention { .. }) && needs_human(system, task).await {
                            return lines.end(&event).map(|()| Exit::Failed);
                        }
                    }
                    Ok(Some(FeedItem::Delta { .. })) => {}
                    Ok(None) => return Ok(Exit::Failed),
                    Err(error) => return output::error(&error.to_string()).map(|()| Exit::Failed),
                },
            }
        }
    }
}

fn ended(body: &EventBody) -> Option<Exit> {
    match body {
        EventBody::TaskCompleted { .. } => Some(Exit::Done),
        EventBody::TaskFailed { .. } => Some(Exit::Failed),
        EventBody::TaskCancelled { .. } => Some(Exit::Interrupted),
        _ => None,
    }
}

/// Whether it still waits: the history that is shown first may hold questions that were answered long ago.
async fn needs_human(system: &System, task: TaskId) -> bool {
    system
        .task(task)
        .await
        .is_ok_and(|row| row.status == TaskStatus::NeedsAttention)
}
