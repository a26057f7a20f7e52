//! The long-running node: a system, its registry, and the servers on it.
//!
//! ```text
//! node        rest_for_one   reload · http
//! system      its own root
//! ```
//!
//! Stopping goes from the outside in: first the door closes, then what came through it ends, then the system, then the store.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::registry::{Registry, RegistryError};
use actors::store::{Records, Store};
use actors::system::{Deps, System};
use arc_swap::ArcSwap;
use supervision::{
    Backoff, ChildSpec, Exit, Flags, Restart, Root, Start, Strategy, SupervisorHandle,
    SupervisorSpec,
};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Durability, Loaded, PROJECT, StoreUrl};
use crate::executor;
use crate::http::{self, Api, HOSTS, Limits};
use crate::local::{RandomIds, SystemClock};
use crate::settings::{self, Changes};
use crate::store::{self, DataFolder, Durable};

use super::{NodeError, end, executor_limits, key, providers, reload};

/// Where a node listens unless something else is said.
pub const LISTEN: &str = "127.0.0.1:7700";

/// What a node is to serve, and where.
#[derive(Debug, Default)]
pub struct Options {
    /// The file, which is watched.
    pub file: Option<PathBuf>,
    /// The address to listen on, instead of the file's.
    pub listen: Option<String>,
    /// The URL of the store, instead of the file's.
    pub store: Option<String>,
    /// The data folder, instead of the file's.
    pub data_dir: Option<PathBuf>,
}

/// A node that serves.
pub struct Server {
    /// What its handlers share; the system is in it.
    pub api: Api,
    /// Where it listens.
    pub address: SocketAddr,
    /// The file that its first key was written to.
    pub key_file: PathBuf,
    root: SupervisorHandle,
    door: Door,
    folder: DataFolder,
    store: Arc<dyn Durable>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Why a node is down that nobody stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// A supervisor at the top gave up.
    #[error("the node gave up: {0}; its unfinished tasks go on when it is started again")]
    GaveUp(Exit),
    /// What is written is not kept any more.
    #[error("the data folder {0} was deleted or replaced: what is done is not recorded any more")]
    Lost(String),
}

/// How often it is looked whether the data folder is still there.
const LOOK: Duration = Duration::from_secs(1);

impl Server {
    /// Starts a node. Unfinished tasks go on, unless the settings say otherwise. It must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`]; everything is checked and opened before the first actor starts.
    pub async fn start(loaded: Loaded, options: Options) -> Result<Self, NodeError> {
        let Loaded { config, files } = loaded;
        let providers = providers(&config)?;
        let entropy = key::entropy()?;
        let data_dir = options
            .data_dir
            .unwrap_or_else(|| (&config.node.data_dir).into());
        let folder = DataFolder::open(&data_dir)?;
        let store = open_store(options.store.as_deref(), &config, folder.path()).await?;
        let (door, address) = Door::open(options.listen.as_deref(), &config).await?;
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        let records: Arc<dyn Records> = store.clone();
        let registry = Registry::new(records, clock.clone(), ids.clone(), entropy);
        project(&registry).await?;
        let (changes, _) = settings::kept(&registry).await?;
        let key_file = key::first(&registry, folder.path()).await?;

        let kept: Arc<dyn Store> = store.clone();
        let mut deps = Deps::new(kept, clock, ids);
        deps.providers = providers;
        deps.executor_tools = executor::tools(&executor_limits(&config.executor));
        deps.settings = super::settings(&config, &changes);
        let deps = deps.faults(config.fault_plan()).end_node(end);
        let system = System::start(deps).await?;
        let api = api(system, registry, config, changes, address);
        let root = match servers(&api, &door, options.file, files).await {
            Ok(root) => root,
            Err(error) => {
                api.system.shutdown().await;
                return Err(error.into());
            }
        };
        let _ = api.servers.set(root.clone());
        Ok(Self {
            api,
            address,
            key_file,
            root,
            door,
            folder,
            store,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it is down because of itself.
    pub async fn ended(&self) -> Down {
        let lost = async {
            while self.folder.is_there() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            exit = self.api.system.ended() => Down::GaveUp(exit),
            exit = self.root.wait() => Down::GaveUp(exit),
            () = lost => Down::Lost(self.folder.path().display().to_string()),
        }
    }

    /// Stops it: nothing new is taken, streams and sockets say goodbye, requests under way have a while to end, then everything stops in
    /// reverse order, and the store is closed. Unfinished tasks go on at the next start.
    ///
    /// # Errors
    /// When the store could not be closed in an orderly way; nothing acknowledged is lost by that.
    pub async fn stop(self) -> Result<(), NodeError> {
        self.api.stop.cancel();
        self.door.closed(2 * self.api.limits.drain).await;
        self.root.stop().await;
        self.api.system.shutdown().await;
        self.store.close().await?;
        Ok(())
    }
}

async fn open_store(
    given: Option<&str>,
    config: &Config,
    folder: &Path,
) -> Result<Arc<dyn Durable>, NodeError> {
    let durability = match config.node.durability {
        Durability::Power => store::Durability::Power,
        Durability::Process => store::Durability::Process,
    };
    let in_file = config.node.store.as_ref().map(StoreUrl::to_string);
    let url = match given.map(str::to_owned).or(in_file) {
        None => "sqlite:impresario.db".to_owned(),
        Some(url) => url,
    };
    let url = match url.strip_prefix("sqlite:") {
        Some(file) if !file.is_empty() => format!("sqlite:{}", folder.join(file).display()),
        _ => url,
    };
    Ok(store::open(&url, durability).await?)
}

/// Tasks that say nothing else are of this project.
async fn project(registry: &Registry) -> Result<(), NodeError> {
    match registry.create_project(PROJECT, "").await {
        Ok(_) | Err(RegistryError::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn api(
    system: System,
    registry: Registry,
    config: Config,
    changes: Changes,
    address: SocketAddr,
) -> Api {
    let ip = address.ip();
    let own = HOSTS.map(str::to_owned).into_iter().chain([ip.to_string()]);
    let limits = Limits {
        hosts: ip.is_loopback().then(|| own.collect()),
        ..Limits::default()
    };
    let config = Arc::new(ArcSwap::from_pointee(config));
    let api = Api::new(system, registry, config, limits);
    api.settings.adopt(changes);
    api
}

// ---- the servers

/// The listening socket, which outlives the servers on it, and whether they are done.
#[derive(Debug, Clone)]
struct Door {
    socket: Arc<Mutex<Option<TcpListener>>>,
    done: CancellationToken,
}

impl Door {
    async fn open(given: Option<&str>, config: &Config) -> Result<(Self, SocketAddr), NodeError> {
        let address = given.or(config.node.listen.as_deref()).unwrap_or(LISTEN);
        let refused = |error| NodeError::Listen {
            address: address.to_owned(),
            error,
        };
        let socket = tokio::net::TcpListener::bind(address)
            .await
            .map_err(refused)?;
        let socket = socket.into_std().map_err(refused)?;
        let at = socket.local_addr().map_err(refused)?;
        let socket = Arc::new(Mutex::new(Some(socket)));
        let done = CancellationToken::new();
        Ok((Self { socket, done }, at))
    }

    fn socket(&self) -> std::io::Result<Option<tokio::net::TcpListener>> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = socket.as_ref().map(TcpListener::try_clone).transpose()?;
        socket.map(tokio::net::TcpListener::from_std).transpose()
    }

    /// Nobody is let in any more; waits until those inside are done.
    async fn closed(&self, most: Duration) {
        self.socket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let _ = tokio::time::timeout(most, self.done.cancelled()).await;
    }

    fn start(&self, api: &Api) -> Start {
        let (api, door) = (api.clone(), self.clone());
        Start::worker(move || {
            let (api, door) = (api.clone(), door.clone());
            async move {
                if let Some(socket) = door.socket()? {
                    http::serve(socket, api).await?;
                }
                door.done.cancel();
                Ok(())
            }
        })
    }
}

/// What stands around the system: a server that crashes is started again on the same socket.
async fn servers(
    api: &Api,
    door: &Door,
    file: Option<PathBuf>,
    files: Vec<PathBuf>,
) -> Result<SupervisorHandle, supervision::StartError> {
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    let flags = Flags::new(Strategy::RestForOne).intensity(20, Duration::from_secs(60));
    let child = |name: &str, start| {
        ChildSpec::new(name, start)
            .restart(Restart::Transient)
            .backoff(backoff.clone())
    };
    let spec = SupervisorSpec::new(flags)
        .child(child("reload", reload::start(api.clone(), file, files)))
        .child(child("http", door.start(api)));
    Root::new("node").start(spec).await
}
