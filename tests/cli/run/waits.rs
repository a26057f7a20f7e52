//! What a task waits for is shown.

use super::{Place, events, output, text};

fn crowd(limits: &str) -> String {
    format!(
        r#"
[task]
name = "haste"
description = "be quick"
root_agent = "lead"
priority = 3
[agents.lead]
provider = "stage"
tools = ["create_run"]
[providers.stage]
kind = "scripted"
{limits}
[providers.stage.scripts]
lead = [
  {{ when = "^be quick", calls = [ {{ tool = "create_run", args = {{ input = "one" }} }}, {{ tool = "create_run", args = {{ input = "two" }} }} ] }},
  {{ say = "done" }},
]
"#
    )
}

#[test]
fn a_rate_is_waited_for_and_named() {
    let place = Place::new();
    let file = place.file("team.toml", &crowd(r#"rate_limits = ["2/600ms"]"#));
    let ran = output(&mut place.run(&[text(&file), "--json"]));
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    let waits =
        |event: &&serde_json::Value| event["type"] == "run_waiting" && event["for"] == "provider";
    let all = events(&ran.stdout);
    let wait = all.iter().find(waits).expect("one waits");
    assert_eq!(
        (&wait["provider"], &wait["limit"], &wait["rate"]),
        (&"stage".into(), &"rate".into(), &"2/600ms".into())
    );
    assert!(
        wait["wait_ms"].as_u64().is_some_and(|ms| ms <= 610),
        "{wait}"
    );
}

#[test]
fn a_wait_is_told_in_words() {
    let place = Place::new();
    let file = place.file("team.toml", &crowd(r#"rate_limits = ["2/600ms"]"#));
    let ran = output(&mut place.run(&[text(&file)]));
    assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
    let told = "waits for the provider `stage`: its rate is 2/600ms, free in 0.";
    assert!(
        (ran.stdout.clone() + &ran.stderr).contains(told),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}
