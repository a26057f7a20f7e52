//! `[agents.NAME]`

use std::collections::BTreeSet;

use actors::model::{EffectClass, Place};

use super::Names;
use crate::config::catalog::{TOOLS, tool_names};
use crate::config::file::{AgentConfig, Budget, Config, ProviderConfig, ProviderKind};
use crate::config::nearest::suggestion;
use crate::config::path::{Path, setting};
use crate::config::problem::Complaint;
use crate::config::read::{Report, looks_secret, secret_in_file};
use crate::config::source::{as_key, quoted};

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let providers = Names::of("provider", "providers", &config.providers);
    let pools = Names::of("pool", "pools", &config.pools);
    let servers = Names::of("MCP server", "MCP servers", &config.mcp_servers);
    for (name, agent) in &config.agents {
        let path = setting!["agents", name];
        providers.check(&agent.provider, &path.then("provider"), report);
        pools.check(&agent.pool, &path.then("pool"), report);
        servers.check_list(&agent.mcp, &path.then("mcp"), report);
        tools(agent, &path, report);
        effects(agent, &path, report);
        settings(agent, &path, report);
        if let Some(said) = agent.budget {
            budget(said, &path.then("budget"), report);
        }
        one_source_of_instructions(&path, report);
        if let Some(provider) = config.providers.get(&agent.provider) {
            mind(name, agent, provider, report);
        }
    }
}

fn tools(agent: &AgentConfig, path: &Path, report: &mut Report<'_>) {
    let path = path.then("tools");
    let names = Names {
        one: "tool",
        all: "tools",
        known: tool_names().into_iter().collect(),
    };
    for (i, tool) in agent.tools.iter().enumerate() {
        if tool.contains(['*', '?', '[']) {
            let complaint = Complaint::new(format!(
                "{} is a pattern: tools are named one by one",
                quoted(tool)
            ));
            report.spoil_at(
                &path.then(i),
                complaint.help(format!("tools: {}", tool_names().join(", "))),
            );
        }
    }
    names.check_list(&agent.tools, &path, report);
}

fn effects(agent: &AgentConfig, path: &Path, report: &mut Report<'_>) {
    if report.is_spoiled(&path.then("tools")) {
        return;
    }
    let tools: BTreeSet<_> = agent.tools.iter().map(String::as_str).collect();
    for (tool, effect) in &agent.effects {
        if !report.has_room() {
            return;
        }
        let path = path.then("effects").then(tool);
        if !tools.contains(tool.as_str()) {
            report.at_key(&path, idle_effect(tool, &tools));
        } else if let Some(own) = own_effect(tool).filter(|own| !may_be(*effect, *own)) {
            report.at(&path, unfit_effect(tool, own));
        }
    }
}

/// What a crash may do to a tool of an executor, which goes by that whatever a file says.
fn own_effect(tool: &str) -> Option<EffectClass> {
    let known = TOOLS.iter().find(|(name, _)| *name == tool)?;
    match known {
        (_, Place::Node) => None,
        ("shell", _) => Some(EffectClass::Once),
        ("write_file" | "edit_file", _) => Some(EffectClass::Ledgered),
        _ => Some(EffectClass::Pure),
    }
}

/// A tool may be taken for stricter than it is. All that have an effect are asked of the ledger.
fn may_be(effect: EffectClass, own: EffectClass) -> bool {
    match effect {
        EffectClass::Once | EffectClass::Ledgered => true,
        EffectClass::Pure => own == EffectClass::Pure,
        EffectClass::Keyed | EffectClass::Queryable | EffectClass::Transactional => false,
    }
}

fn unfit_effect(tool: &str, own: EffectClass) -> Complaint {
    let (message, help) = match own {
        EffectClass::Pure => (
            format!(
                "{} has no effect that could have a key or be asked about",
                quoted(tool)
            ),
            "leave it out; \"ledgered\" and \"once\" are taken, too",
        ),
        _ => (
            format!(
                "{} has an effect, and its executor makes each call at most once whatever is said here",
                quoted(tool)
            ),
            "leave it out, or say \"ledgered\" or \"once\"; what follows when nobody knows whether it was done is set with `in_doubt`",
        ),
    };
    Complaint::new(message).help(help)
}

fn idle_effect(tool: &str, tools: &BTreeSet<&str>) -> Complaint {
    let tools: Vec<_> = tools.iter().copied().collect();
    let message = format!(
        "an effect for {}, which is not among the agent's tools",
        quoted(tool)
    );
    Complaint::new(message).help(suggestion(tool, "tools of the agent", &tools))
}

fn settings(agent: &AgentConfig, path: &Path, report: &mut Report<'_>) {
    for key in agent.settings.keys().filter(|key| looks_secret(key)) {
        report.secret_at(&path.then("settings").then(key), secret_in_file(key, &[]));
    }
}

/// Less than this is no money: it is counted in whole millionths.
const LEAST_MONEY: f64 = 1e-6;

pub(super) fn budget(budget: Budget, path: &Path, report: &mut Report<'_>) {
    if budget.turns == Some(0) {
        report.at(
            &path.then("turns"),
            Complaint::new("a budget of no turns allows no model call"),
        );
    }
    if budget.tokens == Some(0) {
        report.at(
            &path.then("tokens"),
            Complaint::new("a budget of no tokens allows no model call"),
        );
    }
    if budget.cost_usd.is_some_and(|cost| cost < LEAST_MONEY) {
        report.at(
            &path.then("cost_usd"),
            Complaint::new("a budget of no money allows no model call"),
        );
    }
}

fn one_source_of_instructions(path: &Path, report: &mut Report<'_>) {
    let file = path.then("instructions_file");
    if report.says(&path.then("instructions")) && report.says(&file) {
        let complaint = Complaint::new("`instructions` and `instructions_file`: one of them");
        report.at_key(&file, complaint.help("remove one of them"));
    }
}

/// Whether its provider can think for it.
fn mind(name: &str, agent: &AgentConfig, provider: &ProviderConfig, report: &mut Report<'_>) {
    let path = setting!["agents", name, "provider"];
    let thinker = setting!["providers", &agent.provider];
    if ["kind", "scripts"]
        .iter()
        .any(|key| report.is_spoiled(&thinker.then(*key)))
    {
        return;
    }
    let (agent_name, provider_name) = (quoted(name), quoted(&agent.provider));
    if provider.kind == ProviderKind::Scripted && !provider.scripts.contains_key(name) {
        let complaint = Complaint::new(format!(
            "the scripted provider {provider_name} has no script for {agent_name}"
        ));
        report.at(
            &path,
            complaint.help(format!(
                "add `{} = [{{ say = \"…\" }}]` to `[providers.{}.scripts]`",
                as_key(name),
                as_key(&agent.provider),
            )),
        );
    }
    if provider.kind == ProviderKind::OpenaiCompatible
        && agent.model.is_none()
        && provider.model.is_none()
    {
        let complaint = Complaint::new(format!(
            "neither {agent_name} nor its provider {provider_name} names a model"
        ));
        report.at(&path, complaint.help("add `model = \"…\"` to one of them"));
    }
}
