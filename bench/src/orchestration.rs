//! What orchestration costs: the same model stub in a plain loop, under a system whose journal is in memory, and under one whose
//! journal is in SQLite and survives a power cut.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use actors::model::{
    AgentSpec, ChatMessage, EffectClass, ModelRequest, Place, Reply, RunId, ToolSpec,
};
use actors::provider::{DeltaSink, Provider, ProviderError, minted_call_id};
use actors::store::{Memory, Store};
use actors::system::{Settings, Settled, System};
use actors::tool::{Invocation, Tool, ToolError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt};
use impresario::TaskDefinition;
use impresario::store::{DataFolder, Options, Sqlite};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::measure::{median, resident};
use crate::taken;

const ROUNDS: usize = 3;

/// Runs that are held in a model call at once.
const HELD: usize = 10_000;

/// Measures, their unit, and what is aimed at with the journal in memory and on disk.
const MEASURES: [(&str, &str, &str, &str, &str); 8] = [
    ("one-call", "a run of one model call", "µs", "60", "600"),
    ("ten-tools", "a run that calls ten tools", "µs", "", "4000"),
    (
        "fan-out-100",
        "each of 100 sub-agents of one run",
        "µs",
        "30",
        "",
    ),
    (
        "fan-out-1000",
        "each of 1,000 sub-agents of one run",
        "µs",
        "30",
        "",
    ),
    (
        "in-flight-256",
        "runs a second with 256 in flight",
        "1/s",
        "",
        "5000",
    ),
    (
        "idle-agent",
        "memory of one of 1,000 idle agents",
        "bytes",
        "14336",
        "",
    ),
    (
        "run-in-flight",
        "memory of one of 10,000 runs of one task held in a model call",
        "bytes",
        "24576",
        "",
    ),
    (
        "task-in-flight",
        "memory of one of 10,000 tasks whose run is held in a model call",
        "bytes",
        "24576",
        "",
    ),
];

pub fn report() {
    println!("## Orchestration\n");
    println!(
        "One commit to this disk (append and fdatasync): {:.0} µs.\n",
        commit_takes()
    );
    println!(
        "| measure | unit | plain loop | in memory | aim | SQLite, power | aim |\n|---|---|---:|---:|---:|---:|---:|"
    );
    for (measure, title, unit, aim, durable_aim) in MEASURES {
        let of = |peer: &str| {
            let values: Vec<_> = (0..ROUNDS).filter_map(|_| taken(peer, measure)).collect();
            match values.is_empty() {
                true => "–".to_owned(),
                false => format!("{:.1}", median(values)),
            }
        };
        let (plain, memory, sqlite) = (of("plain"), of("memory"), of("sqlite"));
        println!("| {title} | {unit} | {plain} | {memory} | {aim} | {sqlite} | {durable_aim} |");
    }
    println!();
}

/// The median of a few hundred appends of 4 KiB, each made durable.
fn commit_takes() -> f64 {
    use std::io::Write;
    let folder = scratch();
    let mut file = std::fs::File::create(folder.path().join("probe")).expect("a file");
    let times = (0..300).map(|_| {
        let begun = Instant::now();
        file.write_all(&[7; 4096])
            .and_then(|()| file.sync_data())
            .expect("a disk");
        begun.elapsed().as_secs_f64() * 1e6
    });
    median(times.collect())
}

/// Beside the build's own files, which are on a disk; a temporary folder often is not.
fn scratch() -> tempfile::TempDir {
    let myself = std::env::current_exe().expect("a program");
    let folder = myself.parent().unwrap_or(Path::new("."));
    tempfile::tempdir_in(folder).expect("a folder")
}

pub async fn of(peer: &str, measure: &str) -> f64 {
    match peer {
        "plain" => plain(measure).await,
        "memory" => under(Arc::new(Memory::default()), measure).await,
        _ => {
            let folder = scratch();
            let data = DataFolder::open(folder.path()).expect("a data folder");
            let store = Sqlite::open(Options::new(data.database())).expect("a database");
            under(Arc::new(store), measure).await
        }
    }
}

// ---- the stub

/// Answers at once, unless it is held.
#[derive(Clone)]
struct Stub {
    /// What the first reply of the lead asks for.
    calls: Arc<Vec<(&'static str, serde_json::Value)>>,
    /// Where every call is held that is not the lead's with something to delegate.
    gate: Option<Arc<Semaphore>>,
    /// How many are held there at this moment.
    held: Arc<AtomicUsize>,
}

/// A call that is held, until it is dropped.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Stub {
    fn new(calls: Vec<(&'static str, serde_json::Value)>) -> Self {
        Self {
            calls: Arc::new(calls),
            gate: None,
            held: Arc::default(),
        }
    }

    fn held(self) -> Self {
        let gate = Some(Arc::new(Semaphore::new(0)));
        Self { gate, ..self }
    }

    fn reply(&self, request: &ModelRequest) -> Reply {
        let is_new = !request
            .messages
            .iter()
            .any(|said| matches!(said, ChatMessage::Assistant { .. }));
        if request.agent.as_str() != "lead" || !is_new {
            return Reply::new("done");
        }
        let calls = self.calls.iter().enumerate();
        calls.fold(Reply::new("at it"), |reply, (n, (tool, args))| {
            reply.calling(minted_call_id(request, n), tool, args.clone())
        })
    }
}

impl Provider for Stub {
    fn kind(&self) -> &'static str {
        "stub"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let delegates = request.agent == "lead" && !self.calls.is_empty();
            if let Some(gate) = self.gate.as_ref().filter(|_| !delegates) {
                let _held = Held::begin(&self.held);
                let _ = gate.acquire().await;
            }
            Ok(self.reply(request))
        })
    }
}

struct Nothing;

impl Tool for Nothing {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "nothing".to_owned(),
            description: "does nothing".to_owned(),
            parameters: json!({ "type": "object" }),
            effect: EffectClass::Keyed,
            place: Place::Node,
        }
    }

    fn call(&self, _: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        Box::pin(async { Ok("nothing was done".to_owned()) })
    }
}

// ---- the plain loop

async fn plain(measure: &str) -> f64 {
    let times = match measure {
        "one-call" => 20_000,
        "ten-tools" => 5_000,
        "fan-out-100" => 100,
        "fan-out-1000" => 10,
        "in-flight-256" => return plain_in_flight().await,
        _ => std::process::exit(1),
    };
    let stub = stub_for(measure);
    let begun = Instant::now();
    for _ in 0..times {
        plain_run(&stub, "lead").await;
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(times) / shares(measure)
}

async fn plain_in_flight() -> f64 {
    let (stub, runs) = (stub_for("one-call"), 50_000);
    let begun = Instant::now();
    let run = |_| plain_run(&stub, "lead").map(drop);
    stream::iter(0..runs).for_each_concurrent(256, run).await;
    f64::from(runs) / begun.elapsed().as_secs_f64()
}

/// What one writes in an afternoon: no journal, no supervision, no limits.
fn plain_run<'a>(stub: &'a Stub, agent: &'a str) -> BoxFuture<'a, String> {
    Box::pin(async move {
        let mut request = ModelRequest {
            run: RunId(uuid::Uuid::nil()),
            agent: agent.to_owned(),
            model: String::new(),
            brief: "part by part".to_owned(),
            system: String::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            settings: serde_json::Map::new(),
        };
        loop {
            let reply = stub.call(&request, &mut |_| {}).await.expect("a reply");
            if reply.calls.is_empty() {
                return reply.text;
            }
            let results =
                join_all(reply.calls.iter().map(|call| plain_call(stub, &call.name))).await;
            let (text, calls) = (reply.text.clone(), reply.calls.clone());
            request.messages.push(ChatMessage::Assistant {
                text,
                calls,
                opaque: Vec::new(),
            });
            for (call, text) in reply.calls.iter().zip(results) {
                let (call_id, name, is_error) = (call.id.clone(), call.name.clone(), false);
                request.messages.push(ChatMessage::Tool {
                    call_id,
                    name,
                    text,
                    is_error,
                });
            }
        }
    })
}

async fn plain_call(stub: &Stub, tool: &str) -> String {
    match tool {
        "create_run" => plain_run(stub, "helper").await,
        _ => "nothing was done".to_owned(),
    }
}

// ---- under a system

fn stub_for(measure: &str) -> Stub {
    let delegate = |n| {
        (
            "create_run",
            json!({ "agent": "helper", "input": format!("part {n}"), "mode": "foreground" }),
        )
    };
    match measure {
        "ten-tools" => Stub::new((0..10).map(|n| ("nothing", json!({ "n": n }))).collect()),
        "fan-out-100" => Stub::new((0..100).map(delegate).collect()),
        "fan-out-1000" => Stub::new((0..1_000).map(delegate).collect()),
        "run-in-flight" => Stub::new((0..HELD).map(delegate).collect()).held(),
        "idle-agent" | "task-in-flight" => Stub::new(Vec::new()).held(),
        _ => Stub::new(Vec::new()),
    }
}

fn shares(measure: &str) -> f64 {
    match measure {
        "fan-out-100" => 100.0,
        "fan-out-1000" => 1_000.0,
        _ => 1.0,
    }
}

fn task(agents: usize) -> TaskDefinition {
    let lead = AgentSpec::new("stub").tools(["create_run", "nothing"]);
    let mut task = TaskDefinition::new("bench", "part by part").agent("lead", lead);
    task = task.agent("helper", AgentSpec::new("stub").description("helps"));
    for n in 0..agents {
        let idle = AgentSpec::new("stub").description("idle");
        task = task.agent(&format!("idle{n}"), idle);
    }
    let limits = &mut task.limits;
    (limits.fan_out, limits.live_runs, limits.total_runs) = (20_000, 20_000, 20_000);
    // What is set aside for 10,000 calls at once is more than a task may use up by default.
    (limits.budget.tokens, limits.budget.turns) = (Some(1_000_000_000), Some(1_000_000));
    task
}

async fn under<S: Store>(store: Arc<S>, measure: &str) -> f64 {
    let stub = stub_for(measure);
    let mut settings = Settings::default();
    let pools = &mut settings.pools;
    pools.pools.insert("workers".to_owned(), 20_000);
    let deps = impresario::deps(store)
        .provider("stub", stub.clone())
        .tool(Nothing)
        .settings(settings);
    let system = System::start(deps).await.expect("a system");
    for _ in 0..20 {
        if stub.gate.is_none() && shares(measure) < 1_000.0 {
            complete(&system).await;
        }
    }
    match measure {
        "in-flight-256" => in_flight(&system).await,
        "idle-agent" => idle(&system, &stub).await,
        "run-in-flight" => held(&system, &stub, 1).await,
        "task-in-flight" => held(&system, &stub, HELD).await,
        _ => in_turn(&system, measure).await,
    }
}

async fn complete(system: &System) {
    let task = system.create_task(task(0)).await.expect("a task");
    match system.wait(task).await {
        Ok(Settled::Completed(_)) => {}
        other => panic!("{other:?}"),
    }
}

async fn in_turn(system: &System, measure: &str) -> f64 {
    let times = match measure {
        "one-call" => 500,
        "ten-tools" => 200,
        "fan-out-100" => 20,
        _ => 3,
    };
    let mut taken = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        complete(system).await;
        taken.push(begun.elapsed().as_secs_f64() * 1e6 / shares(measure));
    }
    median(taken)
}

async fn in_flight(system: &System) -> f64 {
    let runs = 10_000;
    let begun = Instant::now();
    stream::iter(0..runs)
        .for_each_concurrent(256, |_| complete(system))
        .await;
    f64::from(runs) / begun.elapsed().as_secs_f64()
}

/// The memory of one of a thousand agents that nobody asks anything.
async fn idle(system: &System, stub: &Stub) -> f64 {
    const AGENTS: usize = 1_000;
    let before = at_rest(system).await;
    system.create_task(task(AGENTS)).await.expect("a task");
    until_held(stub, 1).await;
    resident().saturating_sub(before) as f64 / AGENTS as f64
}

/// The memory of one run in flight: what the process has more than at rest, when so many tasks have brought [`HELD`] model calls
/// about and none of them was answered.
async fn held(system: &System, stub: &Stub, tasks: usize) -> f64 {
    let before = at_rest(system).await;
    stream::iter(0..tasks)
        .for_each_concurrent(256, |_| async {
            system.create_task(task(0)).await.expect("a task");
        })
        .await;
    until_held(stub, HELD).await;
    let bytes = resident().saturating_sub(before) as f64 / HELD as f64;
    assert_eq!(stub.held.load(SeqCst), HELD, "all are held, and at once");
    bytes
}

async fn until_held(stub: &Stub, calls: usize) {
    while stub.held.load(SeqCst) < calls {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    settled().await;
}

/// The memory of a system that has had a task.
async fn at_rest(system: &System) -> usize {
    let small = system.create_task(task(0)).await.expect("a task");
    let cancelled = system.cancel(small, "only to warm up").await;
    cancelled.expect("it is cancelled");
    settled().await;
    resident()
}

async fn settled() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}
