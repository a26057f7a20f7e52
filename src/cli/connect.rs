//! `impresario connect`

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::model::executor::FromExecutor;
use clap::{Args, ValueHint};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, output};
use crate::executor::{Address, ConnectError, ConnectOptions, Executor, ExecutorKey, Options};

/// Make this machine an executor: agents of the key's project read, write and run commands in one folder of it
#[derive(Debug, Args)]
#[command(after_help = "\
The node can be anywhere: this machine connects to it, and again whenever the connection is lost. What runs goes on meanwhile. What was \
begun is written down in the state folder first, so that nothing is done twice, also after a crash of either side.

Ctrl-C ends what runs and says goodbye; a second one ends the program at once. It ends by itself, with 3, when the node refuses the key \
or is of another version.")]
pub(super) struct Connect {
    /// The executor's key, `ek_…`; better in the environment, where other users do not see it
    #[arg(
        long,
        value_name = "KEY",
        env = "IMPRESARIO_EXECUTOR_KEY",
        hide_env_values = true
    )]
    key: String,
    /// The node
    #[arg(
        long,
        value_name = "URL",
        env = "IMPRESARIO_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:7700",
        value_hint = ValueHint::Url
    )]
    url: String,
    /// The folder that agents work in
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    root: PathBuf,
    /// A name for people; the machine's unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where the executor remembers what it has done; a folder of its own for each root and node, in the user's state folder, unless given
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,
}

impl Connect {
    pub(super) fn run(&self) -> io::Result<Exit> {
        let (executor, options) = match self.checked() {
            Ok(checked) => checked,
            Err(words) => return output::error(&words).map(|()| Exit::Refused),
        };
        introduce(&executor, &options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let exit = runtime.block_on(work(Arc::new(executor), options));
        runtime.shutdown_background();
        exit
    }

    /// Everything that can be refused is refused before anything is started.
    fn checked(&self) -> Result<(Executor, ConnectOptions), String> {
        let address = Address::parse(&self.url).map_err(|error| error.to_string())?;
        let key = ExecutorKey::parse(&self.key).map_err(|error| error.to_string())?;
        let state_dir = match &self.state_dir {
            Some(dir) => dir.clone(),
            None => usual_state_dir(&self.root, &self.url)?,
        };
        let mut options = Options::new(&self.root, state_dir);
        options.name = self.name.clone().unwrap_or_else(machine);
        let executor = Executor::open(options).map_err(|error| error.to_string())?;
        Ok((executor, ConnectOptions::new(address, key)))
    }
}

/// The machine's name.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "executor".to_owned(),
        name => name.to_owned(),
    }
}

/// A folder for this root and this node.
fn usual_state_dir(root: &Path, url: &str) -> Result<PathBuf, String> {
    let root = root
        .canonicalize()
        .map_err(|error| format!("cannot work in the root {}: {error}", root.display()))?;
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").filter(|dir| dir.is_absolute());
    let home = || variable("HOME").map(|home| home.join(".local/state"));
    let state = state.or_else(home).ok_or(
        "there is no home folder to keep the executor's state in: name a folder with --state-dir",
    )?;
    let mut hash = blake3::Hasher::new();
    hash.update(root.as_os_str().as_encoded_bytes());
    hash.update(b"\0");
    hash.update(url.trim_end_matches('/').as_bytes());
    let name = &hash.finalize().to_hex()[..16];
    Ok(state.join("impresario").join("executors").join(name))
}

fn introduce(executor: &Executor, options: &ConnectOptions) -> io::Result<()> {
    if let FromExecutor::Hello {
        name, root, tools, ..
    } = executor.hello()
    {
        let tools: Vec<_> = tools.into_iter().map(|tool| tool.name).collect();
        output::note(&format!(
            "executor `{name}` works in {root}: {}",
            tools.join(", ")
        ))?;
    }
    for line in executor.sandbox().lines() {
        output::note(&line)?;
    }
    let address = &options.address;
    if address.is_open_to_all() {
        output::note(&format!(
            "warning: {address} is not encrypted: whoever is on the way reads the key and can give orders; use https"
        ))?;
    }
    output::note(&format!("connecting to {address}"))
}

async fn work(executor: Arc<Executor>, options: ConnectOptions) -> io::Result<Exit> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    // With stderr gone there is nobody to tell, and still work to be done.
    let tell = |news: crate::executor::News| drop(output::note(&news.to_string()));
    let connected = executor.connect(options, stop.clone(), tell);
    tokio::pin!(connected);
    let exit = tokio::select! {
        ended = &mut connected => return told(ended, Exit::Done),
        exit = signals.next() => exit,
    };
    stop.cancel();
    let _ = output::note("stopping: what runs is ended");
    tokio::select! {
        ended = &mut connected => told(ended, exit),
        _ = signals.next() => Ok(Exit::Interrupted),
    }
}

fn told(ended: Result<(), ConnectError>, exit: Exit) -> io::Result<Exit> {
    match ended {
        Ok(()) => Ok(exit),
        Err(error) => {
            output::error(&error.to_string())?;
            Ok(match error {
                ConnectError::Serve(_) => Exit::Failed,
                _ => Exit::Unreachable,
            })
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// What a signal makes of the program's end: whoever asks a program to end, as a service's keeper does, has not interrupted it.
    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Done,
        }
    }
}
