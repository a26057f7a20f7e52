//! How do I let agents think with something of my own?
//!
//! ```text
//! cargo run --example provider
//! ```
//!
//! A provider is one trait with one method: a conversation goes in, a reply comes out, with or without tool calls. Here a handful of
//! rules does the thinking, and a lead built on them delegates to a counter built on them. Retries, limits, the journal and
//! supervision are the system's business: a provider keeps no state and only says whether a failed call may be tried again.

use std::error::Error;
use std::sync::Arc;

use actors::model::{ChatMessage, ModelRequest, Reply};
use actors::provider::{Delta, DeltaSink, ProviderError, ProviderErrorKind, minted_call_id};
use futures_util::future::BoxFuture;
use impresario::{AgentSpec, Memory, Provider, Settled, System, TaskDefinition};
use serde_json::json;

/// Counts words, or has them counted.
struct Rules;

impl Provider for Rules {
    fn kind(&self) -> &'static str {
        "rules"
    }

    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        deltas: DeltaSink<'a>,
    ) -> BoxFuture<'a, Result<Reply, ProviderError>> {
        Box::pin(async move {
            let reply = match (request.agent.as_str(), request.messages.last()) {
                ("lead", Some(ChatMessage::User { text })) => {
                    let args = json!({ "agent": "counter", "input": text });
                    let id = minted_call_id(request, 0);
                    Reply::new("Let me have that counted.").calling(id, "create_run", args)
                }
                ("lead", Some(ChatMessage::Tool { text, .. })) => Reply::new(text),
                ("counter", _) => {
                    let words = request.brief.split_whitespace().count();
                    Reply::new(format!("{words} words"))
                }
                (agent, _) => {
                    let message = format!("there are no rules for agent `{agent}`");
                    return Err(ProviderError::new(ProviderErrorKind::BadRequest, message));
                }
            };
            deltas(Delta::Text(reply.text.clone()));
            Ok(reply)
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let deps = impresario::deps(Arc::new(Memory::default())).provider("rules", Rules);
    let system = System::start(deps).await?;
    for lead in ["lead", "stranger"] {
        let task = TaskDefinition::new("count", "the play does not stop")
            .agent(lead, AgentSpec::new("rules").tools(["create_run"]))
            .agent(
                "counter",
                AgentSpec::new("rules").description("counts words"),
            );
        match system.wait(system.create_task(task).await?).await? {
            Settled::Completed(result) => println!("{lead} has a result: {result}"),
            other => println!("{lead} has none: {other:?}"),
        }
    }
    system.shutdown().await;
    Ok(())
}
