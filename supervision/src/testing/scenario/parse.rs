//! Reading a scenario.

use std::time::Duration;

use super::{Fault, Player, StartPlay, Step};
use crate::spec::{Kind, Plan, Shutdown};
use crate::strategy::Flags;

/// A scenario that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The supervisor's flags.
    pub flags: Flags,
    /// Its children, in start order.
    pub children: Vec<Player>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A line that is none of the format's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{text}`")]
pub struct ScenarioError {
    /// The line, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads a scenario.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    let mut scenario = Scenario {
        flags: Flags::default(),
        children: Vec::new(),
        steps: Vec::new(),
    };
    for (n, line) in text.lines().enumerate() {
        let words: Vec<_> = line.split_whitespace().collect();
        if words.is_empty() || words[0].starts_with('#') {
            continue;
        }
        read(&mut scenario, &words).map_err(|reason| ScenarioError {
            line: n + 1,
            text: line.to_owned(),
            reason,
        })?;
    }
    Ok(scenario)
}

fn read(scenario: &mut Scenario, words: &[&str]) -> Result<(), String> {
    let step = match words {
        ["sup", strategy, intensity, period, auto] => {
            scenario.flags = flags(strategy, intensity, period, auto)?;
            return Ok(());
        }
        ["child", rest @ ..] => {
            scenario.children.push(player(rest)?);
            return Ok(());
        }
        ["go"] => Step::Go,
        ["add", rest @ ..] => Step::Add(Box::new(player(rest)?)),
        ["terminate", id] => Step::Terminate((*id).to_owned()),
        ["restart", id] => Step::Restart((*id).to_owned()),
        ["delete", id] => Step::Delete((*id).to_owned()),
        ["together", rest @ ..] => Step::Together(
            rest.join(" ")
                .split(';')
                .map(fault_of)
                .collect::<Result<_, _>>()?,
        ),
        ["exit" | "kill", ..] => Step::Fault(fault(words)?),
        ["block", id, ms] => Step::Block((*id).to_owned(), millis(ms)?),
        ["sleep", ms] => Step::Sleep(millis(ms)?),
        ["which"] => Step::Which,
        ["count"] => Step::Count,
        ["stop"] => Step::Stop,
        ["killsup"] => Step::KillSupervisor,
        _ => return Err("unknown line".to_owned()),
    };
    scenario.steps.push(step);
    Ok(())
}

fn flags(strategy: &str, intensity: &str, period: &str, auto: &str) -> Result<Flags, String> {
    let restarts = intensity
        .parse()
        .map_err(|_| "intensity is not a number from 0")?;
    let within = Duration::from_secs(
        period
            .parse()
            .map_err(|_| "period is not a number of seconds")?,
    );
    let flags = Flags::new(strategy.parse().map_err(text)?).intensity(restarts, within);
    Ok(flags.auto_shutdown(auto.parse().map_err(text)?))
}

fn player(words: &[&str]) -> Result<Player, String> {
    let [id, restart, shutdown, significant, start, stop] = words else {
        return Err("a child is ID RESTART SHUTDOWN SIGNIFICANT START STOP_MS".to_owned());
    };
    let mut plan = Plan::new(*id, Kind::Worker);
    plan.restart = restart.parse().map_err(text)?;
    plan.shutdown = match *shutdown {
        "brutal" => Shutdown::Kill,
        "inf" => Shutdown::Infinity,
        ms => Shutdown::After(millis(ms)?),
    };
    plan.significant = significant
        .parse()
        .map_err(|_| "SIGNIFICANT is true or false")?;
    Ok(Player {
        plan,
        start: start_play(start)?,
        stop: millis(stop)?,
    })
}

fn start_play(word: &str) -> Result<StartPlay, String> {
    match word.split_once(':').unwrap_or((word, "")) {
        ("ok", "") => Ok(StartPlay::Ok),
        ("failnow", "") => Ok(StartPlay::FailNow),
        ("ignore", "") => Ok(StartPlay::Ignore),
        ("fail", times) => times.parse().map(StartPlay::Fail).map_err(text),
        ("slow", ms) => millis(ms).map(StartPlay::Slow),
        _ => Err("START is ok, fail:N, failnow, ignore or slow:MS".to_owned()),
    }
}

fn fault_of(text: &str) -> Result<Fault, String> {
    fault(&text.split_whitespace().collect::<Vec<_>>())
}

fn fault(words: &[&str]) -> Result<Fault, String> {
    match words {
        ["exit", id, reason] => Ok(Fault::Exit((*id).to_owned(), (*reason).to_owned())),
        ["kill", id] => Ok(Fault::Kill((*id).to_owned())),
        _ => Err("a fault is `exit ID REASON` or `kill ID`".to_owned()),
    }
}

fn millis(word: &str) -> Result<Duration, String> {
    word.parse()
        .map(Duration::from_millis)
        .map_err(|_| format!("{word} is not a number of milliseconds"))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
