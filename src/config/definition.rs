//! From a file to a task as the domain knows it.

use actors::model::team::{PeerLimits, TeamBackoff, TeamMode};
use actors::model::topology::{Pattern, Rule};
use actors::model::{
    AgentName, AgentSpec, Budget, Limits, Price, TaskDefinition, TeamSpec, Topology,
};

use super::defaults::PROJECT;
use super::file::{self, Config, LimitsConfig, NameOr, TeamConfig, TopologyName, TopologyRule};
use super::nearest::suggestion;
use super::source::{quoted, shortened};
use super::values::Period;
use super::whole::Count;

/// Characters of a task's name that is made from its description.
const NAME_LENGTH: usize = 60;

/// What the command line says about the task, instead of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskChoice {
    /// What is to be done.
    pub task: Option<String>,
    /// The team that does it.
    pub team: Option<String>,
}

/// A task that somebody asks a running node for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskOrder {
    /// A short name; the beginning of the description when left out.
    pub name: Option<String>,
    /// What is to be done.
    pub description: String,
    /// The project it belongs to.
    pub project: String,
    /// Who gets it; the only team or agent there is when left out.
    pub to: Option<Addressee>,
    /// How urgent it is, from -10 to 10.
    pub priority: i32,
}

/// Who gets a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// A team.
    Team(String),
    /// An agent, with those that it may delegate to.
    Agent(String, Vec<String>),
}

/// Why a file and a [`TaskChoice`] make no task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither says what is to be done.
    #[error("no task: give the file a `[task]` with a `description`, or say it with `--task`")]
    NoTask,
    /// Neither says who is to do it.
    #[error(
        "nobody to do the task: give the file a `[task]` with a `team` or a `root_agent`, or say it with `--team`"
    )]
    NobodyToDoIt,
    /// The team does not exist.
    #[error("unknown team {}; {help}", quoted(name))]
    UnknownTeam {
        /// The team.
        name: String,
        /// The one that was probably meant, or those there are.
        help: String,
    },
    /// An agent does not exist.
    #[error("unknown agent {}; {help}", quoted(name))]
    UnknownAgent {
        /// The agent.
        name: String,
        /// The one that was probably meant, or those there are.
        help: String,
    },
    /// A provider does not exist; again the data came from elsewhere.
    #[error("unknown provider {}", quoted(name))]
    UnknownProvider {
        /// The provider.
        name: String,
    },
    /// The data asks for something this version does not do; files that do are not loaded, so it came from elsewhere.
    #[error("{what} is not available in this version")]
    Unavailable {
        /// What.
        what: String,
    },
}

/// Who gets a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Root<'c> {
    /// A team's lead, and its members are available.
    Team(&'c str, &'c TeamConfig),
    /// An agent, with those it may delegate to.
    Agent(&'c str, &'c [String]),
}

impl Config {
    /// The task that this file and the command line describe, with everything it depends on.
    ///
    /// # Errors
    /// A [`ConfigError`] where they do not say what is to be done or who does it.
    pub fn definition(&self, choice: &TaskChoice) -> Result<TaskDefinition, ConfigError> {
        let (name, description) = self.brief(choice)?;
        let root = self.root(choice)?;
        let priority = self.task.as_ref().map_or(0, |task| task.priority.get());
        let mut definition = self.defined(root, name, description)?;
        definition.priority = priority;
        definition.source = self.to_json();
        Ok(definition)
    }

    /// The task that somebody asks for, with everything it depends on as this file has it.
    ///
    /// # Errors
    /// A [`ConfigError`] where nobody can do it.
    pub fn definition_for(&self, order: &TaskOrder) -> Result<TaskDefinition, ConfigError> {
        if order.description.trim().is_empty() {
            return Err(ConfigError::NoTask);
        }
        let root = match &order.to {
            Some(Addressee::Team(name)) => self.team(name)?,
            Some(Addressee::Agent(name, available)) => Root::Agent(name, available),
            None => self.only_root().ok_or(ConfigError::NobodyToDoIt)?,
        };
        let name = order.name.clone();
        let name = name.unwrap_or_else(|| name_for(&order.description));
        let mut definition = self.defined(root, name, order.description.clone())?;
        definition.project.clone_from(&order.project);
        definition.priority = order.priority;
        Ok(definition)
    }

    fn defined(
        &self,
        root: Root<'_>,
        name: String,
        description: String,
    ) -> Result<TaskDefinition, ConfigError> {
        let (root_agent, available, team) = match root {
            Root::Team(name, team) => (
                team.lead.as_str(),
                &team.members[..],
                Some(team_spec(name, team)?),
            ),
            Root::Agent(name, available) => (name, available, None),
        };
        let concerned = available.iter().map(String::as_str).chain([root_agent]);
        let agents = concerned.map(|name| Ok((AgentName::from(name), self.agent_spec(name)?)));
        Ok(TaskDefinition {
            name,
            description,
            project: PROJECT.to_owned(),
            root_agent: root_agent.into(),
            available_agents: available.iter().map(|name| name.as_str().into()).collect(),
            team,
            workflow: None,
            agents: agents.collect::<Result<_, _>>()?,
            limits: limits(&self.limits),
            priority: 0,
            forked_from: None,
            source: serde_json::Value::Null,
        })
    }

    /// The file as JSON, to be pinned; [`Config`] is read back from it with serde.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Who gets a task when nothing says so: the only team, or else the only agent.
    pub(crate) fn only_root(&self) -> Option<Root<'_>> {
        let (mut teams, mut agents) = (self.teams.iter(), self.agents.iter());
        match (teams.next(), teams.next(), agents.next(), agents.next()) {
            (Some((name, team)), None, _, _) => Some(Root::Team(name, team)),
            (None, _, Some((name, _)), None) => Some(Root::Agent(name, &[])),
            _ => None,
        }
    }

    fn brief(&self, choice: &TaskChoice) -> Result<(String, String), ConfigError> {
        let said = |text: &&str| !text.trim().is_empty();
        if let Some(text) = choice.task.as_deref().filter(said) {
            return Ok((name_for(text), text.to_owned()));
        }
        let task = self.task.as_ref().ok_or(ConfigError::NoTask)?;
        let text = Some(task.description.as_str())
            .filter(said)
            .ok_or(ConfigError::NoTask)?;
        let name = task.name.clone().unwrap_or_else(|| name_for(text));
        Ok((name, text.to_owned()))
    }

    fn root(&self, choice: &TaskChoice) -> Result<Root<'_>, ConfigError> {
        let task = self.task.as_ref();
        let team = choice.team.as_ref().or_else(|| task?.team.as_ref());
        let agent = task.and_then(|task| Some((task.root_agent.as_ref()?, &task.available_agents)));
        match (team, agent) {
            (Some(name), _) => self.team(name),
            (None, Some((name, available))) => Ok(Root::Agent(name, available)),
            (None, None) => self.only_root().ok_or(ConfigError::NobodyToDoIt),
        }
    }

    fn team(&self, name: &str) -> Result<Root<'_>, ConfigError> {
        let found = self.teams.get_key_value(name);
        let found = found.map(|(name, team)| Root::Team(name, team));
        found.ok_or_else(|| {
            let known: Vec<_> = self.teams.keys().map(String::as_str).collect();
            ConfigError::UnknownTeam {
                name: name.to_owned(),
                help: suggestion(name, "teams", &known),
            }
        })
    }

    fn agent_spec(&self, name: &str) -> Result<AgentSpec, ConfigError> {
        let found = self.agents.get(name);
        let agent = found.ok_or_else(|| {
            let known: Vec<_> = self.agents.keys().map(String::as_str).collect();
            ConfigError::UnknownAgent {
                name: name.into(),
                help: suggestion(name, "agents", &known),
            }
        })?;
        let name = &agent.provider;
        let found = self.providers.get(name);
        let provider = found.ok_or_else(|| ConfigError::UnknownProvider { name: name.into() })?;
        Ok(AgentSpec {
            description: agent.description.clone(),
            instructions: agent.instructions.clone(),
            provider: agent.provider.clone(),
            model: agent
                .model
                .clone()
                .or_else(|| provider.model.clone())
                .unwrap_or_default(),
            tools: agent.tools.clone(),
            effects: agent.effects.clone(),
            in_doubt: agent.in_doubt,
            when_busy: agent.when_busy,
            recovery: agent.recovery,
            restart: agent.restart,
            pool: agent.pool.clone(),
            timeout: agent.timeout.unwrap_or(provider.timeout).get(),
            tool_timeout: agent.tool_timeout.get(),
            max_turns: agent.max_turns.get(),
            budget: agent.budget.map(budget).unwrap_or_default(),
            on_exceeded: agent.on_exceeded,
            run_timeout_ms: agent.run_timeout.map(millis),
            price: provider.price.map(price),
            hang_after: agent.hang_after.map(super::Period::get),
            settings: agent.settings.clone(),
        })
    }
}

fn name_for(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    shortened(line.unwrap_or_default().trim(), NAME_LENGTH)
}

fn limits(limits: &LimitsConfig) -> Limits {
    Limits {
        depth: limits.depth.get(),
        fan_out: limits.fan_out.get(),
        live_runs: limits.live_runs.get(),
        total_runs: limits.total_runs.get(),
        capsule_chars: limits.capsule_chars.get(),
        inline_bytes: limits.inline_bytes.get(),
        tool_result_bytes: limits.tool_result_bytes.get(),
        progress_ms: millis(limits.progress),
        poison_after: limits.poison_after.get(),
        budget: budget_of_task(limits.budget),
        wall_time_ms: millis(limits.wall_time),
        loop_warn: limits.loop_warn.get(),
        loop_stop: limits.loop_stop.get(),
    }
}

fn millis(period: Period) -> u64 {
    u64::try_from(period.get().as_millis()).unwrap_or(u64::MAX)
}

fn budget(said: file::Budget) -> Budget {
    Budget {
        tokens: said.tokens,
        cost_usd_micros: said.cost_usd.map(micros),
        turns: said.turns,
    }
}

/// What a file leaves out is as usual.
fn budget_of_task(said: file::Budget) -> Budget {
    let (said, usual) = (budget(said), Limits::default().budget);
    Budget {
        tokens: said.tokens.or(usual.tokens),
        cost_usd_micros: said.cost_usd_micros.or(usual.cost_usd_micros),
        turns: said.turns.or(usual.turns),
    }
}

fn price(said: file::PriceConfig) -> Price {
    Price {
        input: micros(said.input),
        output: micros(said.output),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the reader takes finite numbers, the checks positive ones, and `as` ends at the largest whole number"
)]
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

fn team_spec(name: &str, team: &TeamConfig) -> Result<TeamSpec, ConfigError> {
    let backoff = team.backoff.map(|b| TeamBackoff {
        base: b.base.get(),
        cap: b.cap.get(),
    });
    Ok(TeamSpec {
        name: name.to_owned(),
        lead: team.lead.as_str().into(),
        members: team
            .members
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        mode: mode(team)?,
        peers: PeerLimits {
            rounds: team.peers.rounds.get(),
            messages: team.peers.messages.get(),
        },
        topology: topology(team),
        strategy: team.strategy,
        max_restarts: team.max_restarts,
        within: team.within.get(),
        backoff,
        max_workers: team.max_workers.map(Count::get),
    })
}

fn mode(team: &TeamConfig) -> Result<TeamMode, ConfigError> {
    match team.mode {
        file::TeamMode::Delegate => Ok(TeamMode::Delegate),
        file::TeamMode::Peers => Ok(TeamMode::Peers),
        file::TeamMode::SameTask => Err(ConfigError::Unavailable {
            what: format!("the mode `{}`", team.mode),
        }),
    }
}

fn topology(team: &TeamConfig) -> Topology {
    match &team.topology {
        NameOr::Name(TopologyName::Broadcast) => Topology::Broadcast,
        NameOr::Name(TopologyName::Filtered) => Topology::Filtered,
        NameOr::Name(TopologyName::Hierarchical) => Topology::Hierarchical,
        NameOr::Name(TopologyName::Chain) => Topology::Chain,
        NameOr::Table(table) => Topology::Rules(table.rules.iter().map(rule).collect()),
    }
}

fn rule(rule: &TopologyRule) -> Rule {
    Rule {
        from: rule.from.clone().into(),
        to: rule.to.clone().into(),
        when: rule.when.as_deref().map(Pattern::new),
        decide: rule.decide,
    }
}
