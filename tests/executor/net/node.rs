//! A node of which there is only what executors know: a system, and the route they connect to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::model::executor::{ConnectedExecutor, FromExecutor};
use actors::model::{Event, EventBody, TaskId, ToolSpec};
use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use impresario::http::link::{LinkOptions, Revoked, prepared, serve_executor};
use impresario::link::PATH;
use impresario::{AgentSpec, Memory, Scripted, Settled, System, TaskDefinition};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::stage::{Stage, eventually};

/// The key that the node knows, and one for something else.
pub(crate) const KEY: &str = "ek_of_this_project";
pub(crate) const OTHER_KEY: &str = "ek_that_may_not_do_this";

/// What outlives a node: what it remembers, where it listens, and what its models say.
#[derive(Clone)]
pub(crate) struct House {
    store: Arc<Memory>,
    address: SocketAddr,
    scripts: Value,
    tools: Vec<ToolSpec>,
    pub(crate) options: LinkOptions,
}

/// A node. Dropping it is its sudden death.
pub(crate) struct Node {
    pub(crate) system: System,
    pub(crate) stop: CancellationToken,
    pub(crate) revoke: watch::Sender<Option<Revoked>>,
    runtime: Option<Runtime>,
}

/// A turn of an agent that asks for one call.
pub(crate) fn turn(tool: &str, args: Value) -> Value {
    json!({ "call": tool, "args": args })
}

impl House {
    /// One whose agents have these scripts, each of turns; their last word is what the last call returned.
    pub(crate) fn new(scripts: impl IntoIterator<Item = (String, Vec<Value>)>) -> Self {
        let scripts = scripts.into_iter().map(|(agent, mut turns)| {
            turns.push(json!({ "say": "{{last}}" }));
            (agent, Value::from(turns))
        });
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stage = Stage::new();
        let FromExecutor::Hello { tools, .. } = stage.open().hello() else {
            panic!("no hello");
        };
        Self {
            store: Arc::default(),
            address: free.local_addr().unwrap(),
            scripts: scripts.collect(),
            tools,
            options: LinkOptions::default(),
        }
    }

    /// With limits for impatient tests.
    pub(crate) fn impatient(mut self) -> Self {
        self.options.pace.ping_every = Duration::from_millis(100);
        self.options.pace.dead_after = Duration::from_millis(400);
        self.options.hello_within = Duration::from_millis(300);
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn node(&self) -> Node {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let house = self.clone();
        let started = runtime.spawn(async move { house.start().await });
        let (system, stop, revoke, serving) = started.await.unwrap();
        runtime.spawn(serving);
        Node {
            system,
            stop,
            revoke,
            runtime: Some(runtime),
        }
    }

    async fn start(
        self,
    ) -> (
        System,
        CancellationToken,
        watch::Sender<Option<Revoked>>,
        impl Future<Output = ()> + Send + 'static,
    ) {
        let stage = json!({ "latency": "1ms", "scripts": self.scripts });
        let stage = Scripted::new(&serde_json::from_value(stage).unwrap()).unwrap();
        let mut deps = impresario::deps(self.store.clone()).provider("stage", stage);
        deps.executor_tools = self.tools;
        let system = System::start(deps).await.unwrap();
        let (stop, (revoke, revoked)) = (CancellationToken::new(), watch::channel(None));
        let gate = Gate {
            system: system.clone(),
            options: self.options,
            stop: stop.clone(),
            revoked,
        };
        let router = Router::new()
            .route(PATH, get(connect))
            .with_state(Arc::new(gate));
        // Frames are small and answer each other: none waits for more.
        let at_once = |stream: &mut TcpStream| stream.set_nodelay(true).unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        let listener = listener.tap_io(at_once);
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        (system, stop, revoke, serving)
    }
}

struct Gate {
    system: System,
    options: LinkOptions,
    stop: CancellationToken,
    revoked: watch::Receiver<Option<Revoked>>,
}

async fn connect(
    State(gate): State<Arc<Gate>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let key = headers.get(AUTHORIZATION).and_then(|key| key.to_str().ok());
    match key.and_then(|key| key.strip_prefix("Bearer ")) {
        Some(KEY) => {}
        Some(OTHER_KEY) => return StatusCode::FORBIDDEN.into_response(),
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    }
    let mut revoked = gate.revoked.clone();
    let revoked = async move {
        let revoked = revoked.wait_for(Option::is_some).await;
        match revoked.ok().and_then(|revoked| *revoked) {
            Some(revoked) => revoked,
            None => std::future::pending().await,
        }
    };
    prepared(upgrade, &gate.options).on_upgrade(async move |socket| {
        let (system, project) = (gate.system.clone(), "default".to_owned());
        let (options, stop) = (gate.options.clone(), gate.stop.clone());
        serve_executor(socket, system, project, options, revoked, stop).await;
    })
}

impl Node {
    /// Has this agent play its script.
    pub(crate) async fn begin(&self, agent: &str) -> TaskId {
        let tools = ["write_file", "edit_file", "read_file", "shell"];
        let spec = AgentSpec::new("stage").tools(tools);
        let task = TaskDefinition::new(agent, agent).agent(agent, spec);
        self.system.create_task(task).await.unwrap()
    }

    /// What it comes to.
    pub(crate) async fn end(&self, task: TaskId) -> String {
        match self.system.wait(task).await.unwrap() {
            Settled::Completed(result) => result,
            other => panic!("{other:?}\n{}", self.told(task).await),
        }
    }

    pub(crate) async fn events(&self, task: TaskId) -> Vec<Event> {
        self.system.events(task, 0, usize::MAX).await.unwrap()
    }

    /// How many calls of it are of unknown outcome.
    pub(crate) async fn doubts(&self, task: TaskId) -> usize {
        let events = self.events(task).await;
        let is_doubt = |event: &&Event| matches!(event.body, EventBody::ToolCallInDoubt { .. });
        events.iter().filter(is_doubt).count()
    }

    pub(crate) async fn told(&self, task: TaskId) -> String {
        let line = |event: &Event| {
            let mut line = serde_json::to_string(event).unwrap();
            line.truncate(line.floor_char_boundary(300));
            line + "\n"
        };
        self.events(task).await.iter().map(line).collect()
    }

    pub(crate) fn connected(&self) -> Vec<ConnectedExecutor> {
        self.system.executors(Some("default"))
    }

    pub(crate) async fn has_executors(&self, count: usize) {
        eventually("executors come and go", || self.connected().len() == count).await;
    }

    /// An orderly end.
    pub(crate) async fn shut_down(self) {
        self.stop.cancel();
        self.has_executors(0).await;
        self.system.shutdown().await;
    }
}

impl Drop for Node {
    /// Nothing of it is left then.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let end = move || runtime.shutdown_timeout(Duration::from_secs(5));
            std::thread::spawn(end).join().unwrap();
        }
    }
}
