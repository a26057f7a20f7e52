//! `[teams.NAME]` and `[task]`

use std::collections::BTreeSet;

use actors::model::topology::{MAX_RULES, Party, Pattern};

use super::{Names, waits};
use crate::config::file::{
    Config, NameOr, PeersConfig, TaskConfig, TeamConfig, TeamMode, TopologyRule,
};
use crate::config::nearest::suggestion;
use crate::config::path::{Path, setting};
use crate::config::problem::Complaint;
use crate::config::read::Report;
use crate::config::source::quoted;

pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let agents = Names::of("agent", "agents", &config.agents);
    for (name, team) in &config.teams {
        let path = setting!["teams", name];
        agents.check(&team.lead, &path.then("lead"), report);
        agents.check_list(&team.members, &path.then("members"), report);
        lead_among_members(team, &path.then("members"), report);
        check_peers(team, &path, report);
        if let NameOr::Table(table) = &team.topology {
            check_rules(
                &table.rules,
                team,
                &path.then("topology").then("rules"),
                report,
            );
        }
        if let Some(backoff) = team.backoff {
            waits(backoff.base, backoff.cap, &path.then("backoff"), report);
        }
    }
    if let Some(task) = &config.task {
        check_task(task, config, report);
    }
}

fn check_peers(team: &TeamConfig, path: &Path, report: &mut Report<'_>) {
    if team.mode != TeamMode::Peers {
        if team.peers != PeersConfig::default() {
            let complaint = Complaint::new("`peers` means nothing without `mode = \"peers\"`");
            report.at_key(
                &path.then("peers"),
                complaint.help("set the mode, or remove this"),
            );
        }
    } else if team.members.is_empty() {
        let complaint = Complaint::new("a lead alone has no peers");
        report.at(
            &path.then("mode"),
            complaint.help("name the others in `members`"),
        );
    }
}

fn check_rules(rules: &[TopologyRule], team: &TeamConfig, path: &Path, report: &mut Report<'_>) {
    if rules.len() > MAX_RULES {
        let count = rules.len();
        let complaint = Complaint::new(format!("{count} rules; {MAX_RULES} are the most"));
        let help = "the first that fits decides: put several patterns into one `when`, or use `@members` and `*`";
        return report.at_key(path, complaint.help(help));
    }
    let members = team.members.iter().map(String::as_str);
    let there: BTreeSet<_> = members.chain([team.lead.as_str()]).collect();
    for (i, rule) in rules.iter().enumerate() {
        let path = path.then(i);
        check_party(&rule.from, &there, true, &path.then("from"), report);
        check_party(&rule.to, &there, false, &path.then("to"), report);
        let when = rule.when.as_deref().map(Pattern::new);
        if let Some(problem) = when.as_ref().and_then(Pattern::problem) {
            let complaint = Complaint::new(format!("not a regular expression: {problem}"));
            let help = "outside of groups, `.`, `(`, `[`, `?`, `*` and `+` stand for themselves with a `\\` before them";
            report.at(&path.then("when"), complaint.help(help));
        }
    }
}

fn check_party(
    party: &str,
    there: &BTreeSet<&str>,
    speaks: bool,
    path: &Path,
    report: &mut Report<'_>,
) {
    let outside = ["@human", "@system"];
    let words = Party::words().filter(|word| speaks || !outside.contains(word));
    let mut known: Vec<&str> = words.collect();
    known.extend(there);
    if !known.contains(&party) && report.has_room() {
        let complaint = Complaint::new(format!("{} is nobody in the team", quoted(party)));
        report.at(path, complaint.help(suggestion(party, "names", &known)));
    }
}

fn lead_among_members(team: &TeamConfig, path: &Path, report: &mut Report<'_>) {
    if let Some(i) = team.members.iter().position(|member| *member == team.lead) {
        let complaint = Complaint::new(format!(
            "{} is the lead and a member: twice in the team",
            quoted(&team.lead)
        ));
        report.at(&path.then(i), complaint.help("remove it from `members`"));
    }
}

fn check_task(task: &TaskConfig, config: &Config, report: &mut Report<'_>) {
    let path = setting!["task"];
    if task.description.trim().is_empty() {
        report.at(
            &path.then("description"),
            Complaint::new("`description` is empty").help("say what is to be done"),
        );
    }
    if let Some(team) = &task.team {
        Names::of("team", "teams", &config.teams).check(team, &path.then("team"), report);
    }
    let agents = Names::of("agent", "agents", &config.agents);
    if let Some(agent) = &task.root_agent {
        agents.check(agent, &path.then("root_agent"), report);
    }
    agents.check_list(
        &task.available_agents,
        &path.then("available_agents"),
        report,
    );
    if let Some(workflow) = &task.workflow {
        Names::of("workflow", "workflows", &config.workflows).check(
            workflow,
            &path.then("workflow"),
            report,
        );
    }
    one_root(task, config, report);
}

fn one_root(task: &TaskConfig, config: &Config, report: &mut Report<'_>) {
    let path = setting!["task"];
    let by_agent = ["root_agent", "available_agents"].map(|key| path.then(key));
    let by_agent: Vec<_> = by_agent.iter().filter(|path| report.says(path)).collect();
    if task.team.is_some() {
        for path in by_agent {
            let complaint = Complaint::new(
                "a task has a `team` or a `root_agent` with `available_agents`, not both",
            );
            report.at_key(
                path,
                complaint.help(
                    "the team's lead gets the task and its members are available; remove this",
                ),
            );
        }
    } else if task.root_agent.is_none() && !by_agent.is_empty() {
        report.at_key(
            by_agent[0],
            Complaint::new("`available_agents` without `root_agent`")
                .help("name the agent that gets the task"),
        );
    } else if task.root_agent.is_none() && config.only_root().is_none() {
        let complaint = Complaint::new("`task` says neither `team` nor `root_agent`");
        report.at_key(
            &path,
            complaint.help("say who gets it: `team = \"…\"` or `root_agent = \"…\"`"),
        );
    }
}
