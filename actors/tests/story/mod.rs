//! Whole tasks, from their creation to their end, told in short lines.

mod causes;
mod crashes;
mod ends;
mod executors;
mod faults;
mod follow;
mod forks;
mod hang;
mod links;
mod long;
mod nodes;
mod peers;
mod questions;
mod supervision;
mod talk;
mod teller;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::model::{
    AgentName, Event, EventBody, ModelRequest, Reply, RunId, TaskDefinition, TaskId, TaskStatus,
};
use actors::provider::scripted::Scripted;
use actors::provider::{DeltaSink, Provider, ProviderError, turn};
use actors::system::{RunNode, System};
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

/// A scripted provider that panics so many times in the middle of chosen turns of chosen agents.
struct Fragile {
    inner: Scripted,
    panics: Mutex<BTreeMap<(String, usize), u32>>,
}

impl Provider for Fragile {
    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let turn = (request.agent.clone(), turn(&request.messages));
            let panics = {
                let mut panics = self.panics.lock().expect("not poisoned");
                let left = panics.get_mut(&turn).filter(|left| **left > 0);
                left.map(|left| *left -= 1).is_some()
            };
            if panics {
                tokio::time::sleep(Duration::from_millis(10)).await;
                panic!("{} panics in turn {}", turn.0, turn.1);
            }
            self.inner.call(request, deltas).await
        })
    }
}

/// A stage, what is asked on it, and its system.
struct Play {
    stage: Stage,
    requests: Requests,
    system: System,
}

impl Play {
    /// These scripts, with so many panics of an agent in a turn.
    async fn new(scripts: Value, panics: &[(&str, usize, u32)]) -> Self {
        Self::with_latency("20ms", scripts, panics).await
    }

    async fn with_latency(latency: &str, scripts: Value, panics: &[(&str, usize, u32)]) -> Self {
        Self::on(Self::set(latency, scripts, panics), |_| {}).await
    }

    fn set(latency: &str, scripts: Value, panics: &[(&str, usize, u32)]) -> (Stage, Requests) {
        let settings = json!({ "latency": latency, "scripts": scripts });
        let settings = serde_json::from_value(settings).expect("scripts");
        let panics = panics.iter().copied();
        let panics = panics.map(|(agent, turn, times)| ((agent.to_owned(), turn), times));
        let provider = Fragile {
            inner: Scripted::new(&settings).expect("scripts"),
            panics: Mutex::new(panics.collect()),
        };
        let requests = Requests::default();
        let provider = requests.before(Arc::new(provider));
        (Stage::with_provider(provider, 1), requests)
    }

    async fn on((stage, requests): (Stage, Requests), change: impl FnOnce(&mut Stage)) -> Self {
        let mut stage = stage;
        change(&mut stage);
        let system = stage.open(&Moments::calm()).await;
        Self {
            stage,
            requests,
            system,
        }
    }

    /// Creates a task of these agents.
    async fn begin(&self, agents: &[&str], change: impl FnOnce(&mut TaskDefinition)) -> TaskId {
        let mut definition = self.stage.task(agents);
        change(&mut definition);
        self.system.create_task(definition).await.expect("created")
    }

    /// Another node over the same store. The one before has ended.
    async fn restart(&mut self, change: impl FnOnce(&mut actors::system::Deps)) {
        self.stage.seed += 1;
        self.system = self.stage.open_with(&Moments::calm(), change).await;
    }

    /// Waits until the task stands so.
    async fn until(&self, task: TaskId, status: TaskStatus) {
        let mut feed = self.system.watch(task, 0);
        let wait = async {
            while self.system.task(task).await.expect("a task").status != status {
                feed.next().await.expect("it can be read");
            }
        };
        if tokio::time::timeout(Duration::from_secs(900), wait)
            .await
            .is_err()
        {
            panic!("it is not {status:?}:\n{}", self.told(task).await);
        }
    }

    /// Waits for the first event that is like this.
    async fn until_event(&self, task: TaskId, is_it: impl Fn(&Event) -> bool) -> Event {
        let wait = async {
            loop {
                let events = self.stage.journal(task).await;
                if let Some(event) = events.into_iter().find(&is_it) {
                    return event;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(900), wait).await {
            Ok(event) => event,
            Err(_) => panic!("it never happened:\n{}", self.told(task).await),
        }
    }

    /// Waits until the task has ended and nothing moves any more; its journal, told.
    async fn told_to_the_end(&self, task: TaskId, status: TaskStatus) -> String {
        self.until(task, status).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        self.told(task).await
    }

    async fn told(&self, task: TaskId) -> String {
        teller::tell(&self.stage.journal(task).await)
    }

    /// The run of this name in the told journal.
    async fn run(&self, task: TaskId, name: &str) -> RunId {
        let names = teller::names(&self.stage.journal(task).await);
        let found = names.iter().find(|(_, own)| *own == name);
        *found.expect("a run of this name").0
    }

    /// The supervision tree below the task, told.
    async fn tree(&self, task: TaskId) -> String {
        let tree = self.system.tree().await;
        let path = format!("system/tasks/{task}");
        let names = teller::names(&self.stage.journal(task).await);
        let Some(found) = tree.find(&path) else {
            return "none".to_owned();
        };
        let text = found.to_string();
        let lines = text.lines().map(|line| teller::named(line, task, &names));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The tree of runs: who works for whom, and who waits for whom.
    async fn runs(&self, task: TaskId) -> String {
        let names = teller::names(&self.stage.journal(task).await);
        let roots = self.system.run_tree(task).await.expect("a tree");
        let mut lines = Vec::new();
        roots
            .iter()
            .for_each(|root| draw(root, 0, &names, &mut lines));
        lines.join("\n")
    }
}

fn draw(node: &RunNode, depth: usize, names: &BTreeMap<RunId, String>, lines: &mut Vec<String>) {
    let waits = node.depends_on.iter().map(|run| names[run].as_str());
    let waits = waits.collect::<Vec<_>>().join(", ");
    let waits = match waits.as_str() {
        "" => String::new(),
        waits => format!(", waits for {waits}"),
    };
    let (name, status) = (&names[&node.run.id], node.run.status);
    let line = format!("{:indent$}{name} {status:?}{waits}", "", indent = 2 * depth);
    lines.push(line);
    let below = node.children.iter();
    below.for_each(|child| draw(child, depth + 1, names, lines));
}

fn is_waiting(event: &Event) -> bool {
    matches!(event.body, EventBody::RunWaiting { .. })
}

fn agent<'a>(definition: &'a mut TaskDefinition, name: &str) -> &'a mut actors::model::AgentSpec {
    let found = definition.agents.get_mut(&AgentName::from(name));
    found.expect("an agent of this name")
}
