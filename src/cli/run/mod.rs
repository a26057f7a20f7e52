//! `impresario run`
//!
//! The arguments are checked and a node is started ([`start`]); then the task is watched ([`watch`]): what comes in is folded into a
//! [`view`], and shown ([`show`]) as a drawing, as lines or as JSON.

mod draw;
mod follow;
mod lines;
mod log;
mod out;
mod place;
#[cfg(test)]
mod samples;
mod show;
mod start;
mod summary;
mod view;
mod watch;
pub(super) mod words;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use actors::model::{Event, TaskStatus};
use actors::store::TaskRow;
use clap::{Args, ValueHint};
use tokio::time::timeout;

use super::{Exit, output};
use crate::config::Problems;
use crate::node::Node;
use show::Show;
use start::Started;
use summary::Took;
use view::View;

pub(super) use draw::{cut, width};
pub(super) use follow::follow;
pub(super) use log::told;
pub(super) use summary::{Commands, Place};
pub(super) use view::{View as Seen, ask};
use watch::{Signals, Watch, Watched};

/// Run one task to its end on this machine, with live progress
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal the team is drawn; into a pipe or a file there is a line for each thing that happens, or with --json an event. When the \
reader goes away, the task goes on without being shown, and the exit code is the task's.

The first Ctrl-C cancels the task; a second one ends the program at once. A task that was interrupted in any other way, by SIGTERM, a \
kill or a power cut, goes on with --continue: nothing is lost and nothing is done twice. A task that does not go on without a human ends \
the program with 1 and the question; --continue --answer TEXT answers it.")]
pub(super) struct Run {
    /// The team file; with --continue it may be left out, the task's own definition is in the data folder
    #[arg(required_unless_present = "resume", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// What is to be done, instead of what the file says
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// The team that does it, instead of the one the file names
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// The folder for everything that is kept; `.impresario` unless the file says otherwise
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// The folder the agents work in; `workspace` in the data folder unless given
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
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
        let begin = start::start(self).await?;
        let show = Show::new(self.json, self.commands());
        match begin {
            start::Begin::Started(started) => self.watch(*started, show).await,
            start::Begin::Over(row, events) => Ok(again(&row, &events, show).await),
        }
    }

    async fn watch(&self, started: Started, mut show: Show) -> Result<io::Result<Exit>, Refusal> {
        let failed = |error: io::Error| Refusal::Failed(error.to_string());
        let mut signals = Signals::listen().map_err(failed)?;
        let watched = match Watch::new(&started, &mut show).run(&mut signals).await {
            Ok(watched) => watched,
            Err(error) => return Ok(Err(error)),
        };
        let end = self.end(&watched);
        tokio::select! {
            biased;
            () = signals.any() => end,
            closed = close(started.node, show, &watched) => closed.and(end),
        }
    }

    /// What it comes to that watching ended so.
    fn end(&self, watched: &Watched) -> Result<io::Result<Exit>, Refusal> {
        match watched {
            Watched::Over(exit) => Ok(Ok(*exit)),
            Watched::Stopped | Watched::AtOnce => Ok(Ok(Exit::Interrupted)),
            Watched::Lost(folder) => Err(Refusal::Failed(format!(
                "the data folder {folder} was deleted or replaced while the task was at work: what was done is not recorded any more, and the \
                 task cannot be gone on with; look at what is in the workspace, and begin anew"
            ))),
            Watched::Down(reason) => Err(Refusal::Failed(format!(
                "the node gave up: {reason}; what was done is kept: go on with {}",
                self.commands().go_on()
            ))),
        }
    }

    fn commands(&self) -> Commands {
        let data_dir = self.data_dir.as_ref().map(|dir| dir.display().to_string());
        Commands::new(Place::Here(data_dir))
    }
}

/// How long the terminal may take to be left in order when the program is to end.
const FAREWELL: Duration = Duration::from_millis(200);

/// Leaves the terminal and the node in order, as far as there is time for it.
async fn close(node: Node, show: Show, watched: &Watched) -> Result<(), Refusal> {
    let written = show.out.finish();
    match watched {
        Watched::Over(_) | Watched::Down(_) | Watched::Lost(_) => drop(written.await),
        Watched::Stopped | Watched::AtOnce => drop(timeout(FAREWELL, written).await),
    }
    let stopped = match watched {
        // What is under way ends with the process, and is taken up again from the journal.
        Watched::AtOnce => Ok(()),
        _ => node.stop().await,
    };
    match watched {
        // Why it is down is told already.
        Watched::Down(_) => Ok(()),
        _ => stopped.map_err(|error| Refusal::Failed(error.to_string())),
    }
}

/// Says again how a task ended that needs nothing any more.
async fn again(row: &TaskRow, events: &[Event], mut show: Show) -> io::Result<Exit> {
    output::note("this task has ended; nothing is left to do")?;
    let mut view = View::default();
    for event in events {
        show.event(&view, event, true)?;
        view.fold(event);
    }
    let took = Took {
        since: None,
        is_resumed: true,
    };
    show.end(&view, took);
    match show.out.finish().await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    Ok(match row.status {
        TaskStatus::Completed => Exit::Done,
        TaskStatus::Cancelled => Exit::Interrupted,
        _ => Exit::Failed,
    })
}
