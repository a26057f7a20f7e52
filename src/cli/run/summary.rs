//! What a task came to, for the end. Pure.

use std::fmt::Write;
use std::time::Duration;

use actors::model::{Amount, Measure, RunStatus, TaskId, Timestamp};

use super::draw::width;
use super::view::{End, Run, View};
use super::words::{clean, clean_lines, counted, ends, first_line, grouped, money, quoted, time};

/// How this program is called to go on with a task.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Commands {
    /// The program, as it was called.
    pub(in crate::cli) program: String,
    /// Where the task is.
    pub(in crate::cli) place: Place,
}

/// Where a task is at work.
#[derive(Debug, Clone)]
pub(in crate::cli) enum Place {
    /// In this program, with this data folder if one was named.
    Here(Option<String>),
    /// On a node, at this address if one was named.
    Node(TaskId, Option<String>),
}

impl Commands {
    /// With the program as it was called, where that was not by its name alone.
    pub(in crate::cli) fn new(place: Place) -> Self {
        let called = std::env::args().next().filter(|name| name.contains('/'));
        Self {
            program: called.unwrap_or_else(|| "impresario".to_owned()),
            place,
        }
    }

    /// Goes on with the task, or shows again how it ended.
    pub(in crate::cli) fn go_on(&self) -> String {
        match &self.place {
            Place::Here(data_dir) => self.call("run --continue", &option("--data-dir", data_dir)),
            Place::Node(task, url) => {
                self.call(&format!("task watch {task}"), &option("--url", url))
            }
        }
    }

    /// Goes on with an answer.
    pub(in crate::cli) fn answer(&self) -> String {
        match &self.place {
            Place::Here(_) => format!("{} --answer TEXT", self.go_on()),
            Place::Node(task, url) => {
                self.call(&format!("task answer {task} TEXT"), &option("--url", url))
            }
        }
    }

    /// What Ctrl-C does next.
    pub(super) fn interrupt(&self, is_cancelling: bool) -> &'static str {
        match (&self.place, is_cancelling) {
            (Place::Node(..), _) => "Ctrl-C stops watching",
            (Place::Here(_), true) => "Ctrl-C ends at once",
            (Place::Here(_), false) => "Ctrl-C cancels",
        }
    }

    fn call(&self, command: &str, option: &str) -> String {
        format!("{} {command}{option}", word(&self.program))
    }
}

fn option(name: &str, value: &Option<String>) -> String {
    let value = value
        .as_ref()
        .map(|value| format!(" {name} {}", word(value)));
    value.unwrap_or_default()
}

/// A word as a shell reads it.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@,~".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// How long a task took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    /// Since when this program has been at work on it, where it has.
    pub(super) since: Option<Timestamp>,
    /// Whether another was before.
    pub(super) is_resumed: bool,
}

/// The outcome, and below it what there is to know about it.
pub(super) fn summary(view: &View, took: Took, commands: &Commands) -> String {
    let mut out = String::from("\n");
    let _ = writeln!(out, "{}\n", outcome(view).trim_end());
    out.push_str(&tree(view));
    out.push('\n');
    for (label, text) in facts(view, took, commands) {
        let _ = writeln!(out, "{label:<10}{text}");
    }
    out
}

/// The result, or why there is none.
fn outcome(view: &View) -> String {
    match (&view.end, view.asks.first()) {
        (Some(End::Completed(result)), _) => clean_lines(result),
        (Some(End::Failed(error)), _) => format!("failed: {}", clean_lines(error)),
        (Some(End::Cancelled(reason)), _) => format!("cancelled: {}", clean_lines(reason)),
        (None, Some(ask)) => format!("needs a human: {}", clean_lines(&ask.question)),
        (None, None) => "not ended".to_owned(),
    }
}

fn facts(view: &View, took: Took, commands: &Commands) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let (None, Some(ask)) = (&view.end, view.asks.first()) {
        facts.push(("answer", commands.answer()));
        facts.push(("", ask.hint.to_owned()));
        let more = view.asks[1..].iter();
        facts.extend(more.map(|ask| ("also", clean(&ask.question))));
    }
    if let Some(workspace) = &view.facts.workspace {
        facts.push(("files", clean_lines(workspace)));
    }
    facts.push(("work", work(view)));
    facts.extend(budget(view).map(|budget| ("budget", budget)));
    facts.push(("restarts", restarts(view)));
    facts.push(("time", elapsed(view, took)));
    if let Some(scripted) = view.facts.scripted() {
        let what = "no model was asked for these replies, and their tokens are estimates";
        facts.push(("models", format!("{scripted}; {what}")));
    }
    if view.end.is_some() {
        facts.push((
            "again",
            format!("{} shows this once more", commands.go_on()),
        ));
    }
    facts
}

fn work(view: &View) -> String {
    let totals = view.totals();
    let mut parts = vec![
        counted(totals.runs as u64, "run"),
        counted(totals.turns, "turn"),
        format!("{} tokens", grouped(totals.usage.tokens())),
    ];
    parts.extend(money(totals.usage.cost_usd_micros));
    let wasted = totals.usage.wasted_tokens;
    if wasted > 0 {
        parts.push(format!("{} wasted", counted_tokens(wasted)));
    }
    parts.join(", ")
}

fn counted_tokens(tokens: u64) -> String {
    format!("{} tokens", grouped(tokens))
}

/// What was used of the budget, where the task has one of its own.
fn budget(view: &View) -> Option<String> {
    let budget = view.facts.budget?;
    let totals = view.totals();
    let used = Amount::used(&totals.usage, u64::from(totals.turns));
    let of = |measure: Measure| {
        let words = |n| match measure {
            Measure::Cost => money(n).unwrap_or_else(|| "$0".to_owned()),
            Measure::Tokens => counted_tokens(n),
            Measure::Turns => format!("{} turns", grouped(n)),
        };
        let most = budget.of(measure)?;
        Some(format!("{} of {}", words(used.of(measure)), words(most)))
    };
    Some(
        Measure::ALL
            .into_iter()
            .filter_map(of)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn restarts(view: &View) -> String {
    let resumed: u32 = view.runs.iter().map(|run| run.resumed).sum();
    let doubts = view.totals().doubts;
    let mut parts = Vec::new();
    if !view.restarts.is_empty() {
        parts.push(format!("{} of agents", view.restarts.len()));
    }
    if resumed > 0 {
        parts.push(match resumed {
            1 => "a run was taken up again once".to_owned(),
            more => format!("runs were taken up again {more} times"),
        });
    }
    if doubts > 0 {
        parts.push(format!("{} in doubt", counted(doubts, "call")));
    }
    match parts.is_empty() {
        true => "none".to_owned(),
        false => parts.join(", "),
    }
}

fn elapsed(view: &View, took: Took) -> String {
    let whole = view.age(view.newest);
    match took.since {
        Some(since) if took.is_resumed => {
            let this: Duration = view.newest.since(since);
            format!(
                "{} since it went on, {} since it began",
                time(this),
                time(whole)
            )
        }
        _ => time(whole),
    }
}

// ---- who delegated what to whom

/// How many runs of one task are listed.
const LISTED: usize = 40;

fn tree(view: &View) -> String {
    let mut rows = Vec::new();
    for root in view.runs.iter().filter(|run| run.parent.is_none()) {
        branch(view, root, "", "", &mut rows);
    }
    let hidden = rows.len().saturating_sub(LISTED);
    rows.truncate(LISTED);
    let column = |n: usize| rows.iter().map(|row| width(&row[n])).max().unwrap_or(0);
    let widths = [column(0), column(1), column(2)];
    let mut out = String::new();
    for [who, title, turns, end] in &rows {
        let pad = |text: &str, n: usize| " ".repeat(widths[n].saturating_sub(width(text)));
        let (a, b, c) = (pad(who, 0), pad(title, 1), pad(turns, 2));
        let _ = writeln!(
            out,
            "{}",
            format!("{who}{a}  {title}{b}  {turns}{c}  {end}").trim_end()
        );
    }
    if hidden > 0 {
        let _ = writeln!(out, "… and {}", counted(hidden as u64, "more run"));
    }
    out
}

fn branch(view: &View, run: &Run, lead: &str, own: &str, rows: &mut Vec<[String; 4]>) {
    let turns = format!(
        "{}, {} tokens",
        counted(run.turns, "turn"),
        grouped(run.usage.tokens())
    );
    let turns = match run.usage.wasted_tokens {
        0 => turns,
        wasted => format!("{turns}, {} wasted", grouped(wasted)),
    };
    rows.push([
        format!("{own}{}", clean(run.agent.as_str())),
        quoted(&run.title),
        turns,
        end(run),
    ]);
    let below: Vec<_> = view.below(run.id).collect();
    for (place, child) in below.iter().enumerate() {
        let is_last = place + 1 == below.len();
        let (own, next) = if is_last {
            ("└ ", "  ")
        } else {
            ("├ ", "│ ")
        };
        branch(
            view,
            child,
            &format!("{lead}{next}"),
            &format!("{lead}{own}"),
            rows,
        );
    }
}

fn end(run: &Run) -> String {
    match run.status {
        RunStatus::Completed => String::new(),
        RunStatus::Failed => format!("failed: {}", ends(&run.last)),
        RunStatus::Cancelled => format!("cancelled: {}", first_line(&run.last)),
        RunStatus::Quarantined => "left alone after crashes".to_owned(),
        RunStatus::Queued | RunStatus::Running => "not ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use actors::model::Event;

    use super::super::samples::{quickstart, trouble};
    use super::*;

    fn commands() -> Commands {
        Commands {
            program: "./my programs/impresario".to_owned(),
            place: Place::Here(Some("it's here".to_owned())),
        }
    }

    fn shown(events: &[Event], since: Option<u64>) -> String {
        let mut view = View::default();
        events.iter().for_each(|event| view.fold(event));
        let took = Took {
            since: since.map(|ago| Timestamp(view.newest.0 - ago)),
            is_resumed: since.is_some(),
        };
        summary(&view, took, &commands())
    }

    #[test]
    fn of_a_task_that_is_done() {
        insta::assert_snapshot!(shown(&quickstart(), None));
    }

    #[test]
    fn of_one_that_needs_a_human() {
        insta::assert_snapshot!(shown(&trouble()[..22], Some(4_000)));
    }

    #[test]
    fn of_one_that_failed() {
        insta::assert_snapshot!(shown(&trouble()[..35], None));
    }

    #[test]
    fn of_one_that_was_cancelled() {
        let mut events = quickstart()[..40].to_vec();
        let mut end = events[0].clone();
        (end.id, end.body) = (41, cancelled());
        events.push(end);
        insta::assert_snapshot!(shown(&events, None));
    }

    fn cancelled() -> actors::model::EventBody {
        actors::model::EventBody::TaskCancelled {
            reason: "interrupted".to_owned(),
        }
    }

    #[test]
    fn commands_can_be_copied() {
        assert_eq!(
            commands().answer(),
            r"'./my programs/impresario' run --continue --data-dir 'it'\''s here' --answer TEXT"
        );
    }
}
