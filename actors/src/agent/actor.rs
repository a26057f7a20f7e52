//! The agent's actor: it has its model called, one call beside another, and hears everything meanwhile.

use std::sync::{Arc, Weak};
use std::time::Duration;

use supervision::{Activity, Actor, Context, Failure, Inbox, Pulse, Reply, Start};

use super::gate::Gate;
use crate::feed::{Bus, Live};
use crate::model::{AgentName, ModelRequest, Reply as ModelReply, TaskId};
use crate::pool::{Outcome, Permit};
use crate::provider::{Delta, Provider, ProviderError, ProviderErrorKind, usable};

/// How a thought ended.
pub type Thought = Result<ModelReply, ProviderError>;

/// What an agent's actor is told.
#[derive(Debug)]
pub enum AgentMessage {
    /// Think about this. The call ends at once when the gate is closed, and is not made when whoever wants it has given its permit
    /// back. It is under way, and makes progress, in the name of whoever has this pulse.
    Think(Arc<ModelRequest>, Gate, Weak<Permit>, Pulse, Reply<Thought>),
}

/// What an agent's actor is given.
#[derive(Clone)]
pub struct AgentArguments {
    /// The task it works in.
    pub task: TaskId,
    /// Its name.
    pub name: AgentName,
    /// What it thinks with.
    pub provider: Arc<dyn Provider>,
    /// The limit of one model call.
    pub timeout: Duration,
    /// Where what it says is published.
    pub bus: Bus,
}

impl std::fmt::Debug for AgentArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentArguments")
            .field("task", &self.task)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

struct Agent(AgentArguments);

/// How an agent's actor is started.
pub fn start(reads: Inbox<AgentMessage>, arguments: AgentArguments) -> Start {
    Start::actor(reads, move |_| {
        std::future::ready(Ok(Agent(arguments.clone())))
    })
}

impl Actor for Agent {
    type Message = AgentMessage;

    async fn handle(
        &mut self,
        message: AgentMessage,
        cx: &mut Context<AgentMessage>,
    ) -> Result<(), Failure> {
        let AgentMessage::Think(request, gate, permit, pulse, reply) = message;
        let arguments = self.0.clone();
        // A provider that panics takes the agent down, as a crash of the agent: its supervisor decides what follows.
        let _ = cx.attach_maybe(async move {
            let _inside = gate.enter()?;
            let permit = permit.upgrade()?;
            let activity = pulse.activity("a model call");
            tokio::select! {
                biased;
                () = gate.closed() => {}
                thought = call(&arguments, &request, &permit, &activity) => reply.send(thought),
            }
            None
        });
        Ok(())
    }
}

async fn call(
    arguments: &AgentArguments,
    request: &ModelRequest,
    permit: &Permit,
    activity: &Activity,
) -> Thought {
    let AgentArguments {
        task,
        name,
        provider,
        timeout,
        bus,
    } = arguments;
    let mut publish = |delta| {
        activity.beat();
        if let Delta::Text(text) = delta {
            bus.publish(Live::Delta {
                task: *task,
                run: request.run,
                agent: name.clone(),
                text: text.into(),
            });
        }
    };
    permit.sent();
    let late = |message: String| Err(ProviderError::new(ProviderErrorKind::Timeout, message));
    let reply = tokio::time::timeout(*timeout, provider.call(request, &mut publish));
    let thought = tokio::select! {
        biased;
        () = activity.cancelled() => late(format!(
            "the model call made no progress for too long (hang_after of agent `{name}`)"
        )),
        reply = reply => match reply {
            Ok(thought) => thought.and_then(usable),
            Err(_) => late(format!("no whole reply within {timeout:?} (timeout of agent `{name}`)")),
        }
    };
    permit.heard(outcome(&thought));
    thought
}

/// What a thought says about the limits of its provider.
fn outcome(thought: &Thought) -> Outcome {
    match thought {
        Ok(_) => Outcome::Answered,
        Err(error) if error.kind == ProviderErrorKind::RateLimited => {
            Outcome::Refused(error.retry_after)
        }
        Err(error) if is_ill(error.kind) => Outcome::Ill(
            format!("{:?}", error.kind).to_lowercase(),
            error.retry_after,
        ),
        Err(_) => Outcome::Failed,
    }
}

/// Whether it is the provider that fails, and not the request.
fn is_ill(kind: ProviderErrorKind) -> bool {
    use ProviderErrorKind as K;
    matches!(
        kind,
        K::Overloaded | K::Timeout | K::Cut | K::Unreachable | K::Internal
    )
}
