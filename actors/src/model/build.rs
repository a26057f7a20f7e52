//! Definitions and replies made in code, piece by piece, by programs that embed the system.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::agent::{AgentName, AgentSpec, InDoubtPolicy, Recovery};
use super::chat::{Reply, StopReason, ToolCall};
use super::task::{Limits, TaskDefinition};
use super::team::TeamSpec;
use super::usage::Usage;

/// The project of tasks that name none.
pub const PROJECT: &str = "default";

impl AgentSpec {
    /// An agent that thinks with the provider of this name; everything else as usual.
    #[must_use]
    pub fn new(provider: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            ..Self::default()
        }
    }

    /// With one line about it for the other agents.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// With this system prompt.
    #[must_use]
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = instructions.into();
        self
    }

    /// With this model instead of the provider's own default.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// With these tools, besides those it has.
    #[must_use]
    pub fn tools<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        self.tools.extend(tools.into_iter().map(Into::into));
        self
    }

    /// With this policy for tool calls of unknown outcome.
    #[must_use]
    pub fn in_doubt(mut self, policy: InDoubtPolicy) -> Self {
        self.in_doubt = policy;
        self
    }

    /// Taken for hung when it or one of its runs is at work and makes no progress for this long.
    #[must_use]
    pub fn hang_after(mut self, limit: Duration) -> Self {
        self.hang_after = Some(limit);
        self
    }

    /// With this way of going on after an interruption.
    #[must_use]
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }
}

impl TaskDefinition {
    /// A task that nobody has yet: give it an agent.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            project: PROJECT.to_owned(),
            root_agent: "".into(),
            available_agents: Vec::new(),
            team: None,
            workflow: None,
            agents: BTreeMap::new(),
            limits: Limits::default(),
            priority: 0,
            forked_from: None,
            source: Value::Null,
        }
    }

    /// With one more agent. The first one gets the task, and any of them may be delegated to.
    #[must_use]
    pub fn agent(mut self, name: &str, spec: AgentSpec) -> Self {
        let name = AgentName::from(name);
        if self.agents.is_empty() {
            self.root_agent = name.clone();
        }
        if !self.available_agents.contains(&name) {
            self.available_agents.push(name.clone());
        }
        self.agents.insert(name, spec);
        self
    }

    /// As the work of a team: its topology and its supervision count.
    #[must_use]
    pub fn team(mut self, team: TeamSpec) -> Self {
        self.team = Some(team);
        self
    }

    /// In this project instead of `default`.
    #[must_use]
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// As urgent as this, from -10 to 10.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Within these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl Reply {
    /// A reply that says all there is to say.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            calls: Vec::new(),
            usage: Usage::default(),
            stop: StopReason::End,
            opaque: Vec::new(),
        }
    }

    /// And wants one more tool called. The id is the provider's own name for the call, or a [minted](crate::provider::minted_call_id)
    /// one.
    #[must_use]
    pub fn calling(mut self, id: impl Into<String>, name: &str, args: Value) -> Self {
        let (id, name) = (id.into(), name.to_owned());
        self.calls.push(ToolCall { id, name, args });
        self.stop = StopReason::ToolCalls;
        self
    }
}
