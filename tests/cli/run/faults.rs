//! The faults of a team file, as `impresario run` plays and shows them.

use insta::assert_snapshot;
use regex::Regex;

use super::{Place, example, files, output, text};

/// The output without times and ids. What is told of faults comes first, sorted: when they are written is a race with what they cause.
fn told(stdout: &str) -> String {
    let times = Regex::new(r"(?m)^[0-9:.]{9}  ").expect("a regex");
    let ids = Regex::new("run_[0-9a-f]{32}").expect("a regex");
    let seconds = Regex::new("[0-9]+[.][0-9] s\\b").expect("a regex");
    let plain = times.replace_all(stdout, "");
    let plain = ids.replace_all(&plain, "run_…");
    let plain = seconds.replace_all(&plain, "… s");
    let is_fault = |line: &&str| line.trim_start().starts_with("a fault on purpose: ");
    let mut faults: Vec<_> = plain.lines().filter(is_fault).collect();
    faults.sort_unstable();
    let rest = plain.lines().filter(|line| !is_fault(line));
    faults
        .into_iter()
        .chain(rest)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_comes_to_its_end_and_says_what_was_done_to_it() {
    let place = Place::new();
    // Without the last fault: whether it strikes before or after a model call is begun is a race.
    let given = example(
        "faults.toml",
        &[("latency = \"200ms\"", "latency = \"100ms\"")],
    );
    let (faults, rest) = given.split_once("# The run of whoever counts").expect("it");
    let (_, rest) = rest.split_once("[providers.stage]").expect("the rest");
    let team = place.file("faults.toml", &format!("{faults}[providers.stage]{rest}"));
    let ran = output(&mut place.run(&[text(&team)]));
    assert_eq!((ran.code(), ran.stderr.as_str()), (Some(0), ""));
    let poem = files(&place.data().join("workspace"));
    assert_eq!(poem.len(), 1, "{poem:?}");
    assert_snapshot!(told(&place.plain(&ran.stdout)));
}

const BAD: &str = r#"
[agents.hand]
provider = "stage"
[providers.stage]
kind = "scripted"
scripts = { hand = [{ say = "x" }] }
[[faults]]
target = "agent:hnd"
kind = "kil"
at = "2s"
[[faults]]
target = "link:hand->*"
kind = "kill"
at = "2s"
every = "1s"
[[faults]]
target = "provider:stage"
kind = "delay"
on = "tool_cal_started"
[[faults]]
target = "supervisor:task"
kind = "kill"
chance = 2.0
nth = 3
[[faults]]
target = "planet"
kind = "hang"
delay = "1s"
"#;

#[test]
fn bad_faults_are_told_all_at_once() {
    let place = Place::new();
    let team = place.file("team.toml", BAD);
    let ran = output(crate::support::program::impresario().args(["check", text(&team)]));
    assert_eq!(ran.code(), Some(2));
    assert_snapshot!(place.plain(&format!("{}{}", ran.stdout, ran.stderr)));
}
