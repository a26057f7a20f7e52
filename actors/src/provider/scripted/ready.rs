//! Scripts made ready, and everything that can be wrong with one. PURE.

use std::collections::BTreeMap;

use regex::Regex;

use super::script::{
    Entry, Failure, MAX_ENTRIES, MAX_LATENCY, Script, ScriptError, ScriptErrors, ScriptedCall,
    ScriptedSettings, ScriptedUsage,
};

/// A script whose entries are known to be good.
#[derive(Debug)]
pub(super) struct Ready(pub(super) Vec<ReadyEntry>);

/// An entry with its expression compiled and its calls in one list.
#[derive(Debug)]
pub(super) struct ReadyEntry {
    pub(super) say: Option<String>,
    pub(super) calls: Vec<ScriptedCall>,
    pub(super) when: Option<Regex>,
    pub(super) fail: Option<Failure>,
    pub(super) usage: Option<ScriptedUsage>,
}

type Problem = (&'static str, String);

/// Checks everything and names every mistake.
pub(super) fn prepare(
    settings: &ScriptedSettings,
) -> Result<BTreeMap<String, Ready>, ScriptErrors> {
    let mut errors: Vec<ScriptError> = outside(settings).into_iter().collect();
    let mut scripts = BTreeMap::new();
    for (agent, script) in &settings.scripts {
        scripts.insert(agent.clone(), prepare_script(agent, script, &mut errors));
    }
    if errors.is_empty() {
        Ok(scripts)
    } else {
        Err(ScriptErrors(errors))
    }
}

fn outside(settings: &ScriptedSettings) -> Option<ScriptError> {
    (settings.latency > MAX_LATENCY).then(|| ScriptError {
        agent: None,
        entry: None,
        key: "latency",
        problem: format!("at most {}", humantime::format_duration(MAX_LATENCY)),
    })
}

fn prepare_script(agent: &str, script: &Script, errors: &mut Vec<ScriptError>) -> Ready {
    let count = script.entries.len();
    let mut found: Vec<(Option<usize>, Problem)> = size_problem(count)
        .map(|problem| (None, problem))
        .into_iter()
        .collect();
    let mut ready = Vec::with_capacity(count.min(MAX_ENTRIES));
    for (place, entry) in script.entries.iter().take(MAX_ENTRIES).enumerate() {
        found.extend(problems(entry).map(|problem| (Some(place), problem)));
        match prepare_entry(entry) {
            Ok(entry) => ready.push(entry),
            Err(problem) => found.push((Some(place), problem)),
        }
    }
    errors.extend(
        found
            .into_iter()
            .map(|(entry, (key, problem))| ScriptError {
                agent: Some(agent.to_owned()),
                entry,
                key,
                problem,
            }),
    );
    Ready(ready)
}

fn size_problem(count: usize) -> Option<Problem> {
    match count {
        0 => Some(("scripts", "has no entries: give it at least one".to_owned())),
        1..=MAX_ENTRIES => None,
        _ => Some((
            "scripts",
            format!("has {count} entries: at most {MAX_ENTRIES}"),
        )),
    }
}

fn prepare_entry(entry: &Entry) -> Result<ReadyEntry, Problem> {
    let when = entry.when.as_deref().map(Regex::new).transpose();
    let single = entry.call.iter().map(|tool| ScriptedCall {
        tool: tool.clone(),
        args: entry.args.clone().unwrap_or_default(),
    });
    Ok(ReadyEntry {
        say: entry.say.clone(),
        calls: single.chain(entry.calls.iter().cloned()).collect(),
        when: when.map_err(|error| ("when", expression(&error)))?,
        fail: entry.fail,
        usage: entry.usage,
    })
}

// The regex crate's message is a drawing over several lines whose last one says what is wrong.
fn expression(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    let reason = last.trim().trim_start_matches("error: ");
    format!("not a regular expression: {reason}")
}

fn problems(entry: &Entry) -> impl Iterator<Item = Problem> {
    let wrong = call_rules(entry).into_iter().chain(failure_rules(entry));
    let wrong = wrong.filter(|(broken, ..)| *broken);
    wrong.map(|(_, key, problem)| (key, problem.to_owned()))
}

type Rule = (bool, &'static str, &'static str);

fn call_rules(entry: &Entry) -> [Rule; 4] {
    let calls = entry.call.is_some() || !entry.calls.is_empty();
    let nothing = entry.say.is_none() && !calls && entry.fail.is_none();
    let stray = entry.args.is_some() && entry.call.is_none();
    let both = entry.call.is_some() && !entry.calls.is_empty();
    let mut names = entry.call.iter().chain(entry.calls.iter().map(|c| &c.tool));
    let nameless = names.any(String::is_empty);
    [
        (
            nothing,
            "say",
            "the entry does nothing: give it `say`, `call`, `calls` or `fail`",
        ),
        (stray, "args", "belongs to a `call`, and there is none"),
        (both, "calls", "give `call` or `calls`, not both"),
        (nameless, "call", "needs the name of a tool"),
    ]
}

fn failure_rules(entry: &Entry) -> [Rule; 3] {
    let fails = entry.fail.is_some();
    let calls = entry.call.is_some() || !entry.calls.is_empty();
    let mute = fails && entry.fail != Some(Failure::Disconnect);
    [
        (
            fails && calls,
            "fail",
            "a failed call calls no tools: give them an entry of their own",
        ),
        (
            fails && entry.usage.is_some(),
            "usage",
            "a failed call reports none",
        ),
        (
            mute && entry.say.is_some(),
            "say",
            "only `fail = \"disconnect\"` can say something first",
        ),
    ]
}
