//! How times, numbers, names and doings are put into words. Pure.

use std::time::Duration;

use actors::model::team::TeamStrategy;
use actors::model::{AgentName, Pause, ProviderLimit, Sender, Timestamp, WaitReason};

use super::view::{Doing, Run, View};

/// Text for a terminal or a log: whatever would move the cursor, change colours or turn the writing direction is left out, and
/// white space is one blank.
pub(in crate::cli) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(part.chars().filter(|c| !is_harmful(*c)));
    }
    out
}

/// Several lines, each of them cleaned, with the blanks at its beginning.
pub(in crate::cli) fn clean_lines(text: &str) -> String {
    let keep = |c: &char| !is_harmful(*c) || *c == '\t';
    let lines = text.lines().map(|line| line.chars().filter(keep).collect());
    lines.collect::<Vec<String>>().join("\n")
}

fn is_harmful(c: char) -> bool {
    // Direction marks and overrides; marks that widen or join what is beside them.
    let is_invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}');
    c.is_control() || is_invisible
}

/// The first line that says something.
pub(in crate::cli) fn first_line(text: &str) -> String {
    let line = text.lines().map(clean).find(|line| !line.is_empty());
    line.unwrap_or_default()
}

/// The first and the last line that say something.
pub(super) fn ends(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(clean).filter(|l| !l.is_empty()).collect();
    match lines.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first, last] => format!("{first}: {last}"),
        [first, .., last] => format!("{first} … {last}"),
    }
}

pub(in crate::cli) fn quoted(text: &str) -> String {
    format!("“{}”", first_line(text))
}

/// `1 turn`, `2 turns`.
pub(in crate::cli) fn counted(number: impl Into<u64>, what: &str) -> String {
    match number.into() {
        1 => format!("1 {what}"),
        more => format!("{} {what}s", grouped(more)),
    }
}

/// A number with its thousands apart.
pub(in crate::cli) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Millionths of a dollar; none where nothing is known to have been spent.
pub(in crate::cli) fn money(micros: u64) -> Option<String> {
    (micros > 0).then(|| format!("${}.{:04}", micros / 1_000_000, micros % 1_000_000 / 100))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    match names.split_last() {
        None => "nobody".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// A time that passed, as a clock shows it: `0:07`, `1:02:07`.
pub(super) fn clock(passed: Duration) -> String {
    let seconds = passed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// The same for lines of a log: `00:07.259`.
pub(in crate::cli) fn stamp(passed: Duration) -> String {
    let (seconds, millis) = (passed.as_secs(), passed.subsec_millis());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}.{millis:03}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}.{millis:03}"),
    }
}

/// A time that passed, in words: `0.4 s`, `12 s`, `2m 5s`, `3h 7m`, `2d 4h`.
pub(in crate::cli) fn time(passed: Duration) -> String {
    let seconds = passed.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", (passed.as_millis() / 100) as f64 / 10.0),
        10..60 => format!("{seconds} s"),
        60..3600 => of_two(seconds, 1, "m", "s"),
        3600..86_400 => of_two(seconds, 60, "h", "m"),
        _ => of_two(seconds, 3600, "d", "h"),
    }
}

/// `2m 5s`, and `2m` alone where the rest is nothing.
fn of_two(seconds: u64, small: u64, large_name: &str, small_name: &str) -> String {
    let per = if small_name == "h" { 24 } else { 60 };
    let (large, rest) = (seconds / small / per, seconds / small % per);
    match rest {
        0 => format!("{large}{large_name}"),
        rest => format!("{large}{large_name} {rest}{small_name}"),
    }
}

/// A strategy as files write it.
pub(super) fn strategy(strategy: TeamStrategy) -> &'static str {
    match strategy {
        TeamStrategy::OneForOne => "one_for_one",
        TeamStrategy::OneForAll => "one_for_all",
        TeamStrategy::RestForOne => "rest_for_one",
    }
}

/// What a run has waited for since so long.
pub(super) fn waits_for(reason: &WaitReason, since: Duration) -> String {
    match reason {
        WaitReason::Permit { pool } => format!("a permit of the pool `{pool}`: all are taken"),
        WaitReason::Provider {
            provider,
            limit,
            wait_ms,
        } => {
            let left = wait_ms.map(|ms| Duration::from_millis(ms).saturating_sub(since));
            provider_waits(provider, limit, left)
        }
        WaitReason::Executor { tool, name: None } => {
            format!("an executor that has {tool}: none is connected")
        }
        WaitReason::Executor {
            tool,
            name: Some(name),
        } => format!("executor {name}, which has begun {tool} and is gone"),
        WaitReason::Children { count } => counted(*count, "delegated run"),
        WaitReason::Budget => "what calls of others leave of a budget".to_owned(),
        WaitReason::Human { question } => format!("a human: {}", clean(question)),
        WaitReason::Paused(pause) => paused(pause),
        WaitReason::Retry { delay_ms } => time(Duration::from_millis(*delay_ms)),
    }
}

fn provider_waits(provider: &str, limit: &ProviderLimit, left: Option<Duration>) -> String {
    let why = match limit {
        ProviderLimit::Concurrent { calls } => {
            format!("{} at a time (max_concurrent)", counted(*calls, "call"))
        }
        ProviderLimit::Rate { rate } => format!("its rate is {rate}"),
        ProviderLimit::Refused => "it refused a call, there were too many".to_owned(),
        ProviderLimit::Breaker => "it fails too often and is left alone".to_owned(),
        ProviderLimit::SlowStart => "few calls at a time, since it refused one".to_owned(),
    };
    let wait = left.map(|left| format!(", free in {}", time(left)));
    format!(
        "the provider `{provider}`: {why}{}",
        wait.unwrap_or_default()
    )
}

fn paused(pause: &Pause) -> String {
    let by = match &pause.by {
        Sender::Human => "a person",
        Sender::System => "the node",
        Sender::Agent(agent) => agent.as_str(),
    };
    format!("somebody to resume it: {by} paused it")
}

/// Whom a run waits for; none where all have ended and it is about to hear of it.
pub(super) fn whom(view: &View, run: &Run) -> Option<String> {
    let awaited = view.waited_for(run);
    let names = awaited.iter().map(|run| run.agent.as_str());
    (!awaited.is_empty()).then(|| listed(names))
}

/// What a run does at this moment.
pub(super) fn doing(view: &View, run: &Run, now: Timestamp) -> String {
    let since = now.since(run.since);
    match run.doing() {
        Doing::Queued => "is about to begin".to_owned(),
        Doing::Thinks("") => format!("thinks, {}", time(since)),
        Doing::Thinks(words) => format!("says “{}”", clean(words)),
        Doing::Calls(tool, about, more) => called(tool, about, more, since),
        Doing::WaitsForRuns => match whom(view, run) {
            Some(whom) => format!("waits for {whom}, {}", time(since)),
            None => "is about to go on".to_owned(),
        },
        Doing::Waits(reason) => format!("waits {} for {}", time(since), waits_for(reason, since)),
        Doing::TriesAgain(error, delay_ms) => {
            let left = Duration::from_millis(delay_ms).saturating_sub(since);
            format!("tries again in {}: {}", time(left), clean(error))
        }
        Doing::InDoubt(tool, reason) => format!("{tool} is in doubt: {}", clean(reason)),
        Doing::Quarantined(reason) => format!("crashes again and again: {}", clean(reason)),
        Doing::Ended => "has ended".to_owned(),
    }
}

fn called(tool: &str, about: &str, more: usize, since: Duration) -> String {
    let others = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let call = clean(&format!("{tool} {about}"));
    // What is over in an instant needs no clock beside it.
    match since.as_secs() {
        0 => format!("{call}{others}"),
        _ => format!("{call}{others}, {}", time(since)),
    }
}

/// A name that people are shown.
pub(super) fn name(agent: Option<&AgentName>) -> String {
    agent.map_or_else(String::new, |agent| clean(agent.as_str()))
}

/// A provider is left alone.
pub(super) fn left_alone(provider: &str, reason: &str, wait_ms: Option<u64>) -> String {
    let (provider, reason) = (clean(provider), clean(reason));
    let wait = wait_ms.map(|ms| format!(" for {}", time(Duration::from_millis(ms))));
    let wait = wait.unwrap_or_default();
    format!("the provider `{provider}` is left alone{wait}: {reason}")
}

/// A limit mostly says by itself that it is one.
pub(super) fn reached(limit: &str) -> String {
    match limit.starts_with("the limit") {
        true => clean(limit),
        false => format!("limit reached: {}", clean(limit)),
    }
}

/// A fault on purpose.
pub(super) fn on_purpose(target: &str, fault: &str, when: &str) -> String {
    let when = match when {
        "" => String::new(),
        when => format!(" ({})", clean(when)),
    };
    let (target, fault) = (clean(target), clean(fault));
    format!("a fault on purpose: {fault} of {target}{when}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_is_left() {
        assert_eq!(
            clean("a\u{1b}[2J\tb\r\n\u{9b}31m c\u{202e}d"),
            "a[2J b 31m cd"
        );
        assert_eq!(clean("  \n "), "");
        assert_eq!(clean_lines("a\u{1b}[1mb\n\tc\u{7}"), "a[1mb\n\tc");
    }

    #[test]
    fn times() {
        let shown = [0, 449, 9_999, 10_000, 61_000, 7_265_000, 200_000_000].map(|ms| {
            let passed = Duration::from_millis(ms);
            format!("{} {} {}", clock(passed), stamp(passed), time(passed))
        });
        insta::assert_snapshot!(shown.join("\n"), @r"
        0:00 00:00.000 0.0 s
        0:00 00:00.449 0.4 s
        0:09 00:09.999 9.9 s
        0:10 00:10.000 10 s
        1:01 01:01.000 1m 1s
        2:01:05 2:01:05.000 2h 1m
        55:33:20 55:33:20.000 2d 7h
        ");
    }

    #[test]
    fn numbers_and_lists() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(money(1_234_567).as_deref(), Some("$1.2345"));
        assert_eq!(money(0), None);
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
        assert_eq!(
            ends("exit code 1\n\nFAIL 4\n2 fail\n"),
            "exit code 1 … 2 fail"
        );
    }
}
