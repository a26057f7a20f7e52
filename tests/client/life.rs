//! A node that can be killed and started again: the same store, the same port, nothing else is left.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use actors::registry::Registry;
use actors::registry::access::Scope;
use actors::store::Memory;
use actors::system::System;
use arc_swap::ArcSwap;
use impresario::config;
use impresario::http::{Api, Limits, serve};
use impresario::local::{RandomIds, SystemClock};
use tokio::runtime::{Builder, Runtime};

use crate::api::new_key;

/// One agent that says something in the room again and again before it is done.
const TEAM: &str = r#"
[providers.stage]
kind = "scripted"
latency = "15ms"
[providers.stage.scripts]
talker = [
    { say = "one", call = "post_message", args = { content = "1" } }, { say = "two", call = "post_message", args = { content = "2" } },
    { say = "three", call = "post_message", args = { content = "3" } }, { say = "four", call = "post_message", args = { content = "4" } },
    { say = "five", call = "post_message", args = { content = "5" } }, { say = "six", call = "post_message", args = { content = "6" } },
    { say = "seven", call = "post_message", args = { content = "7" } }, { say = "eight", call = "post_message", args = { content = "8" } },
    { say = "all is said" },
]
[agents.talker]
provider = "stage"
tools = ["post_message"]
"#;

pub(super) struct Life {
    pub(super) url: String,
    pub(super) key: String,
    address: SocketAddr,
    store: Arc<Memory>,
    runtime: Option<Runtime>,
}

impl Life {
    pub(super) fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let mut life = Self {
            url: format!("http://{address}"),
            key: String::new(),
            address,
            store: Arc::default(),
            runtime: None,
        };
        life.key = life.go_on().expect("a first key");
        life
    }

    /// Everything of the node is gone in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        // What runs on it is dropped where it stands; this returns when all of it is.
        drop(self.runtime.take());
    }

    /// Starts it again; the first time it makes a key.
    pub(super) fn go_on(&mut self) -> Option<String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let is_first = self.key.is_empty();
        let key = runtime.block_on(serving(self.address, self.store.clone(), is_first));
        self.runtime = Some(runtime);
        key
    }
}

async fn serving(address: SocketAddr, store: Arc<Memory>, is_first: bool) -> Option<String> {
    let config = config::parse("team.toml", TEAM, Path::new(".")).expect("a good file");
    let mut deps = impresario::deps(store.clone());
    deps.providers = impresario::node::providers(&config).expect("providers");
    let system = System::start(deps).await.expect("a system");
    let entropy = Arc::new(|bytes: &mut [u8]| fastrand::fill(bytes));
    let registry = Registry::new(store, Arc::new(SystemClock), Arc::new(RandomIds), entropy);
    let key = match is_first {
        true => {
            let made = registry.create_project(config::PROJECT, "").await;
            made.expect("a project");
            let key = registry.create_key(new_key(None, &[Scope::Admin])).await;
            Some(key.expect("a key").1)
        }
        false => None,
    };
    let config = Arc::new(ArcSwap::from_pointee(config));
    let api = Api::new(system, registry, config, Limits::default());
    let listener = tokio::net::TcpListener::bind(address).await;
    let listener = listener.expect("the port is free again");
    #[expect(clippy::disallowed_methods, reason = "a server of this test")]
    tokio::spawn(serve(listener, api));
    key
}
