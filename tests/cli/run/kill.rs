//! The quickstart is killed and gone on with: the same files, and nothing twice.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;

use super::{Place, Reading, events, files, output, quick, text};

/// What the undisturbed quickstart leaves: that tests failed is in the record, that they pass is in the files.
fn undisturbed() -> (Vec<(String, String)>, Vec<Value>) {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    let ran = output(&mut place.run(&[text(&team), "--json"]));
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""));
    (files(&place.data().join("workspace")), events(&ran.stdout))
}

/// Kills the quickstart when it has shown so many events, again and again, and goes on with it to its end.
fn killed_at(moments: &[usize]) -> (Vec<(String, String)>, Vec<Value>) {
    let place = Place::new();
    let team = place.file("team.toml", &quick());
    for (life, moment) in moments.iter().enumerate() {
        let mut command = match life {
            0 => place.run(&[text(&team), "--json"]),
            _ => place.go_on(&["--json"]),
        };
        let mut reading = Reading::start(&mut command);
        reading.lines(*moment);
        reading.signal(Signal::KILL);
        let (status, _, said) = reading.end();
        assert_eq!(
            (status.code(), said.as_str()),
            (None, ""),
            "killed at {moments:?}"
        );
    }
    let ran = output(&mut place.go_on(&["--json"]));
    assert_eq!(ran.code(), Some(0), "{moments:?}: {}", ran.stderr);
    (files(&place.data().join("workspace")), events(&ran.stdout))
}

/// How often each thing that happens once was written.
fn once(events: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let what = match event["type"].as_str().expect("a type") {
            "tool_call_completed" => &event["step"],
            "model_call_completed" => &event["turn"],
            "run_queued" | "run_completed" | "task_message" | "task_created" | "task_completed" => {
                &Value::Null
            }
            _ => continue,
        };
        let key = format!(
            "{} {} {} {what}",
            event["type"], event["run_id"], event["content"]
        );
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn kinds(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["type"] == kind).count()
}

/// How often each call of the shell was started, and how often it was in doubt.
fn shells(events: &[Value]) -> BTreeMap<String, (usize, usize)> {
    let mut calls: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for event in events.iter().filter(|event| event["tool"] == "shell") {
        let call = format!("{} {}", event["run_id"], event["step"]);
        match event["type"].as_str() {
            Some("tool_call_started") => calls.entry(call).or_default().0 += 1,
            Some("tool_call_in_doubt") => calls.entry(call).or_default().1 += 1,
            _ => {}
        }
    }
    calls
}

/// How many runs were taken up again.
fn check(calm: &(Vec<(String, String)>, Vec<Value>), moments: &[usize]) -> usize {
    same(calm, killed_at(moments), &format!("{moments:?}"))
}

fn same(
    calm: &(Vec<(String, String)>, Vec<Value>),
    (files, events): (Vec<(String, String)>, Vec<Value>),
    moments: &str,
) -> usize {
    assert_eq!(files, calm.0, "{moments:?}");
    let twice: Vec<_> = once(&events)
        .into_iter()
        .filter(|(_, count)| *count != 1)
        .collect();
    assert!(twice.is_empty(), "{moments:?}: {twice:#?}");
    let ids: Vec<_> = events
        .iter()
        .filter_map(|event| event["id"].as_u64())
        .collect();
    assert!(
        ids.iter().copied().eq(1..=ids.len() as u64),
        "{moments:?}: gaps in {ids:?}"
    );
    for kind in [
        "run_queued",
        "run_completed",
        "tool_call_completed",
        "task_message",
    ] {
        assert_eq!(
            kinds(&events, kind),
            kinds(&calm.1, kind),
            "{moments:?}: {kind}"
        );
    }
    for (call, (starts, doubts)) in shells(&events) {
        // Only a doubt about this very call may be followed by another start of it.
        assert!(
            starts <= 1 + doubts,
            "{moments:?}: {call} was started {starts} times, with {doubts} doubts"
        );
    }
    assert_eq!(shells(&events).len(), 2, "{moments:?}");
    kinds(&events, "run_restarted")
}

#[test]
fn the_tests_fail_for_real_and_then_pass_for_real() {
    let (files, events) = undisturbed();
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["DESIGN.md", "roman.sh", "test.sh"]);
    assert!(files[1].1.starts_with("#!/bin/sh\n") && files[1].1.contains("\"4 IV\""));
    let started = events
        .iter()
        .filter(|event| event["type"] == "tool_call_started" && event["tool"] == "shell");
    let results: Vec<_> = started
        .map(|start| {
            let is_its_end = |event: &&Value| {
                event["type"] == "tool_call_completed"
                    && event["run_id"] == start["run_id"]
                    && event["step"] == start["step"]
            };
            events.iter().find(is_its_end).expect("its end")["content"]
                .as_str()
                .expect("text")
                .to_owned()
        })
        .collect();
    assert_eq!(results.len(), 2);
    assert!(
        results[0].starts_with("exit code 1\n")
            && results[0].contains("FAIL: 4 gave 'IIII', not 'IV'"),
        "{}",
        results[0]
    );
    assert_eq!(results[1], "exit code 0\nall tests pass\n");
    let last = events.last().expect("events");
    assert_eq!(last["type"], "task_completed");
    assert!(
        last["result"]
            .as_str()
            .expect("text")
            .starts_with("roman.sh is done")
    );
}

#[test]
fn killed_at_any_moment_it_comes_to_the_same_end() {
    let calm = undisturbed();
    // Spread over its about 105 events: nothing done yet, in delegations, side by side, around the shell, at the very end.
    let moments = [
        &[1][..],
        &[11],
        &[26],
        &[44],
        &[58],
        &[69],
        &[84],
        &[103],
        &[20, 60, 75, 99],
    ];
    let taken_up: usize = std::thread::scope(|scope| {
        let calm = &calm;
        let killed = moments.map(|moments| scope.spawn(move || check(calm, moments)));
        killed
            .into_iter()
            .map(|killed| killed.join().expect("the same"))
            .sum()
    });
    // The first and the last moment may be before and after all there was to interrupt.
    assert!(
        taken_up >= moments.len(),
        "{taken_up} runs were taken up again"
    );
}

/// The quickstart with faults that end the node so many times, gone on with each time.
fn ended_by(faults: &str, times: usize) -> (Vec<(String, String)>, Vec<Value>) {
    let place = Place::new();
    let team = place.file("team.toml", &format!("{}\n{faults}", quick()));
    for life in 0..times {
        let ran = match life {
            0 => output(&mut place.run(&[text(&team), "--json"])),
            _ => output(&mut place.go_on(&["--json"])),
        };
        assert!(ran.was_killed(), "{life}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = output(&mut place.go_on(&["--json"]));
    assert_eq!(ran.code(), Some(0), "{faults}: {}", ran.stderr);
    (files(&place.data().join("workspace")), events(&ran.stdout))
}

#[test]
fn a_node_that_faults_of_its_file_end_is_gone_on_with() {
    let node = |when: &str| format!("[[faults]]\ntarget = 'node'\nkind = 'kill'\n{when}\n");
    let third = node("on = 'tool_call_started'\nnth = 3");
    let thrice = [4, 7, 9].map(|n| node(&format!("on = 'tool_call_completed'\nnth = {n}")));
    let calm = undisturbed();
    for (faults, times) in [(third, 1), (thrice.concat(), 3)] {
        let (files, events) = ended_by(&faults, times);
        let played = kinds(&events, "fault_injected");
        assert_eq!(played, times, "{faults}");
        let taken_up = same(&calm, (files, events), &faults);
        assert!(taken_up >= times, "{taken_up}: {faults}");
    }
}
