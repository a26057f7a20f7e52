//! What every setting is when a file leaves it out. Those the domain knows are taken from there.

use std::collections::BTreeMap;

use actors::model::{AgentSpec, InDoubtPolicy, Recovery, TeamSpec};
use serde_json::Map;

use super::file::{
    AgentConfig, Backoff, Breaker, Config, Durability, Engine, NameOr, NodeConfig, ProviderConfig,
    ProviderKind, Retry, TeamConfig, TeamMode,
};
use super::values::{Count, Period};

/// The project of tasks that come from a file.
pub const PROJECT: &str = "default";

/// The pools that are always there.
pub(crate) fn pools() -> BTreeMap<String, Count> {
    [("workers", 5), ("claude_code", 2)]
        .map(|(name, limit)| (name.to_owned(), Count::new(limit)))
        .into()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: NodeConfig::default(),
            pools: pools(),
            providers: BTreeMap::new(),
            agents: BTreeMap::new(),
            teams: BTreeMap::new(),
            workflows: BTreeMap::new(),
            mcp_servers: BTreeMap::new(),
            hooks: Vec::new(),
            webhooks: BTreeMap::new(),
            task: None,
            faults: Vec::new(),
            include: Vec::new(),
        }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: "impresario".to_owned(),
            listen: None,
            data_dir: ".impresario".to_owned(),
            store: None,
            durability: Durability::Power,
            engine: Engine::Local,
            auto_recover: true,
        }
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            kind: ProviderKind::Scripted,
            base_url: None,
            api_key_env: None,
            model: None,
            timeout: period(AgentSpec::default().timeout),
            max_concurrent: None,
            rate_limits: Vec::new(),
            retry: Retry::default(),
            breaker: None,
            latency: None,
            scripts: BTreeMap::new(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: Count::new(5),
            base: Period::from_millis(1_000),
            cap: Period::from_millis(60_000),
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: Count::new(5),
            within: Period::from_millis(60_000),
            reset_after: Period::from_millis(30_000),
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        let agent = AgentSpec::default();
        Self {
            provider: String::new(),
            model: None,
            description: String::new(),
            instructions: String::new(),
            instructions_file: None,
            tools: Vec::new(),
            mcp: Vec::new(),
            pool: agent.pool,
            timeout: None,
            max_turns: Count::new(agent.max_turns),
            recovery: Recovery::default(),
            restart: agent.restart,
            hang_after: None,
            budget: None,
            effects: BTreeMap::new(),
            in_doubt: InDoubtPolicy::default(),
            settings: Map::new(),
            cwd: None,
        }
    }
}

impl Default for TeamConfig {
    fn default() -> Self {
        let team = TeamSpec::default();
        Self {
            lead: String::new(),
            members: Vec::new(),
            mode: TeamMode::Delegate,
            topology: NameOr::default(),
            strategy: team.strategy,
            max_restarts: team.max_restarts,
            within: period(team.within),
            backoff: None,
            max_workers: None,
            pipeline: None,
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Period::from_millis(500),
            cap: Period::from_millis(30_000),
        }
    }
}

fn period(time: std::time::Duration) -> Period {
    Period::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
