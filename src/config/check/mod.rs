//! What cannot be seen by looking at one value: names that lead nowhere, and settings that contradict each other.

mod agents;
mod faults;
mod limits;
mod outside;
mod providers;
mod scripts;
mod teams;

use std::collections::{BTreeMap, BTreeSet};

use super::file::Config;
use super::nearest::suggestion;
use super::path::{Path, setting};
use super::problem::Complaint;
use super::read::Report;
use super::source::quoted;
use super::values::Period;

/// Reports everything about the file that does not make sense.
pub(crate) fn check(config: &Config, report: &mut Report<'_>) {
    section_names(config, report);
    providers::check(config, report);
    scripts::check(config, report);
    agents::check(config, report);
    teams::check(config, report);
    limits::check(config, report);
    outside::check(config, report);
    faults::check(config, report);
}

/// Names of one kind that a file may use.
struct Names<'c> {
    one: &'static str,
    all: &'static str,
    known: BTreeSet<&'c str>,
}

impl<'c> Names<'c> {
    fn of<T>(one: &'static str, all: &'static str, section: &'c BTreeMap<String, T>) -> Self {
        let known = section.keys().map(String::as_str).collect();
        Self { one, all, known }
    }

    /// Reports a name that leads nowhere.
    fn check(&self, name: &str, path: &Path, report: &mut Report<'_>) {
        if !self.known.contains(name) && report.has_room() {
            report.at(path, self.unknown(name));
        }
    }

    /// Reports those of a list that lead nowhere, and those that stand in it twice.
    fn check_list(&self, names: &[String], path: &Path, report: &mut Report<'_>) {
        let mut seen = BTreeSet::new();
        for (i, name) in names.iter().enumerate() {
            self.check(name, &path.then(i), report);
            if !seen.insert(name) {
                report.at(&path.then(i), self.twice(name));
            }
        }
    }

    fn unknown(&self, name: &str) -> Complaint {
        let message = format!("unknown {} {}", self.one, quoted(name));
        let known: Vec<_> = self.known.iter().copied().collect();
        Complaint::new(message).help(suggestion(name, self.all, &known))
    }

    fn twice(&self, name: &str) -> Complaint {
        let message = format!("{} {} stands here twice", self.one, quoted(name));
        Complaint::new(message).help("remove one of them")
    }
}

fn section_names(config: &Config, report: &mut Report<'_>) {
    let pools = config.pools.keys().map(|name| setting!["pools", name]);
    let providers = config
        .providers
        .keys()
        .map(|name| setting!["providers", name]);
    let agents = config.agents.keys().map(|name| setting!["agents", name]);
    let teams = config.teams.keys().map(|name| setting!["teams", name]);
    let workflows = config
        .workflows
        .keys()
        .map(|name| setting!["workflows", name]);
    let servers = config
        .mcp_servers
        .keys()
        .map(|name| setting!["mcp_servers", name]);
    let webhooks = config
        .webhooks
        .keys()
        .map(|name| setting!["webhooks", name]);
    let all = pools.chain(providers).chain(agents).chain(teams);
    for path in all.chain(workflows).chain(servers).chain(webhooks) {
        section_name(&path, report);
    }
}

fn section_name(path: &Path, report: &mut Report<'_>) {
    let Some(super::path::Step::Key(name)) = path.0.last() else {
        return;
    };
    let fitting = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins_well || !name.chars().all(fitting) || name.len() > 64 {
        let complaint = Complaint::new(format!("{} cannot be a name", quoted(name)));
        report.at_key(path, complaint.help("names are up to 64 letters (a to z), digits, `_` and `-`, and begin with a letter or digit"));
    }
}

/// Reports a first wait that is longer than the longest.
fn waits(base: Period, cap: Period, path: &Path, report: &mut Report<'_>) {
    if base > cap {
        let message = format!("the first wait, {base}, is longer than the longest, {cap}");
        let at = if report.says(&path.then("base")) {
            path.then("base")
        } else {
            path.then("cap")
        };
        report.at(
            &at,
            Complaint::new(message).help("make `base` shorter or `cap` longer"),
        );
    }
}

/// Reports an address that is none, or that has a password in it.
fn url(text: &str, path: &Path, report: &mut Report<'_>) {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default();
    if host.contains('@') {
        let complaint =
            Complaint::new("secrets never stand in the file: a user and a password in an address");
        report.secret_at(
            path,
            complaint.help("name an environment variable that holds the key instead"),
        );
    } else if host.is_empty() || text.contains(char::is_whitespace) {
        let complaint = Complaint::new(format!("{} is not an address", quoted(text)));
        report.at(
            path,
            complaint.help("addresses begin with `http://` or `https://` and a host"),
        );
    }
}

/// Reports what cannot be the name of an environment variable; it may well be the secret itself, and is not shown.
fn variable(name: &str, path: &Path, report: &mut Report<'_>) {
    let fitting = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || !name.chars().all(fitting) {
        let message = format!(
            "{} is not the name of an environment variable",
            quoted(&path.to_string())
        );
        let help = "secrets never stand in the file: write the name of the variable, such as `OPENAI_API_KEY`";
        report.secret_at(path, Complaint::new(message).help(help));
    }
}
