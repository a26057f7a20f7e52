//! How do I run a team of agents inside my own program, and keep what they did?
//!
//! ```text
//! cargo run --example embed [DATA_DIR]
//! ```
//!
//! A system is a value: it is given a store, something to think with and tools, and asked to do a task. Everything that happens is
//! in the store before it goes on, so with a DATA_DIR of your own a second start shows the same task, finished, and asks no model.
//! The models are scripted, so no key is needed; in place of `Scripted` stands your own `Provider` (see provider.rs).

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use impresario::store::{DataFolder, Options, Sqlite};
use impresario::{AgentSpec, EventBody, FeedItem, Scripted, Settled, System, TaskDefinition};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let forgotten = tempfile::tempdir()?;
    let data_dir = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = DataFolder::open(data_dir.as_deref().unwrap_or(forgotten.path()))?;
    let store = Arc::new(Sqlite::open(Options::new(folder.database()))?);

    let system = System::start(impresario::deps(store.clone()).provider("stage", stage()?)).await?;
    let task = match system.tasks(false).await?.first() {
        // An unfinished task goes on by itself as soon as the system is up.
        Some(known) => known.id,
        None => system.create_task(haiku()).await?,
    };

    let mut feed = system.watch(task, 0).until_end();
    while let Some(item) = feed.next().await? {
        if let FeedItem::Event(event) = item {
            let who = event.agent.as_ref().map_or("", |name| name.as_str());
            match &event.body {
                EventBody::RunQueued { spec } => println!("{who} is given: {}", spec.input),
                EventBody::ModelCallCompleted { text, .. } => println!("{who}: {text}"),
                _ => {}
            }
        }
    }
    match system.wait(task).await? {
        Settled::Completed(result) => println!("the result:\n{result}"),
        other => println!("no result: {other:?}"),
    }

    system.shutdown().await;
    store.close().await?;
    Ok(())
}

/// Two agents. The first one gets the task and may delegate to the other.
fn haiku() -> TaskDefinition {
    let editor = AgentSpec::new("stage")
        .instructions("You edit a small magazine. Have a poem written, then judge it.")
        .tools(["create_run"]);
    let poet = AgentSpec::new("stage")
        .description("writes haiku")
        .instructions("You write one haiku, and nothing else.");
    TaskDefinition::new("haiku", "a haiku about supervisors")
        .agent("editor", editor)
        .agent("poet", poet)
}

fn stage() -> Result<Scripted, Box<dyn Error>> {
    let scripts = json!({
        "editor": [
            { "say": "One for the poet.", "call": "create_run", "args": { "agent": "poet", "input": "{{input}}" } },
            { "say": "Printed:\n{{result.0}}" },
        ],
        "poet": [{ "say": "an actor stumbles\nthe prompter whispers the line\nthe play does not stop" }],
    });
    let settings = serde_json::from_value(json!({ "latency": "20ms", "scripts": scripts }))?;
    Ok(Scripted::new(&settings)?)
}
