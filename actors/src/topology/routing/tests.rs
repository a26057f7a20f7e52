use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::model::{Limits, TeamSpec, Timestamp};

fn task(topology: Topology) -> TaskDefinition {
    let names = |names: &[&str]| names.iter().map(|name| AgentName::from(*name)).collect();
    TaskDefinition {
        priority: Default::default(),
        name: "t".to_owned(),
        description: String::new(),
        project: String::new(),
        root_agent: "lead".into(),
        available_agents: names(&["a", "b", "c"]),
        team: Some(TeamSpec {
            lead: "lead".into(),
            members: names(&["a", "b", "c"]),
            topology,
            ..TeamSpec::default()
        }),
        workflow: None,
        agents: BTreeMap::new(),
        limits: Limits::default(),
        forked_from: None,
        source: serde_json::Value::Null,
    }
}

fn wiring(topology: Topology) -> Wiring {
    let last: Arc<dyn Route> = Arc::new(|company: &Company, reader: &AgentName, _: Said<'_>| {
        company.members.last() == Some(reader)
    });
    let routes = BTreeMap::from([("to the last".to_owned(), last)]);
    Wiring::of(&task(topology), &Arc::new(routes))
}

fn sender(name: &str) -> Sender {
    match name {
        "human" => Sender::Human,
        "system" => Sender::System,
        name => Sender::Agent(name.into()),
    }
}

/// Who sees what: a line for each of these messages.
fn table(wiring: &Wiring, said: &[(&str, Option<&str>, &str)]) -> String {
    let line = |(from, to, content): &(&str, Option<&str>, &str)| {
        let (sender, alone) = (sender(from), to.map(AgentName::from));
        let said = Said {
            from: &sender,
            to: alone.as_ref(),
            content,
        };
        let readers: Vec<_> = wiring
            .company()
            .all()
            .filter(|name| wiring.sees(name, said))
            .map(AgentName::as_str)
            .collect();
        let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
        format!(
            "{:<30} → {}",
            format!("{from}{to}: {content}"),
            readers.join(" ")
        )
    };
    said.iter().map(line).collect::<Vec<_>>().join("\n")
}

const SAID: [(&str, Option<&str>, &str); 9] = [
    ("human", None, "hello"),
    ("system", None, "hello"),
    ("lead", None, "hello"),
    ("a", None, "hello"),
    ("b", None, "hello"),
    ("c", None, "hello"),
    ("a", Some("c"), "for c"),
    ("human", Some("b"), "for b"),
    ("lead", Some("lead"), "to myself"),
];

#[test]
fn in_a_broadcast_everybody_sees_everything_but_what_is_for_one() {
    assert_snapshot!(table(&wiring(Topology::Broadcast), &SAID));
}

#[test]
fn in_a_hierarchy_members_do_not_see_each_other() {
    assert_snapshot!(table(&wiring(Topology::Hierarchical), &SAID));
}

#[test]
fn in_a_chain_each_hears_the_one_before_and_the_lead_the_last() {
    assert_snapshot!(table(&wiring(Topology::Chain), &SAID));
}

#[test]
fn filtered_by_who_is_named() {
    let said = [
        ("a", None, "to all of you"),
        ("a", None, "@b and @c, look"),
        ("human", None, "@b look"),
        ("a", None, "@all look"),
        ("a", None, "@bob is nobody here"),
        ("a", None, "write to me@b or @b-2"),
        ("a", None, "ask @b."),
        ("a", Some("c"), "@b must not see it"),
    ];
    assert_snapshot!(table(&wiring(Topology::Filtered), &said));
}

fn rules(rules: serde_json::Value) -> Topology {
    serde_json::from_value(json!({ "rules": rules })).expect("rules")
}

#[test]
fn the_first_rule_that_fits_decides() {
    let topology = rules(json!([
        { "from": "a", "to": "b", "when": "secret", "decide": "deny" },
        { "from": "a", "to": "*" },
        { "from": "@members", "to": "@lead", "when": "(?i)done" },
        { "from": "@human", "to": "c", "decide": "deny" },
        { "from": "@system", "to": "@members", "decide": "deny" },
    ]));
    let said = [
        ("a", None, "hello"),
        ("a", None, "a secret"),
        ("a", Some("b"), "a secret"),
        ("b", None, "hello"),
        ("b", None, "I am Done"),
        ("b", Some("a"), "hello"),
        ("lead", None, "hello"),
        ("human", None, "hello"),
        ("system", None, "hello"),
    ];
    assert_snapshot!(table(&wiring(topology), &said));
}

#[test]
fn one_s_own_is_asked_but_for_one_s_own_words_and_what_is_for_another() {
    let own = wiring(Topology::Custom("to the last".to_owned()));
    assert_snapshot!(table(&own, &SAID));
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    let problem = |topology| wiring(topology).check().expect_err("it is wrong");
    let many = vec![json!({ "from": "*", "to": "*" }); 65];
    let wrong = [
        Topology::Custom("ring".to_owned()),
        rules(json!([{ "from": "*", "to": "*" }, { "from": "eve", "to": "a" }])),
        rules(json!([{ "from": "a", "to": "@lead", "when": "a(b" }])),
        rules(json!(many)),
    ];
    assert_snapshot!(wrong.map(problem).join("\n"));
    assert_eq!(
        wiring(Topology::Custom("to the last".to_owned())).check(),
        Ok(())
    );
}

#[test]
fn a_change_holds_from_its_event_on() {
    let mut wiring = wiring(Topology::Broadcast);
    let (from, to) = (sender("a"), AgentName::from("b"));
    let said = Said {
        from: &from,
        to: None,
        content: "hello",
    };
    assert!(wiring.sees(&to, said));
    wiring.fold(&Event {
        id: 2,
        task_id: crate::model::TaskId(uuid::Uuid::nil()),
        run_id: None,
        agent: None,
        at: Timestamp(0),
        epoch: 0,
        cause: None,
        body: EventBody::TopologyChanged {
            topology: Topology::Hierarchical,
            by: Sender::Human,
        },
    });
    assert!(!wiring.sees(&to, said));
}

#[test]
fn every_topology_survives_being_written_down() {
    let all = [
        (Topology::Filtered, json!("filtered")),
        (
            Topology::Custom("ring".to_owned()),
            json!({ "custom": "ring" }),
        ),
        (
            rules(json!([{ "from": "@lead", "to": "a", "when": "x" }])),
            json!({ "rules": [{ "from": "@lead", "to": "a", "when": "x", "decide": "allow" }] }),
        ),
    ];
    for (topology, written) in all {
        assert_eq!(serde_json::to_value(&topology).expect("written"), written);
        assert_eq!(
            serde_json::from_value::<Topology>(written).expect("read"),
            topology
        );
    }
}
