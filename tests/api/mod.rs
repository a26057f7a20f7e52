//! The node's HTTP interface, over real sockets.

mod access;
mod bad;
mod described;
mod executors;
mod fuzz;
mod repeat;
mod serve;
mod settings;
mod socket;
mod streams;
mod tasks;
mod walls;

use std::sync::Arc;
use std::time::Duration;

use actors::model::event::Seq;
use actors::registry::Registry;
use actors::registry::access::{KeyKind, NewKey, Scope};
use actors::store::Memory;
use actors::system::System;
use arc_swap::ArcSwap;
use impresario::config::{self, Config};
use impresario::http::{Api, Limits, serve};
use impresario::local::{RandomIds, SystemClock};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A team that works offline: `lead` answers at once, `slow` after a while, `asker` not at all before somebody has decided.
const TEAM: &str = r#"
[providers.stage]
kind = "scripted"
latency = "5ms"
[providers.stage.scripts]
lead = [ { say = "Done: {{input}}" } ]
slow = [ { say = "thinking", call = "create_run", args = { agent = "lead", input = "part" } }, { say = "slowly done" } ]
[providers.never]
kind = "scripted"
latency = "1h"
[providers.never.scripts]
stuck = [ { say = "never" } ]
[agents.lead]
provider = "stage"
[agents.slow]
provider = "stage"
tools = ["create_run"]
[agents.stuck]
provider = "never"
[teams.pair]
lead = "slow"
members = ["lead"]
"#;

/// A node with nothing but its HTTP interface, in this process.
pub(crate) struct Door {
    pub(crate) url: String,
    pub(crate) api: Api,
    /// A key of the whole node.
    pub(crate) key: String,
    client: Client,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(TEAM, Limits::default()).await
    }

    pub(crate) async fn open_with(file: &str, limits: Limits) -> Self {
        let config: Config =
            config::parse("team.toml", file, std::path::Path::new(".")).expect("a good file");
        let store = Arc::new(Memory::default());
        let mut deps = impresario::deps(store.clone());
        deps.providers = impresario::node::providers(&config).expect("providers");
        let system = System::start(deps).await.expect("a system");
        let entropy = Arc::new(|bytes: &mut [u8]| fastrand::fill(bytes));
        let registry = Registry::new(store, Arc::new(SystemClock), Arc::new(RandomIds), entropy);
        registry
            .create_project(config::PROJECT, "")
            .await
            .expect("a project");
        let (_, key) = registry
            .create_key(new_key(None, &[Scope::Admin]))
            .await
            .expect("a key");
        let api = Api::new(
            system,
            registry,
            Arc::new(ArcSwap::from_pointee(config)),
            limits,
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        #[expect(clippy::disallowed_methods, reason = "a server of this test")]
        let serving = tokio::spawn(serve(listener, api.clone()));
        Self {
            url,
            api,
            key,
            client: client(),
            serving,
        }
    }

    /// A key of a project that is made with it.
    pub(crate) async fn project(&self, name: &str, scopes: &[Scope]) -> String {
        let _ = self.api.registry.create_project(name, "").await;
        let made = self
            .api
            .registry
            .create_key(new_key(Some(name), scopes))
            .await;
        made.expect("a key").1
    }

    pub(crate) fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.bearer_auth(key).timeout(Duration::from_secs(20))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path, &self.key).send().await).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, path, &self.key).json(&body);
        Answer::of(request.send().await).await
    }

    /// Creates a task and returns its id.
    pub(crate) async fn task(&self, agent: &str, description: &str) -> String {
        let body = json!({ "description": description, "root_agent": agent });
        let made = self.post("/v1/tasks", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        made.body["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a task does not go on by itself.
    pub(crate) async fn settled(&self, task: &str) {
        let task = task.parse().expect("an id");
        let settled = self.api.system.wait(task);
        let settled = tokio::time::timeout(Duration::from_secs(20), settled).await;
        settled.expect("it settles").expect("it can be read");
    }

    /// Stops the door and the system behind it.
    pub(crate) async fn close(self) {
        self.api.stop.cancel();
        self.serving.await.expect("it ends").expect("well");
        self.api.system.shutdown().await;
    }
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Result<Response>) -> Self {
        let response = response.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        };
        Self {
            status,
            headers,
            body,
        }
    }

    /// As a snapshot has it: ids and times that differ each time are named.
    pub(crate) fn told(&self) -> String {
        let kind = self.headers.get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap_or_default());
        format!(
            "{} {kind}\n{}",
            self.status,
            plain(&format!("{:#}", self.body))
        )
    }
}

fn client() -> Client {
    // Somebody else of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// Ids and times that differ each time, replaced by what they are.
pub(crate) fn plain(text: &str) -> String {
    let id = regex::Regex::new(r"\b(task|run|key|exec|hook)_[0-9a-f]{32}").expect("a pattern");
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").expect("a pattern");
    let secret = regex::Regex::new(r"\b([ie]k)_[0-9a-f]{96}").expect("a pattern");
    let text = secret.replace_all(text, "${1}_SECRET");
    let text = id.replace_all(&text, "${1}_ID");
    time.replace_all(&text, "TIME").into_owned()
}

pub(crate) fn new_key(project: Option<&str>, scopes: &[Scope]) -> NewKey {
    let is_executor = scopes == [Scope::ExecutorsConnect];
    NewKey {
        project: project.map(str::to_owned),
        kind: if is_executor {
            KeyKind::Executor
        } else {
            KeyKind::Api
        },
        scopes: scopes.iter().copied().collect(),
        label: "a test's".to_owned(),
        expires_at: None,
    }
}

/// The events of a stream: number, type and data of each, until it ends.
pub(crate) async fn streamed(response: Response) -> Vec<(Option<Seq>, String, String)> {
    let text = response.text().await.expect("a stream");
    let field = |block: &str, name: &str| {
        let mut lines = block.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    blocks
        .map(|block| {
            let id = field(block, "id").map(|id| id.parse().expect("a number"));
            (
                id,
                field(block, "event").unwrap_or_default(),
                field(block, "data").unwrap_or_default(),
            )
        })
        .collect()
}
