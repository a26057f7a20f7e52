//! `[providers.NAME.scripts]`
//!
//! The provider checks its scripts as well, for those who make it in a program; a test holds that both accept the same.

use actors::provider::scripted::MAX_ENTRIES;
use actors::run::tools::DECLINE;
use regex::Regex;

use super::Names;
use crate::config::catalog::tool_names;
use crate::config::file::{Config, Failure, ScriptedReply};
use crate::config::path::{Path, setting};
use crate::config::problem::Complaint;
use crate::config::read::Report;
use crate::config::source::{quoted, shortened};

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let agents = Names::of("agent", "agents", &config.agents);
    for (provider, declared) in &config.providers {
        for (agent, script) in &declared.scripts {
            let path = setting!["providers", provider, "scripts", agent];
            if !agents.known.contains(agent.as_str()) && report.has_room() {
                report.at_key(&path, agents.unknown(agent));
            }
            if let Some(complaint) = size(agent, script.len()) {
                report.at(&path, complaint);
            }
            for (i, reply) in script.iter().enumerate() {
                check_reply(reply, &path.then(i), report);
            }
        }
    }
}

fn size(agent: &str, replies: usize) -> Option<Complaint> {
    let agent = quoted(agent);
    match replies {
        0 => Some(
            Complaint::new(format!("the script of {agent} is empty"))
                .help("give it at least one reply, such as `{ say = \"Done.\" }`"),
        ),
        1..=MAX_ENTRIES => None,
        _ => Some(Complaint::new(format!(
            "the script of {agent} has {replies} replies; at most {MAX_ENTRIES}"
        ))),
    }
}

fn check_reply(reply: &ScriptedReply, path: &Path, report: &mut Report<'_>) {
    if let Some(complaint) = contradiction(reply) {
        report.at(path, complaint);
    }
    pattern(reply.when.as_deref(), &path.then("when"), report);
    let tools = Names {
        one: "tool",
        all: "tools",
        // A peer that is asked whether it engages has one tool more.
        known: tool_names().into_iter().chain([DECLINE]).collect(),
    };
    if let Some(tool) = &reply.call {
        tools.check(tool, &path.then("call"), report);
    }
    for (i, call) in reply.calls.iter().enumerate() {
        tools.check(&call.tool, &path.then("calls").then(i).then("tool"), report);
    }
}

fn contradiction(reply: &ScriptedReply) -> Option<Complaint> {
    let calls = reply.call.is_some() || !reply.calls.is_empty();
    let complaint = if reply.call.is_none() && !reply.args.is_empty() {
        Complaint::new("`args` without `call`").help("name the tool: `call = \"…\"`")
    } else if let Some(failure) = reply.fail {
        return contradicted_failure(reply, calls, failure);
    } else if reply.call.is_some() && !reply.calls.is_empty() {
        Complaint::new("a reply has `call` or `calls`, not both").help("put all calls into `calls`")
    } else if !calls && reply.say.is_none() {
        Complaint::new("a reply that does nothing").help("give it `say`, `call`, `calls` or `fail`")
    } else {
        return None;
    };
    Some(complaint)
}

fn contradicted_failure(reply: &ScriptedReply, calls: bool, failure: Failure) -> Option<Complaint> {
    let help = "give it a reply of its own";
    if calls || reply.usage.is_some() {
        Some(Complaint::new("a reply that fails calls no tools and has no usage").help(help))
    } else if reply.say.is_some() && failure != Failure::Disconnect {
        let message = "only `fail = \"disconnect\"` can say something first";
        Some(Complaint::new(message).help(help))
    } else {
        None
    }
}

fn pattern(when: Option<&str>, path: &Path, report: &mut Report<'_>) {
    let Some(when) = when else { return };
    if let Err(error) = Regex::new(when) {
        let error = error.to_string();
        let reason = error
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let message = format!("{} is not a regular expression", quoted(when));
        report.at(path, Complaint::new(message).help(shortened(reason, 200)));
    }
}
