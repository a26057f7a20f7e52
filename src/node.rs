//! The node: from a configuration to a running system with its store and its executor, for one task ([`Node`]) or as a server
//! ([`serve`]).
//!
//! ```text
//! node        rest_for_one   executor (serves this machine's folder over a link in process) · …
//! system      its own root: journal · services · tasks · opener
//! ```

mod begun;
mod key;
mod reload;
pub mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::executor::Link;
use actors::model::ToolSpec;
use actors::model::executor::FromExecutor;
use actors::run::next::RetryPolicy;
use actors::store::{Store, StoreError};
use actors::system::{Providers, Settings, System, SystemError};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};
use supervision::{
    Backoff, ChildSpec, Exit, Flags, Root, Start, Strategy, SupervisorHandle, SupervisorSpec,
};
use tokio::sync::mpsc;

use crate::config::{Config, Durability, ExecutorConfig, ProviderConfig, ProviderKind, StoreUrl};
use crate::executor::{self, Executor, OpenError};
use crate::provider::{self, BuildError};
use crate::settings::{Changes, Standing, pool_limits};
use crate::store::folder::DataFolder;
use crate::store::sqlite::{self, Sqlite};

/// Why a node is not up. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The data folder or the store in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A provider cannot be made.
    #[error("provider `{name}`: {error}")]
    Provider {
        /// Its name in the file.
        name: String,
        /// Why not.
        error: BuildError,
    },
    /// The workspace cannot be worked in.
    #[error(transparent)]
    Executor(#[from] OpenError),
    /// The workspace cannot be made.
    #[error("cannot make the workspace {path}: {error}; choose another one", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Unfinished tasks were at work in a folder that is not there any more.
    #[error("the workspace {path} has gone, and unfinished tasks were at work in it: put it back, or make an empty folder in its place if they are to go on without it", path = path.display())]
    Gone {
        /// The folder.
        path: PathBuf,
    },
    /// The store's place cannot be used by an embedded node.
    #[error(
        "the store {0} is for `impresario serve`: a task that is run here keeps its journal in an SQLite file of the data folder"
    )]
    StoreKind(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; give another address with --listen")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        error: std::io::Error,
    },
    /// The machine gives no random bytes to make keys of.
    #[error("the system gives no random bytes, of which keys are made: {0}")]
    Entropy(std::io::Error),
    /// A part of what the node keeps cannot be read or written.
    #[error(transparent)]
    Registry(#[from] actors::registry::RegistryError),
    /// The first key cannot be written.
    #[error("cannot write the node's first key to {path}: {error}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The system did not start.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The part of the tree around the system did not start.
    #[error("the node could not be started: {0}")]
    Start(#[from] supervision::StartError),
}

/// A data folder that is held by this process, with the store in it.
#[derive(Debug)]
pub struct Data {
    /// The folder; nobody else may use it meanwhile.
    pub folder: DataFolder,
    /// The store.
    pub store: Arc<Sqlite>,
}

impl Data {
    /// Takes a data folder and opens the store that the configuration names, or the one in the folder.
    ///
    /// # Errors
    /// [`NodeError::Store`], also when another process has the folder.
    pub fn open(path: &Path, config: Option<&Config>) -> Result<Self, NodeError> {
        let folder = DataFolder::open(path)?;
        let node = config.map(|config| &config.node);
        let database = match node.and_then(|node| node.store.as_ref()) {
            None => folder.database(),
            Some(StoreUrl::Sqlite(file)) => folder.path().join(file),
            Some(other) => return Err(NodeError::StoreKind(other.to_string())),
        };
        let mut options = sqlite::Options::new(database);
        options.durability = match node.map(|node| node.durability) {
            Some(Durability::Process) => sqlite::Durability::Process,
            _ => sqlite::Durability::Power,
        };
        let store = Arc::new(Sqlite::open(options)?);
        Ok(Self { folder, store })
    }

    /// Whether what is written is still kept: the folder and the store's file are where they were.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.folder.is_there() && self.store.path().exists()
    }
}

/// A running node.
pub struct Node {
    /// The system; everything is asked of it.
    pub system: System,
    root: SupervisorHandle,
    /// Where it keeps what it does.
    pub data: Data,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node over a data folder, with an executor on `workspace`. Unfinished tasks of the folder go on at once, unless
    /// the configuration says otherwise.
    ///
    /// # Errors
    /// [`NodeError`]; everything is checked and opened before the first actor starts.
    pub async fn start(config: &Config, data: Data, workspace: &Path) -> Result<Self, NodeError> {
        if !workspace.exists() && !data.store.tasks(true).await?.is_empty() {
            let path = workspace.to_owned();
            return Err(NodeError::Gone { path });
        }
        let executor = Arc::new(open_executor(config, &data, workspace)?);
        if !executor.vouches() {
            let begun = begun::begun(&*data.store).await?;
            executor.adopt(begun).map_err(OpenError::from)?;
        }
        let mut deps = crate::local::deps(data.store.clone());
        deps.providers = providers(config)?;
        deps.executor_tools = executor_tools(&executor);
        deps.settings = settings(config, &Changes::default());
        deps = deps.faults(config.fault_plan()).end_node(end);
        let system = System::start(deps).await?;
        let root = match serve_executor(executor, system.clone()).await {
            Ok(root) => root,
            Err(error) => {
                system.shutdown().await;
                return Err(error.into());
            }
        };
        Ok(Self { system, root, data })
    }

    /// Waits until the node is down because a supervisor at the top has given up, and says how that one ended. Nothing happens in
    /// the node then; its unfinished tasks go on at the next start.
    pub async fn ended(&self) -> Exit {
        tokio::select! {
            exit = self.system.ended() => exit,
            exit = self.root.wait() => exit,
        }
    }

    /// Stops everything in reverse order, and closes the store. Unfinished tasks go on at the next start.
    ///
    /// # Errors
    /// When the store could not be closed in an orderly way; nothing acknowledged is lost by that.
    pub async fn stop(self) -> Result<(), NodeError> {
        self.system.shutdown().await;
        self.root.stop().await;
        self.data.store.close().await?;
        Ok(())
    }
}

/// The file that knows of the executor's ledger; beside the executor's folder, so that one is not lost with the other.
const WITNESS: &str = "executor-ledger";

fn open_executor(config: &Config, data: &Data, workspace: &Path) -> Result<Executor, NodeError> {
    std::fs::create_dir_all(workspace).map_err(|error| NodeError::Folder {
        path: workspace.to_owned(),
        error,
    })?;
    let mut options = executor::Options::new(workspace, data.folder.path().join("executor"));
    options.witness = Some(data.folder.path().join(WITNESS));
    options.name.clone_from(&config.node.name);
    options.limits = executor_limits(&config.executor);
    Ok(Executor::open(options)?)
}

/// The executor's limits as the file has them; those it does not have are the executor's own.
#[must_use]
pub fn executor_limits(config: &ExecutorConfig) -> executor::Limits {
    let (shell, usual) = (&config.shell, executor::Limits::default());
    let shell = executor::ShellLimits {
        default_timeout: shell.timeout.get(),
        max_timeout: shell.max_timeout.get(),
        command_bytes: shell.command_bytes.get() as usize,
        live_bytes: shell.live_bytes.get() as usize,
        grace: shell.grace.get(),
        ..usual.tools.shell
    };
    let tools = executor::ToolLimits {
        result_bytes: config.result_bytes.get() as usize,
        file_bytes: config.file_bytes.get().into(),
        entries: config.entries.get() as usize,
        shell,
    };
    executor::Limits {
        calls: config.calls.get() as usize,
        tools,
        ..usual
    }
}

/// The tools of an executor, for [`Deps::executor_tools`](actors::system::Deps::executor_tools).
#[must_use]
pub fn executor_tools(executor: &Executor) -> Vec<ToolSpec> {
    match executor.hello() {
        FromExecutor::Hello { tools, .. } => tools,
        _ => Vec::new(),
    }
}

/// How many frames are under way in each direction of the link in process.
const LINK: usize = 256;

/// An executor in this process at work for a system, as a supervised child: each time it starts, it connects anew, and its ledger
/// knows what it has done. Stop what is returned after the system.
///
/// # Errors
/// When it does not start; then nothing of it is left running.
pub async fn serve_executor(
    executor: Arc<Executor>,
    system: System,
) -> Result<SupervisorHandle, supervision::StartError> {
    let work = Start::worker(move || {
        let (executor, system) = (executor.clone(), system.clone());
        async move {
            let (to, inbound) = mpsc::channel(LINK);
            let (outbound, from) = mpsc::channel(LINK);
            let project = crate::config::PROJECT;
            system.attach_executor(project, Link { to, from }).await?;
            Ok(executor.serve(inbound, outbound).await?)
        }
    });
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let flags = Flags::new(Strategy::RestForOne).intensity(20, Duration::from_secs(60));
    let child = ChildSpec::new("executor", work).backoff(backoff);
    Root::new("node")
        .start(SupervisorSpec::new(flags).child(child))
        .await
}

/// Ends the process at once, on purpose.
fn end(kind: actors::fault::Kind) {
    match kind {
        actors::fault::Kind::Panic => std::process::abort(),
        _ => drop(kill_process(getpid(), Signal::KILL)),
    }
}

fn settings(config: &Config, changes: &Changes) -> Settings {
    Settings {
        auto_recover: Standing::of(config, changes).auto_recover,
        pools: pool_limits(config, changes),
    }
}

/// The providers that a configuration declares.
///
/// # Errors
/// [`NodeError::Provider`].
pub fn providers(config: &Config) -> Result<Providers, NodeError> {
    let mut providers = Providers::new();
    for (name, settings) in &config.providers {
        let kind = settings.kind.to_string();
        let provider =
            provider::build(&kind, table(settings)).map_err(|error| NodeError::Provider {
                name: name.clone(),
                error,
            })?;
        let retry = RetryPolicy {
            attempts: settings.retry.attempts.get(),
            base: settings.retry.base.get(),
            cap: settings.retry.cap.get(),
        };
        providers.insert(name.clone(), (provider, retry));
    }
    Ok(providers)
}

/// What a provider's own constructor reads: the keys that its kind has and the file says.
fn table(settings: &ProviderConfig) -> Value {
    let table = match settings.kind {
        ProviderKind::Scripted => json!({
            "scripts": settings.scripts,
            "latency": settings.latency,
        }),
        _ => json!({
            "base_url": settings.base_url,
            "api_key_env": settings.api_key_env,
            "model": settings.model,
            "timeout": settings.timeout,
            "connect_timeout": settings.connect_timeout,
            "silence_timeout": settings.silence_timeout,
            "max_reply_bytes": settings.max_reply_bytes,
        }),
    };
    match table {
        Value::Object(table) => table.into_iter().filter(|(_, v)| !v.is_null()).collect(),
        other => other,
    }
}
