//! What a run through the whole system leaves on the disk.

use std::path::Path;
use std::sync::{Arc, Mutex};

use actors::model::{EffectClass, Place, TaskId, ToolSpec};
use actors::store::{EventQuery, Store};
use actors::tool::{Invocation, ToolError};
use fastrand::Rng;
use futures_util::future::BoxFuture;
use impresario::store::{Options, Sqlite};
use impresario::{AgentSpec, EventBody, Scripted, Settled, System, TaskDefinition, Tool};
use serde_json::json;

/// Answers with a kilobyte that cannot be compressed.
struct Oracle(EffectClass, Mutex<Rng>);

impl Tool for Oracle {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "ask".to_owned(),
            description: "asks".to_owned(),
            parameters: json!({ "type": "object" }),
            effect: self.0,
            place: Place::Node,
        }
    }

    fn call(&self, _: Invocation) -> BoxFuture<'_, Result<String, ToolError>> {
        let mut rng = self.1.lock().expect("the oracle");
        let text = (0..1024).map(|_| rng.alphanumeric()).collect();
        Box::pin(std::future::ready(Ok(text)))
    }
}

/// How many results there are in all.
const RESULTS: usize = 200;

/// Runs a task in which every turn asks `at_once` questions; the bytes of its content and those on the disk.
async fn played(class: EffectClass, at_once: usize) -> (usize, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Sqlite::open(Options::new(folder.path().join("impresario.db")));
    let store = Arc::new(store.expect("the store opens"));
    let ask = |nth: usize| json!({ "tool": "ask", "args": { "about": format!("question {nth}") } });
    let turn = |nth: usize| json!({ "say": "I ask.", "calls": (0..at_once).map(|at| ask(nth + at)).collect::<Vec<_>>() });
    let mut script: Vec<_> = (0..RESULTS).step_by(at_once).map(turn).collect();
    script.push(json!({ "say": "I know enough." }));
    let settings = serde_json::from_value(json!({ "scripts": { "asker": script } }));
    let stage = Scripted::new(&settings.expect("a script")).expect("a script");
    let deps = impresario::deps(store.clone())
        .provider("stage", stage)
        .tool(Oracle(class, Mutex::new(Rng::with_seed(5))));
    let system = System::start(deps).await.expect("it starts");
    let asker = AgentSpec {
        max_turns: 1000,
        ..AgentSpec::new("stage").tools(["ask"])
    };
    let task = TaskDefinition::new("questions", "ask").agent("asker", asker);
    let task = system.create_task(task).await.expect("a task");
    let settled = system.wait(task).await.expect("its end");
    assert_eq!(settled, Settled::Completed("I know enough.".to_owned()));
    let content = content(store.as_ref(), task).await;
    system.shutdown().await;
    store.close().await.expect("it closes");
    (content, size(folder.path()))
}

/// What was said and what came back: the models' texts, the arguments of their calls and the results.
async fn content(store: &Sqlite, task: TaskId) -> usize {
    let query = EventQuery {
        task,
        after: 0,
        limit: usize::MAX,
    };
    let events = store.events(query).await.expect("events");
    let of = |body: &EventBody| match body {
        EventBody::ModelCallCompleted { text, calls, .. } => {
            let args = calls.iter().map(|call| call.args.to_string().len());
            text.len() + args.sum::<usize>()
        }
        EventBody::ToolCallCompleted { .. } => 1024,
        _ => 0,
    };
    events.iter().map(|event| of(&event.body)).sum()
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("the folder");
    files
        .map(|file| file.expect("a file").metadata().expect("its size").len())
        .sum()
}

#[tokio::test]
async fn a_run_takes_at_most_twice_its_content() {
    for (class, at_once) in [
        (EffectClass::Pure, 1),
        (EffectClass::Once, 1),
        (EffectClass::Once, 10),
    ] {
        let (content, disk) = played(class, at_once).await;
        println!("{class:?}, {at_once} at once: {disk} bytes on the disk for {content} of content");
        assert!(content > 1024 * RESULTS);
        assert!(disk <= 2 * content as u64, "{disk} bytes for {content}");
    }
}
