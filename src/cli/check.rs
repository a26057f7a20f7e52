//! `impresario check`

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{Exit, output};
use crate::config::{self, Config, Problems};

/// Check a file and print every problem in it; starts nothing
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The team file or node file
    file: PathBuf,
    /// Print one JSON document to stdout
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> io::Result<Exit> {
        let file = self.file.display().to_string();
        match (config::load(&self.file), self.json) {
            (Ok(config), false) => output::data(&summary(&file, &config))?,
            (Ok(config), true) => output::json(&described(&file, &config))?,
            (Err(problems), json) => return refused(&problems, json),
        }
        Ok(Exit::Done)
    }
}

fn refused(problems: &Problems, json: bool) -> io::Result<Exit> {
    match json {
        true => output::json(&problems.to_json())?,
        false => output::problems(problems)?,
    }
    Ok(Exit::Refused)
}

/// A good file in a few lines.
fn summary(file: &str, config: &Config) -> String {
    let mut out = format!("{file}: no problems\n");
    let providers = config
        .providers
        .iter()
        .map(|(name, p)| format!("{name} ({})", p.kind));
    let agents = config
        .agents
        .iter()
        .map(|(name, agent)| format!("{name} ({})", agent.provider));
    let teams = config.teams.iter().map(|(name, t)| {
        format!(
            "{name} ({})",
            listed([&t.lead].into_iter().chain(&t.members))
        )
    });
    let task = config
        .task
        .iter()
        .map(|task| task.name.as_ref().unwrap_or(&task.description));
    line(&mut out, "providers", &listed(providers));
    line(&mut out, "agents", &listed(agents));
    line(&mut out, "teams", &listed(teams));
    line(
        &mut out,
        "task",
        listed(task).lines().next().unwrap_or("none"),
    );
    out
}

fn line(out: &mut String, what: &str, text: &str) {
    let _ = writeln!(out, "  {what:10}{text}");
}

fn listed(names: impl Iterator<Item: AsRef<str>>) -> String {
    let names: Vec<_> = names.map(|name| name.as_ref().to_owned()).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// A good file for programs.
fn described(file: &str, config: &Config) -> Value {
    json!({
        "file": file,
        "valid": true,
        "problems": [],
        "omitted": 0,
        "providers": config.providers.keys().collect::<Vec<_>>(),
        "agents": config.agents.keys().collect::<Vec<_>>(),
        "teams": config.teams.keys().collect::<Vec<_>>(),
        "task": config.task,
    })
}
