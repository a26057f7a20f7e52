//! What does not change while a task is watched.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::model::event::AgentState;
use actors::model::team::TeamStrategy;
use actors::model::{AgentName, Budget, Limits, TaskDefinition};

use super::Agent;

/// What a task was created with, as far as a watcher is shown it.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::run) struct Facts {
    /// The task's name.
    pub(in crate::cli::run) name: String,
    /// The team, where there is one.
    pub(in crate::cli::run) team: Option<Team>,
    /// The folder its agents work in.
    pub(in crate::cli::run) workspace: Option<String>,
    /// What the task may use up, where that is not the usual.
    pub(in crate::cli::run) budget: Option<Budget>,
    /// The agents whose models are scripted.
    scripted: BTreeSet<AgentName>,
    /// How many agents there are.
    agents: usize,
}

/// A team as a watcher is shown it.
#[derive(Debug, Clone)]
pub(in crate::cli::run) struct Team {
    /// Its name.
    pub(in crate::cli::run) name: String,
    /// Whom a crash restarts.
    pub(in crate::cli::run) strategy: TeamStrategy,
    /// How many restarts are forgiven,
    pub(in crate::cli::run) max_restarts: u32,
    /// within which time.
    pub(in crate::cli::run) within: Duration,
}

impl Facts {
    pub(in crate::cli::run) fn new(definition: &TaskDefinition) -> Self {
        let providers = &definition.source["config"]["providers"];
        let is_scripted = |provider: &str| providers[provider]["kind"] == "scripted";
        let scripted = definition
            .agents
            .iter()
            .filter(|(_, agent)| is_scripted(&agent.provider));
        let team = definition.team.as_ref().map(|team| Team {
            name: team.name.clone(),
            strategy: team.strategy,
            max_restarts: team.max_restarts,
            within: team.within,
        });
        let budget = definition.limits.budget;
        Self {
            budget: (budget != Limits::default().budget).then_some(budget),
            name: definition.name.clone(),
            team,
            workspace: definition.source["workspace"].as_str().map(str::to_owned),
            scripted: scripted.map(|(name, _)| name.clone()).collect(),
            agents: definition.agents.len(),
        }
    }

    pub(super) fn agents(&self, definition: &TaskDefinition) -> Vec<Agent> {
        let others = definition
            .available_agents
            .iter()
            .filter(|name| **name != definition.root_agent);
        let names = [&definition.root_agent].into_iter().chain(others);
        let agent = |name: &AgentName| Agent {
            name: name.clone(),
            state: AgentState::Idle,
            reason: String::new(),
            restarts: 0,
        };
        names.map(agent).collect()
    }

    /// What is to be said about models that are none: nothing, that all are scripted, or which.
    pub(in crate::cli::run) fn scripted(&self) -> Option<String> {
        let names: Vec<_> = self.scripted.iter().map(AgentName::as_str).collect();
        match names.len() {
            0 => None,
            all if all == self.agents => Some("scripted".to_owned()),
            _ => Some(format!("scripted: {}", names.join(", "))),
        }
    }
}
