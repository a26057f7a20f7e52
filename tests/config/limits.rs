//! Limits that a file sets reach what they limit, and those it leaves out are the usual ones.

use std::path::Path;
use std::time::Duration;

use impresario::actors::model::{AgentSpec, Budget, Limits};
use impresario::actors::pool::{self, BreakerLimits, ProviderLimits, Rate};
use impresario::config::{self, Config, TaskChoice};
use impresario::executor::{self, ShellLimits, ToolLimits};
use impresario::node::executor_limits;
use impresario::provider::openai::Settings;
use impresario::settings::{Changes, pool_limits};

const FILE: &str = r#"
[limits]
depth = 0
fan_out = 2
live_runs = 3
total_runs = 4
capsule_chars = 500
inline_bytes = 2_048
tool_result_bytes = 4_096
progress = "5s"
poison_after = 6
budget = { tokens = 7_000, cost_usd = 0.5 }
wall_time = "2h"
loop_warn = 4
loop_stop = 8

[executor]
calls = 1
result_bytes = 1_024
file_bytes = 2_048
entries = 100
shell = { timeout = "10s", max_timeout = "20s", command_bytes = 200, live_bytes = 0, grace = "0s" }

[providers.p]
kind = "scripted"
scripts = { a = [{ say = "x" }] }

[agents.a]
provider = "p"
tool_timeout = "7s"
"#;

fn parse(text: &str) -> Config {
    config::parse("f", text, Path::new("")).expect("a good file")
}

fn limits_of(config: &Config) -> (Limits, Duration) {
    let task = Some("x".to_owned());
    let definition = config.definition(&TaskChoice { task, team: None });
    let definition = definition.expect("a task");
    let agent = &definition.agents[&"a".into()];
    (definition.limits, agent.tool_timeout)
}

#[test]
fn those_of_the_file_reach_the_task() {
    let expected = Limits {
        depth: 0,
        fan_out: 2,
        live_runs: 3,
        total_runs: 4,
        capsule_chars: 500,
        inline_bytes: 2_048,
        tool_result_bytes: 4_096,
        progress_ms: 5_000,
        poison_after: 6,
        budget: Budget {
            tokens: Some(7_000),
            cost_usd_micros: Some(500_000),
            turns: Some(5_000),
        },
        wall_time_ms: 7_200_000,
        loop_warn: 4,
        loop_stop: 8,
    };
    assert_eq!(limits_of(&parse(FILE)), (expected, Duration::from_secs(7)));
}

#[test]
fn those_of_the_file_reach_the_executor() {
    let usual = executor::Limits::default();
    let expected = executor::Limits {
        calls: 1,
        tools: ToolLimits {
            result_bytes: 1_024,
            file_bytes: 2_048,
            entries: 100,
            shell: ShellLimits {
                default_timeout: Duration::from_secs(10),
                max_timeout: Duration::from_secs(20),
                command_bytes: 200,
                live_bytes: 0,
                grace: Duration::ZERO,
                ..ShellLimits::default()
            },
        },
        ..usual
    };
    assert_eq!(executor_limits(&parse(FILE).executor), expected);
}

#[test]
fn those_of_pools_and_providers_reach_the_system() {
    let file = r#"
[node]
max_waiting_calls = 7
[pools]
workers = 3
reviews = 1
[providers.p]
kind = "scripted"
max_concurrent = 4
rate_limits = ["60/30s", "10/1m"]
breaker = { failures = 3, reset_after = "20s" }
scripts = { a = [{ say = "x" }] }
[agents.a]
provider = "p"
pool = "reviews"
[task]
description = "x"
priority = -3
"#;
    let config = parse(file);
    let rate = |count, per| Rate {
        count,
        per: Duration::from_secs(per),
    };
    let own = ProviderLimits {
        max_concurrent: Some(4),
        rates: vec![rate(60, 30), rate(10, 60)],
        breaker: Some(BreakerLimits {
            failures: 3,
            within: Duration::from_secs(60),
            reset_after: Duration::from_secs(20),
        }),
    };
    let sizes = [("workers", 3), ("claude_code", 2), ("reviews", 1)];
    let limits = pool_limits(&config, &Changes::default());
    let expected = pool::Limits {
        pools: sizes.map(|(name, size)| (name.to_owned(), size)).into(),
        providers: [("p".to_owned(), own)].into(),
        waiting: 7,
        seed: limits.seed,
    };
    assert_eq!(limits, expected);
    let definition = config.definition(&TaskChoice::default()).expect("a task");
    assert_eq!(definition.priority, -3);
    assert_eq!(definition.agents[&"a".into()].pool, "reviews");
    let usual = pool_limits(&Config::default(), &Changes::default());
    assert_eq!(usual.waiting, pool::DEFAULT_WAITING);
}

#[test]
fn a_file_without_limits_has_the_usual_ones() {
    let file = FILE.split_once("[providers.p]").expect("a provider").1;
    let file = format!("[providers.p]{}", file.replace("tool_timeout", "#"));
    let config = parse(&file);
    let usual = (Limits::default(), AgentSpec::default().tool_timeout);
    assert_eq!(limits_of(&config), usual);
    assert_eq!(
        executor_limits(&config.executor),
        executor::Limits::default()
    );
}

/// They are the provider's own, so the file's reference can only repeat them.
#[test]
fn the_reference_tells_the_usual_limits_of_a_provider() {
    let (schema, usual) = (config::schema(), Settings::default());
    let told = |key: &str, value: &str| {
        let setting = &schema["$defs"]["ProviderConfig"]["properties"][key];
        let text = setting["description"].as_str().unwrap_or_default();
        assert!(text.ends_with(&format!("{value} when left out.")), "{text}");
    };
    assert_eq!(usual.connect_timeout, Duration::from_secs(10));
    told("connect_timeout", "10s");
    assert_eq!(usual.silence_timeout, Duration::from_secs(5 * 60));
    told("silence_timeout", "5m");
    told("max_reply_bytes", &usual.max_reply_bytes.to_string());
}
