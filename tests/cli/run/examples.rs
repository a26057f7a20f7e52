//! Every file in examples/teams is checked and run: scripted ones with each of their teams, the others against a server of ours.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Place, example, files, output, text};
use crate::support::chat_wire::{arguments, call, text as said, whole};
use crate::support::fake_model::{FakeModel, Step};
use crate::support::program::impresario;

fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/teams");
    let entries = fs::read_dir(folder).expect("the examples");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// The names of the teams of a file without mistakes.
fn teams(path: &Path) -> Vec<String> {
    let ran = output(impresario().args(["check", text(path), "--json"]));
    assert_eq!(
        (ran.code(), ran.stderr.as_str()),
        (Some(0), ""),
        "{}: {}",
        path.display(),
        ran.stdout
    );
    let checked: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let teams = checked["teams"].as_array().expect("teams").iter();
    teams
        .map(|team| team.as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn scripted_ones_come_to_their_end() {
    assert_eq!(
        names(),
        [
            "faults.toml",
            "local-model.toml",
            "quickstart.toml",
            "strategies.toml",
            "topologies.toml"
        ]
    );
    let latency = regex::Regex::new("(?m)^latency = \"[0-9]+ms\"").expect("a regex");
    for name in names() {
        let given = example(&name, &[]);
        let quick = latency.replace(&given, "latency = \"2ms\"");
        if quick == given {
            continue;
        }
        let place = Place::new();
        let path = place.file(&name, &quick);
        for team in teams(&path) {
            let _ = fs::remove_dir_all(place.data());
            let ran = output(&mut place.run(&[text(&path), "--team", &team]));
            assert_eq!(
                (ran.code(), ran.stderr.as_str()),
                (Some(0), ""),
                "{name}, {team}:\n{}",
                ran.stdout
            );
            let is_said = ran
                .stdout
                .lines()
                .next()
                .expect("a line")
                .contains(", scripted");
            assert!(
                is_said
                    && ran
                        .stdout
                        .contains("\nmodels    scripted; no model was asked"),
                "{name}:\n{}",
                ran.stdout
            );
            let is_failure =
                |line: &&str| line.contains(" failed") && !line.contains("a fault on purpose");
            assert_eq!(
                ran.stdout.lines().find(is_failure),
                None,
                "{name}, {team}:\n{}",
                ran.stdout
            );
        }
    }
}

#[test]
fn each_strategy_does_the_same_as_long_as_nobody_crashes() {
    let place = Place::new();
    let path = place.file(
        "s.toml",
        &example(
            "strategies.toml",
            &[("latency = \"300ms\"", "latency = \"2ms\"")],
        ),
    );
    let outcomes = ["clerks", "debate", "line"].map(|team| {
        let _ = fs::remove_dir_all(place.data());
        let ran = output(&mut place.run(&[text(&path), "--team", team]));
        let (_, outcome) = ran
            .stdout
            .split_once("the task is done\n\n")
            .expect("an end");
        let outcome = outcome.lines().take_while(|line| !line.is_empty());
        (
            outcome.map(str::to_owned).collect::<Vec<_>>(),
            files(&place.data().join("workspace")),
        )
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0], outcomes[2]);
    let said = "The note is in note.txt, and its words are counted.";
    let note = "It will be fine, or it will not.\n";
    let expected = (
        vec![said.to_owned()],
        vec![("note.txt".to_owned(), note.to_owned())],
    );
    assert_eq!(outcomes[0], expected);
}

fn calls(tool: &str, args: &Value) -> Vec<Step> {
    let events = vec![call(0, "call_a", tool), arguments(0, &args.to_string())];
    whole(events, "tool_calls")
}

#[test]
fn the_local_models_team_works_with_a_server() {
    let server = FakeModel::start();
    let design = serde_json::json!({ "path": "DESIGN.md", "content": "# roman.sh\n" });
    let brief =
        serde_json::json!({ "agent": "architect", "title": "design", "input": "Write DESIGN.md." });
    server.answer(calls("create_run", &brief));
    server.answer(calls("write_file", &design));
    server.answer(whole(vec![said("It is designed.")], "stop"));
    server.answer(whole(vec![said("All is "), said("done.")], "stop"));
    let place = Place::new();
    let given = example("local-model.toml", &[]);
    assert_eq!(teams(&place.file("given.toml", &given)), ["studio"]);
    let team = place.file(
        "team.toml",
        &given.replace("http://127.0.0.1:11434/v1", &server.base_url()),
    );
    let ran = output(&mut place.run(&[text(&team)]));
    assert_eq!(
        (ran.code(), ran.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("\n\nAll is done.\n\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("\nwork      2 runs, 4 turns, 480 tokens\n")
            && !ran.stdout.contains("scripted"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        files(&place.data().join("workspace")),
        [("DESIGN.md".to_owned(), "# roman.sh\n".to_owned())]
    );
    let seen = server.last_seen();
    assert_eq!(
        (seen.line.as_str(), seen.header("authorization")),
        ("POST /v1/chat/completions HTTP/1.1", None)
    );
}
