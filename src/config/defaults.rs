//! What every setting is when a file leaves it out. Those the domain knows are taken from there.

use std::collections::BTreeMap;

use actors::model::team::PeerLimits;
use actors::model::{AgentSpec, InDoubtPolicy, Limits, Recovery, TeamSpec};
use actors::pool::{DEFAULT_WAITING, DEFAULT_WORKERS, WORKERS};
use serde_json::Map;

use super::file::{
    AgentConfig, Backoff, Breaker, Budget, Config, Durability, Engine, ExecutorConfig,
    LimitsConfig, NameOr, NodeConfig, PeersConfig, ProviderConfig, ProviderKind, Retry,
    ShellConfig, TeamConfig, TeamMode,
};
use super::values::{Delay, Period};
use super::whole::{Count, Whole};

/// The project of tasks that come from a file.
pub const PROJECT: &str = "default";

/// The pools that are always there.
pub(crate) fn pools() -> BTreeMap<String, Count> {
    [(WORKERS, DEFAULT_WORKERS), ("claude_code", 2)]
        .map(|(name, limit)| {
            (
                name.to_owned(),
                Count::new(u32::try_from(limit).unwrap_or(u32::MAX)),
            )
        })
        .into()
}

fn waiting() -> u32 {
    u32::try_from(DEFAULT_WAITING).unwrap_or(u32::MAX)
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
            limits: LimitsConfig::default(),
            executor: ExecutorConfig::default(),
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
            max_waiting_calls: Whole::new(waiting()),
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
            connect_timeout: None,
            silence_timeout: None,
            max_reply_bytes: None,
            max_concurrent: None,
            rate_limits: Vec::new(),
            retry: Retry::default(),
            breaker: None,
            price: None,
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
            tool_timeout: period(agent.tool_timeout),
            max_turns: Count::new(agent.max_turns),
            recovery: Recovery::default(),
            restart: agent.restart,
            hang_after: None,
            budget: None,
            on_exceeded: None,
            run_timeout: None,
            effects: BTreeMap::new(),
            in_doubt: InDoubtPolicy::default(),
            when_busy: agent.when_busy,
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
            peers: PeersConfig::default(),
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

impl Default for PeersConfig {
    fn default() -> Self {
        let limits = PeerLimits::default();
        Self {
            rounds: Count::new(limits.rounds),
            messages: Count::new(limits.messages),
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

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            depth: Whole::new(limits.depth),
            fan_out: Whole::new(limits.fan_out),
            live_runs: Whole::new(limits.live_runs),
            total_runs: Whole::new(limits.total_runs),
            capsule_chars: Whole::new(limits.capsule_chars),
            inline_bytes: Whole::new(limits.inline_bytes),
            tool_result_bytes: Whole::new(limits.tool_result_bytes),
            progress: Period::from_millis(limits.progress_ms),
            poison_after: Whole::new(limits.poison_after),
            budget: Budget::default(),
            wall_time: Period::from_millis(limits.wall_time_ms),
            loop_warn: Whole::new(limits.loop_warn),
            loop_stop: Whole::new(limits.loop_stop),
        }
    }
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self {
            calls: Whole::new(8),
            result_bytes: Whole::new(64 << 10),
            file_bytes: Whole::new(16 << 20),
            entries: Whole::new(200_000),
            shell: ShellConfig::default(),
        }
    }
}

impl Default for ShellConfig {
    fn default() -> Self {
        Self {
            timeout: Period::from_millis(120_000),
            max_timeout: Period::from_millis(600_000),
            command_bytes: Whole::new(100_000),
            live_bytes: Whole::new(256 << 10),
            grace: Delay::from_millis(300),
        }
    }
}

fn period(time: std::time::Duration) -> Period {
    Period::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
