//! A task as a drawing of some rows: the team, what each agent does, and what it came to so far. Pure.

mod screen;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Reverse;

use actors::model::event::AgentState;
use actors::model::{RunStatus, Timestamp};
use owo_colors::Style;

use super::lines::{Line, NAMES, Tone};
use super::view::{Agent, Doing, Run, Stage, View};
use super::words::{self, clean, clock, counted, grouped, money, name, quoted, strategy, time};
use text::{Row, tail};

pub(super) use screen::{Screen, Size};
pub(in crate::cli) use text::{cut, width};

/// What is drawn.
pub(super) struct Scene<'a> {
    /// The task.
    pub(super) view: &'a View,
    /// Now.
    pub(super) now: Timestamp,
    /// How many drawings there were before: what moves, moves with it.
    pub(super) beat: usize,
    /// What keeps the journal from writing.
    pub(super) trouble: Option<&'a str>,
    /// How a human's answer is given.
    pub(super) answer: &'a str,
    /// What Ctrl-C does next.
    pub(super) interrupt: &'a str,
}

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// From how many rows on a free one stands above the drawing.
const ROOMY: usize = 12;
/// Names are not allowed to take up the row.
const LONGEST_NAME: usize = 20;

const PLAIN: Style = Style::new();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = Style::new().green();
const BUSY: Style = Style::new().cyan();
const WARNING: Style = Style::new().yellow();
const BAD: Style = Style::new().red();

/// The rows of a drawing, at most `size.rows - 1` of them, so that it never scrolls away.
fn rows(scene: &Scene<'_>, size: Size) -> Vec<Row> {
    let room = size.rows.saturating_sub(1).max(1);
    let foot = foot(scene);
    let mut asks = asks(scene);
    asks.truncate((room - 1) / 2);
    let mut head = head(scene, size);
    let agents = agents(scene, size.columns);
    if room < head.len() + asks.len() + 1 + agents.len().min(2) {
        head.clear();
    }
    let left = room - 1 - head.len() - asks.len();
    let agents = shortened(agents, left);
    head.into_iter()
        .chain(agents)
        .chain(asks)
        .chain([foot])
        .collect()
}

// ---- above and below

fn head(scene: &Scene<'_>, size: Size) -> Vec<Row> {
    let facts = &scene.view.facts;
    let age = clock(scene.view.age(scene.now));
    let mut title = Row::default().with(clean(&facts.name), BOLD);
    if let Some(scripted) = facts.scripted() {
        title = title.right(format!("{scripted}  "), WARNING);
    }
    let mut rows = vec![title.right(age, DIM)];
    if size.rows >= ROOMY {
        rows.insert(0, Row::default());
    }
    if let Some(team) = &facts.team {
        let used = scene.view.restarts_used(scene.now);
        let style = if used > 0 { WARNING } else { DIM };
        let limit = format!(
            "{used} of {} restarts used in {}",
            team.max_restarts,
            time(team.within)
        );
        let row = Row::default().with(
            format!("team {}  {}  ", clean(&team.name), strategy(team.strategy)),
            DIM,
        );
        rows.push(row.with(limit, style));
    }
    rows
}

fn foot(scene: &Scene<'_>) -> Row {
    if let Some(trouble) = scene.trouble {
        return Row::default().with(
            format!("cannot write, goes on trying: {}", clean(trouble)),
            BAD,
        );
    }
    let totals = scene.view.totals();
    let mut parts = vec![
        format!(
            "{}, {} live",
            counted(totals.runs as u64, "run"),
            totals.live
        ),
        counted(totals.turns, "turn"),
        format!("{} tokens", grouped(totals.usage.tokens())),
    ];
    parts.extend(money(totals.usage.cost_usd_micros));
    if totals.doubts > 0 {
        parts.push(format!("{} in doubt", counted(totals.doubts, "call")));
    }
    Row::default()
        .with(parts.join(", "), PLAIN)
        .right(scene.interrupt, DIM)
}

fn asks(scene: &Scene<'_>) -> Vec<Row> {
    let Some(ask) = scene.view.asks.first() else {
        return Vec::new();
    };
    vec![
        Row::default()
            .with("needs a human: ", BAD)
            .plain(clean(&ask.question)),
        Row::default()
            .with("answer, when the others are done: ", DIM)
            .plain(scene.answer),
    ]
}

// ---- agents

/// One row of the team; busy ones stay longest where there is little room.
struct Member {
    is_busy: bool,
    row: Row,
}

fn agents(scene: &Scene<'_>, columns: usize) -> Vec<Member> {
    let agents = &scene.view.agents;
    let longest = agents.iter().map(|agent| width(&shown(agent))).max();
    let names = longest.unwrap_or(0).clamp(1, LONGEST_NAME);
    let mut members = Vec::new();
    for (place, agent) in agents.iter().enumerate() {
        let branch = if place + 1 == agents.len() {
            "└ "
        } else {
            "├ "
        };
        let mut runs: Vec<_> = scene.view.live_runs(&agent.name).enumerate().collect();
        // What gets on is more telling than what waits, and what is newer more than what is older.
        runs.sort_by_key(|(place, run)| (run.stage(), Reverse(*place)));
        let mut runs = runs.into_iter().map(|(_, run)| run);
        let first = runs.next();
        members.push(member(scene, agent, first, branch, names, columns));
        members.extend(runs.map(|run| also(scene, run, names, columns)));
    }
    members
}

fn shown(agent: &Agent) -> String {
    cut(&name(Some(&agent.name)), LONGEST_NAME)
}

fn member(
    scene: &Scene<'_>,
    agent: &Agent,
    run: Option<&Run>,
    branch: &str,
    names: usize,
    columns: usize,
) -> Member {
    let (mark, style) = mark(scene, agent, run);
    let shown = shown(agent);
    let pad = " ".repeat(names.saturating_sub(width(&shown)));
    let row = Row::default()
        .with(branch, DIM)
        .with(format!("{mark} "), style)
        .with(shown, BOLD)
        .plain(format!("{pad}  "));
    let (what, style) = match run {
        Some(run) if agent.state != AgentState::Restarting => {
            (of_run(scene, run, names, columns), PLAIN)
        }
        _ => resting(scene.view, agent),
    };
    let row = row.with(what, style).right(spent(scene.view, agent), DIM);
    Member {
        is_busy: run.is_some() || agent.state == AgentState::Restarting,
        row,
    }
}

/// A further run of an agent.
fn also(scene: &Scene<'_>, run: &Run, names: usize, columns: usize) -> Member {
    let (mark, style) = of_stage(scene, run.stage());
    let row = Row::default()
        .with("│ ", DIM)
        .with(format!("{mark} "), style)
        .plain(format!(
            "{}  {}",
            " ".repeat(names),
            of_run(scene, run, names, columns)
        ));
    Member { is_busy: true, row }
}

fn mark(scene: &Scene<'_>, agent: &Agent, run: Option<&Run>) -> (&'static str, Style) {
    let last = || scene.view.runs.iter().rfind(|run| run.agent == agent.name);
    match (agent.state, run) {
        (AgentState::Restarting, _) => ("↻", WARNING),
        (AgentState::Failed, _) => ("✗", BAD),
        (_, Some(run)) => of_stage(scene, run.stage()),
        (_, None) => match last().map(|run| run.status) {
            Some(RunStatus::Completed) => ("✓", GOOD),
            Some(RunStatus::Failed) => ("✗", BAD),
            Some(_) => ("–", WARNING),
            None => ("·", DIM),
        },
    }
}

fn of_stage(scene: &Scene<'_>, stage: Stage) -> (&'static str, Style) {
    match stage {
        Stage::Moving => (SPINNER[scene.beat % SPINNER.len()], BUSY),
        Stage::Leaning => ("○", DIM),
        Stage::Stuck => ("!", BAD),
        Stage::Over => ("✓", GOOD),
    }
}

fn of_run(scene: &Scene<'_>, run: &Run, names: usize, columns: usize) -> String {
    let whose = scene.view.delegator(run);
    let whose = whose.map_or_else(String::new, |run| format!(" for {}", run.agent));
    let title = format!("{}{whose}", quoted(&run.title));
    match run.doing() {
        Doing::Thinks(said) if !said.trim().is_empty() => {
            // Of words that are still coming, the newest are shown.
            let taken = names + width(&title) + width("├ x    : “”") + ASIDE;
            format!(
                "{title}: “{}”",
                tail(&clean(said), columns.saturating_sub(taken).max(12))
            )
        }
        _ => format!("{title}: {}", words::doing(scene.view, run, scene.now)),
    }
}

/// About how wide the right side is.
const ASIDE: usize = 26;

/// An agent without a live run, or one that is being started again.
fn resting(view: &View, agent: &Agent) -> (String, Style) {
    let why = || match agent.reason.is_empty() {
        true => String::new(),
        false => format!(": {}", clean(&agent.reason)),
    };
    match agent.state {
        AgentState::Restarting => (format!("is started again{}", why()), WARNING),
        AgentState::Failed => (format!("has crashed{}", why()), BAD),
        AgentState::Paused => ("is paused".to_owned(), DIM),
        AgentState::Resumed => ("goes on".to_owned(), DIM),
        AgentState::Terminated => ("has stopped".to_owned(), DIM),
        AgentState::Idle | AgentState::Processing => {
            let last = view.runs.iter().rfind(|run| run.agent == agent.name);
            let text = last.map_or_else(
                || "idle".to_owned(),
                |run| match run.status {
                    RunStatus::Completed => format!("did {}", quoted(&run.title)),
                    _ => format!("{} {}", quoted(&run.title), clean(&run.last)),
                },
            );
            (text, DIM)
        }
    }
}

/// What an agent's runs came to.
fn spent(view: &View, agent: &Agent) -> String {
    let own = || view.runs.iter().filter(|run| run.agent == agent.name);
    let turns: u32 = own().map(|run| run.turns).sum();
    let tokens: u64 = own().map(|run| run.usage.tokens()).sum();
    let mut parts = Vec::new();
    if agent.restarts > 0 {
        parts.push(counted(agent.restarts, "restart"));
    }
    if turns > 0 {
        parts.push(counted(turns, "turn"));
        parts.push(format!("{} tokens", grouped(tokens)));
    }
    parts.join(", ")
}

/// At most `most` rows; the busy ones go last, and how many are not shown is said.
fn shortened(members: Vec<Member>, most: usize) -> Vec<Row> {
    if members.len() <= most {
        return members.into_iter().map(|member| member.row).collect();
    }
    let Some(kept) = most.checked_sub(1) else {
        return Vec::new();
    };
    let mut places: Vec<_> = (0..members.len()).collect();
    places.sort_by_key(|place| !members[*place].is_busy);
    places.truncate(kept);
    let hidden = members.len() - kept;
    let is_kept = |place: &usize| places.contains(place);
    let rows = members.into_iter().enumerate();
    let rows = rows
        .filter(|(place, _)| is_kept(place))
        .map(|(_, member)| member.row);
    rows.chain([Row::default().with(format!("  … and {hidden} more"), DIM)])
        .collect()
}

// ---- lines

/// A line above the drawing.
fn above(line: &Line) -> Row {
    let style = match line.tone {
        Tone::Plain => PLAIN,
        Tone::Words => Style::new().italic(),
        Tone::Good => GOOD,
        Tone::Warning => WARNING,
        Tone::Bad => BAD,
    };
    Row::default()
        .with(format!("{:>7}  ", clock(line.at)), DIM)
        .with(format!("{:NAMES$}  ", line.who), BOLD)
        .with(line.what.clone(), style)
}
