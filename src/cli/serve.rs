//! `impresario serve`

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Exit, output};
use crate::config::{self, Loaded};
use crate::node::NodeError;
use crate::node::serve::{Options, Server};

/// Serve: a long-running node with an HTTP interface
#[derive(Debug, Args)]
#[command(after_help = "\
At its first start a node makes a key that may do everything, and writes it to `admin.key` in its data folder; only a hash of it is kept \
elsewhere. Tasks that were at work when the node ended, however it ended, go on when it is started again.

SIGTERM and Ctrl-C stop it in order; a second one ends it at once. SIGHUP, or a change of the file, loads the file again: tasks that have \
begun go on as they began, new ones find what it says now, and a file with mistakes changes nothing.")]
pub(super) struct Serve {
    /// The node file or team file; without one there are no agents yet
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// The address to listen on; 127.0.0.1:7700 unless the file says otherwise
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where the journal is kept, `sqlite:FILE` in the data folder or `postgres://…`; an SQLite file unless the file says otherwise
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The folder for everything that is kept; `.impresario` unless the file says otherwise
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// How the log on stderr is written; RUST_LOG says how much of it
    #[arg(long, value_name = "FORMAT", default_value = "plain")]
    log: Log,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    /// For people
    Plain,
    /// One JSON object a line
    Json,
}

impl Serve {
    pub(super) fn run(&self) -> io::Result<Exit> {
        let loaded = match &self.file {
            None => Loaded::default(),
            Some(file) => match config::load_all(file) {
                Ok(loaded) => loaded,
                Err(problems) => return output::problems(&problems).map(|()| Exit::Refused),
            },
        };
        self.log.begin();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let exit = runtime.block_on(self.serve(loaded));
        runtime.shutdown_background();
        exit
    }

    async fn serve(&self, loaded: Loaded) -> io::Result<Exit> {
        // Before anything is there that they could harm.
        let mut signals = Signals::listen()?;
        let options = Options {
            file: self.file.clone(),
            listen: self.listen.clone(),
            store: self.store.clone(),
            data_dir: self.data_dir.clone(),
        };
        let server = tokio::select! {
            server = Server::start(loaded, options) => match server {
                Ok(server) => server,
                Err(error) => return refused(&error),
            },
            () = signals.next() => return Ok(Exit::Done),
        };
        let (url, key) = (server.url(), server.key_file.display());
        output::note(&format!("serving on {url}; the first key is in {key}"))?;
        tokio::select! {
            down = server.ended() => {
                output::error(&down.to_string())?;
                return Ok(Exit::Failed);
            }
            () = signals.next() => {}
        }
        // With stderr gone there is nobody to tell.
        let _ = output::note("stopping");
        tokio::select! {
            stopped = server.stop() => match stopped {
                Ok(()) => Ok(Exit::Done),
                Err(error) => output::error(&error.to_string()).map(|()| Exit::Failed),
            },
            () = signals.next() => Ok(Exit::Interrupted),
        }
    }
}

fn refused(error: &NodeError) -> io::Result<Exit> {
    output::error(&error.to_string())?;
    Ok(match error {
        NodeError::System(_) | NodeError::Start(_) => Exit::Failed,
        _ => Exit::Refused,
    })
}

impl Log {
    fn begin(self) {
        let filter = EnvFilter::try_from_default_env();
        let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr);
        // Somebody who embeds this may have been first.
        let _ = match self {
            Self::Plain => log.with_ansi(false).try_init(),
            Self::Json => log.json().try_init(),
        };
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Until the node is up there is nothing to load again, and this must not end it.
    _hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
