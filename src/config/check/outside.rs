//! `[mcp_servers.NAME]`, `[[hooks]]` and `[webhooks.NAME]`

use globset::Glob;

use super::{Names, url, variable};
use crate::config::catalog::EVENTS;
use crate::config::file::{Config, HookConfig, McpServerConfig, WebhookConfig};
use crate::config::path::{Path, setting};
use crate::config::problem::Complaint;
use crate::config::read::Report;
use crate::config::source::quoted;

/// The names these sections refer to.
struct Known<'c> {
    agents: Names<'c>,
    events: Names<'c>,
}

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let known = Known {
        agents: Names::of("agent", "agents", &config.agents),
        events: Names {
            one: "event",
            all: "events",
            known: EVENTS.iter().copied().collect(),
        },
    };
    for (name, server) in &config.mcp_servers {
        check_server(server, &setting!["mcp_servers", name], report);
    }
    for (i, hook) in config.hooks.iter().enumerate() {
        check_hook(hook, &setting!["hooks", i], &known, report);
    }
    for (name, webhook) in &config.webhooks {
        check_webhook(webhook, &setting!["webhooks", name], &known, report);
    }
}

fn check_server(server: &McpServerConfig, path: &Path, report: &mut Report<'_>) {
    one_of(&["command", "url"], path, report);
    if let Some(address) = &server.url {
        url(address, &path.then("url"), report);
    }
}

fn check_webhook(webhook: &WebhookConfig, path: &Path, known: &Known<'_>, report: &mut Report<'_>) {
    url(&webhook.url, &path.then("url"), report);
    known
        .events
        .check_list(&webhook.events, &path.then("events"), report);
    if let Some(name) = &webhook.secret_env {
        variable(name, &path.then("secret_env"), report);
    }
}

/// Reports a table that has none or several of some keys of which it must have one.
pub(super) fn one_of(keys: &[&str], path: &Path, report: &mut Report<'_>) {
    let listed: Vec<_> = keys.iter().map(|key| quoted(key)).collect();
    let given: Vec<_> = keys
        .iter()
        .filter(|key| report.says(&path.then(**key)))
        .collect();
    let help = format!("give it one of {}", listed.join(", "));
    match given.as_slice() {
        [] => report.at_key(
            path,
            Complaint::new(format!(
                "{} has none of {}",
                quoted(&path.to_string()),
                listed.join(", ")
            ))
            .help(help),
        ),
        [_] => {}
        [first, second, ..] => {
            let message = format!("`{first}` and `{second}`: one of them");
            report.at_key(&path.then(**second), Complaint::new(message).help(help));
        }
    }
}

fn check_hook(hook: &HookConfig, path: &Path, known: &Known<'_>, report: &mut Report<'_>) {
    one_of(&["before", "after"], path, report);
    one_of(&["decide", "command"], path, report);
    glob(hook.before.as_deref(), &path.then("before"), report);
    glob(hook.after.as_deref(), &path.then("after"), report);
    known
        .agents
        .check_list(&hook.agents, &path.then("agents"), report);
    if report.says(&path.then("command")) && hook.command.is_empty() {
        report.at(
            &path.then("command"),
            Complaint::new("a command without a program"),
        );
    }
}

fn glob(pattern: Option<&str>, path: &Path, report: &mut Report<'_>) {
    if let Some(Err(error)) = pattern.map(Glob::new) {
        let message = format!(
            "{} is not a glob: {}",
            quoted(error.glob().unwrap_or_default()),
            error.kind()
        );
        report.at(path, Complaint::new(message));
    }
}
