//! The names a file may use are those of the domain.

use impresario::actors::model::EventBody;
use impresario::config::EVENTS;

/// All kinds of events, as the reader of a journal names them.
fn kinds() -> Vec<String> {
    let nothing = serde_json::json!({ "type": "" });
    let error = serde_json::from_value::<EventBody>(nothing).expect_err("no kind");
    let error = error.to_string();
    let (_, names) = error.split_once("expected one of ").expect("names");
    let names = names.split(", ").map(|name| name.trim_matches('`'));
    names.map(str::to_owned).collect()
}

#[test]
fn every_event_has_its_name() {
    let kinds = kinds();
    let body = EventBody::RunReleased;
    assert!(kinds.iter().any(|kind| kind == body.kind()), "{kinds:?}");
    let unnamed = kinds.iter().filter(|kind| !EVENTS.contains(&kind.as_str()));
    assert_eq!(unnamed.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn events_that_are_still_to_come() {
    let kinds = kinds();
    let to_come = EVENTS
        .iter()
        .filter(|name| !kinds.contains(&(**name).to_owned()));
    insta::assert_snapshot!(to_come.copied().collect::<Vec<_>>().join(" "), @"plan_updated plan_step_updated verification executor_connected executor_disconnected");
}
