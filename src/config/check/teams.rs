//! `[teams.NAME]` and `[task]`

use super::{Names, waits};
use crate::config::file::{Config, TaskConfig, TeamConfig};
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
        if let Some(backoff) = team.backoff {
            waits(backoff.base, backoff.cap, &path.then("backoff"), report);
        }
    }
    if let Some(task) = &config.task {
        check_task(task, config, report);
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
