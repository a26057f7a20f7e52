//! What a file may say and this version does not do. Nothing of it is ignored: each is a problem.

use toml::Spanned;
use toml::de::DeValue;

use super::path::Path;
use super::problem::Complaint;
use super::read::Report;
use super::source::quoted;

/// A setting, or one value of it, that this version does not do.
struct Unavailable {
    /// Where, as a pattern of a [`Path`].
    at: &'static str,
    /// The value, or how it begins when it ends with `*`; none for every value.
    value: Option<&'static str>,
    /// What to do instead.
    instead: &'static str,
}

const fn key(at: &'static str, instead: &'static str) -> Unavailable {
    Unavailable {
        at,
        value: None,
        instead,
    }
}

const fn value(at: &'static str, value: &'static str, instead: &'static str) -> Unavailable {
    Unavailable {
        at,
        value: Some(value),
        instead,
    }
}

const REMOVE: &str = "remove it, or wait for a version that has it";
const KINDS: &str = "this version has `scripted` and `openai-compatible`, which most vendors and local servers speak";
const MODES: &str = "this version has `delegate` and `peers`";

/// All of it. To switch something on, delete its line.
const UNAVAILABLE: &[Unavailable] = &[
    value("providers.*.kind", "anthropic", KINDS),
    value("providers.*.kind", "openai", KINDS),
    value("providers.*.kind", "gemini", KINDS),
    value("providers.*.kind", "openrouter", KINDS),
    value("providers.*.kind", "claude-code", KINDS),
    value("providers.*.kind", "acp", KINDS),
    value("providers.*.kind", "codegen", KINDS),
    key("agents.*.mcp", REMOVE),
    key("agents.*.cwd", REMOVE),
    value("teams.*.mode", "same_task", MODES),
    key("teams.*.pipeline", REMOVE),
    value("node.engine", "restate:*", "this version has `local`"),
    key("task.workflow", "put what is to be done into `description`"),
    key("workflows", "put what is to be done into `instructions`"),
    key("mcp_servers", REMOVE),
    key("hooks", REMOVE),
    key("webhooks", REMOVE),
];

/// The keys that this version does not do at all, as patterns.
pub(crate) fn unavailable_keys() -> impl Iterator<Item = &'static str> {
    UNAVAILABLE
        .iter()
        .filter(|u| u.value.is_none())
        .map(|u| u.at)
}

impl Unavailable {
    fn means(&self, path: &Path, found: &DeValue<'_>) -> bool {
        path.fits(self.at) && self.value.is_none_or(|wanted| begins(found, wanted))
    }

    fn complaint(&self, path: &Path) -> Complaint {
        let what = match self.value {
            Some(value) => format!("{path} = \"{}\"", value.replace('*', "…")),
            None => path.to_string(),
        };
        Complaint::new(format!(
            "{} is not available in this version",
            quoted(&what)
        ))
        .help(self.instead)
    }
}

fn begins(found: &DeValue<'_>, wanted: &str) -> bool {
    match (found.as_str(), wanted.strip_suffix('*')) {
        (Some(text), Some(start)) => text.starts_with(start),
        (Some(text), None) => text == wanted,
        (None, _) => false,
    }
}

/// Reports everything in the file that this version does not do.
pub(crate) fn report_unavailable(
    value: &Spanned<DeValue<'_>>,
    path: &Path,
    report: &mut Report<'_>,
) {
    if let Some(found) = UNAVAILABLE.iter().find(|u| u.means(path, value.get_ref())) {
        match found.value {
            Some(_) => report.at(path, found.complaint(path)),
            None => report.at_key(path, found.complaint(path)),
        }
    }
    let DeValue::Table(table) = value.get_ref() else {
        return;
    };
    for (key, value) in table {
        report_unavailable(value, &path.then(key.get_ref().as_ref()), report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{pointer, schema};

    /// A line that names no setting would switch nothing off.
    #[test]
    fn every_line_names_a_setting_of_the_file() {
        let schema = schema();
        for line in UNAVAILABLE {
            assert!(pointer(&schema, line.at).is_some(), "{}", line.at);
        }
    }
}
