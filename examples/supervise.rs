//! What happens to a team when one of its agents crashes?
//!
//! ```text
//! cargo run --example supervise
//! ```
//!
//! Three agents in the order editor, checker, printer, under a supervisor with the strategy `rest_for_one`: whoever crashes is started
//! again together with those after it, which stood on its work; those before it go on. The checker's model crashes on its first call.
//! The run goes on where its journal ends, and nobody notices but the supervisor. (The crash itself is reported on stderr.)

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actors::model::team::{TeamSpec, TeamStrategy};
use actors::model::{ModelRequest, Reply};
use actors::provider::{DeltaSink, ProviderError};
use futures_util::future::BoxFuture;
use impresario::{
    AgentSpec, EventBody, FeedItem, Memory, Provider, Scripted, System, TaskDefinition,
};
use serde_json::json;

/// A provider that panics on the first call of one agent.
struct Crashing {
    inner: Scripted,
    agent: &'static str,
    has_crashed: AtomicBool,
}

impl Provider for Crashing {
    fn kind(&self) -> &'static str {
        "crashing"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            if request.agent == self.agent && !self.has_crashed.swap(true, Ordering::SeqCst) {
                panic!("the {} has lost the thread", self.agent);
            }
            self.inner.call(request, deltas).await
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let scripts = json!({
        "editor": [
            { "say": "Check, then print.", "call": "create_run", "args": { "agent": "checker", "input": "check the text" } },
            { "say": "Good.", "call": "create_run", "args": { "agent": "printer", "input": "print the text" } },
            { "say": "Issue 7 is out." },
        ],
        "checker": [{ "say": "No mistakes." }],
        "printer": [{ "say": "Printed." }],
    });
    let inner = Scripted::new(&serde_json::from_value(json!({ "scripts": scripts }))?)?;
    let crashing = Crashing {
        inner,
        agent: "checker",
        has_crashed: AtomicBool::new(false),
    };
    let deps = impresario::deps(Arc::new(Memory::default())).provider("stage", crashing);
    let system = System::start(deps).await?;

    let team = TeamSpec {
        strategy: TeamStrategy::RestForOne,
        max_restarts: 3,
        ..TeamSpec::default()
    };
    let task = TaskDefinition::new("issue 7", "check and print the text")
        .agent("editor", AgentSpec::new("stage").tools(["create_run"]))
        .agent("checker", AgentSpec::new("stage"))
        .agent("printer", AgentSpec::new("stage"))
        .team(team);
    let task = system.create_task(task).await?;

    let mut feed = system.watch(task, 0).until_end();
    let mut beside = Vec::new();
    while let Some(item) = feed.next().await? {
        let FeedItem::Event(event) = item else {
            continue;
        };
        let agent = event.agent.as_ref().map_or("", |name| name.as_str());
        match &event.body {
            EventBody::ModelCallCompleted { text, .. } => println!("{agent}: {text}"),
            EventBody::AgentState { state, reason } => {
                beside.push(format!("{agent} {state:?} {reason}").trim_end().to_owned());
            }
            _ => {}
        }
    }
    println!("meanwhile, under the supervisor:\n{}", beside.join("\n"));
    system.shutdown().await;
    Ok(())
}
