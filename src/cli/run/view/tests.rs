use std::fmt::Write;
use std::time::Duration;

use actors::model::{Event, Timestamp};

use super::View;
use crate::cli::run::samples::{quickstart, run, trouble};
use crate::cli::run::words::doing;

fn folded(events: &[Event]) -> View {
    let mut view = View::default();
    events.iter().for_each(|event| view.fold(event));
    view
}

/// Everything a watcher could be shown at a moment.
fn shown(view: &View, now: Timestamp) -> String {
    let mut out = String::new();
    let totals = view.totals();
    let _ = writeln!(
        out,
        "event {}, {} s old, stuck: {}, restarts used: {}, asks: {}, end: {:?}",
        view.head,
        view.age(now).as_secs(),
        view.is_stuck(),
        view.restarts_used(now),
        view.asks.len(),
        view.end
    );
    let _ = writeln!(
        out,
        "{} runs, {} live, {} turns, {} tokens, {} doubts",
        totals.runs,
        totals.live,
        totals.turns,
        totals.usage.tokens(),
        totals.doubts
    );
    for agent in &view.agents {
        let _ = writeln!(
            out,
            "- {} {:?} {} restarts {}",
            agent.name, agent.state, agent.restarts, agent.reason
        );
    }
    for run in &view.runs {
        let by = view
            .delegator(run)
            .map_or("nobody", |run| run.agent.as_str());
        let _ = writeln!(
            out,
            "- {} for {by}: {:?} {:?}: {}",
            run.agent,
            run.status,
            run.stage(),
            doing(view, run, now)
        );
    }
    out
}

fn a_second_later(view: &View) -> Timestamp {
    Timestamp(view.newest.0 + 1000)
}

#[test]
fn a_recorded_task_at_some_moments() {
    let events = quickstart();
    let at = |count: usize| {
        let view = folded(&events[..count]);
        shown(&view, a_second_later(&view))
    };
    let moments = [7, 12, 38, 47, 60, 72, events.len()].map(at);
    insta::assert_snapshot!(moments.join("\n"));
}

#[test]
fn trouble_event_by_event() {
    let events = trouble();
    let mut view = View::default();
    let mut out = String::new();
    for event in &events {
        view.fold(event);
        let kind = serde_json::to_value(event).expect("JSON")["type"].clone();
        let _ = writeln!(out, "## {kind}\n{}", shown(&view, a_second_later(&view)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn words_that_stream_are_kept_up_to_a_limit_and_end_a_wait() {
    let events = trouble();
    let mut view = folded(&events[..5]);
    let text = |view: &View| doing(view, &view.runs[0], view.newest);
    assert_eq!(
        text(&view),
        "waits 0.0 s for a permit of the pool `workers`: all are taken"
    );
    view.words(run(1), "まず");
    assert_eq!(text(&view), "says “まず”");
    for _ in 0..10_000 {
        view.words(run(1), "片付けよう");
    }
    assert!(
        view.runs[0].words.len() <= 2 * 400 + 15,
        "{}",
        view.runs[0].words.len()
    );
    view.words(run(99), "of a run that is not there");
}

#[test]
fn restarts_count_for_the_teams_period() {
    let view = folded(&trouble());
    let at = |seconds: u64| Timestamp(view.began.0 + 13_000 + seconds * 1000);
    assert_eq!([0, 60, 61].map(|s| view.restarts_used(at(s))), [1, 1, 0]);
    assert_eq!(
        view.facts.team.as_ref().map(|team| team.within),
        Some(Duration::from_secs(60))
    );
}

#[test]
fn any_part_of_a_history_can_be_folded() {
    // Whatever is missing, nothing panics: a newer program may have written events that are skipped here.
    for events in [quickstart(), trouble()] {
        for skip in 0..events.len() {
            let mut part = events.clone();
            part.remove(skip);
            let view = folded(&part);
            let _ = shown(&view, view.newest);
        }
    }
}
