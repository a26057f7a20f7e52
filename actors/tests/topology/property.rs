//! Whatever is said, changed and killed, each run is shown what the pure function says, in order, once.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::model::{EventBody, Sender, Topology};
use actors::testing::sim::{Moments, settle};
use actors::topology::mail::Mail;
use fastrand::Rng;
use serde_json::json;

use super::{AGENTS, begin, pass, scripts, stage, task};
use crate::support::causes;
use crate::support::requests::{Record, every_answer_was_to_the_right_request};
use crate::support::{expect_panics, virtual_time};

fn any_topology(random: &mut Rng) -> Topology {
    let rules = json!({ "rules": [
        { "from": "@members", "to": "b", "when": "1", "decide": "deny" },
        { "from": "*", "to": "@members" },
    ] });
    match random.u8(..5) {
        0 => Topology::Broadcast,
        1 => Topology::Filtered,
        2 => Topology::Hierarchical,
        3 => Topology::Chain,
        _ => serde_json::from_value(rules).expect("rules"),
    }
}

/// One team under changes, words of people and kills; how often something was changed, and killed.
async fn play(seed: u64) -> (usize, usize) {
    let mut random = Rng::with_seed(seed);
    let (stage, requests) = stage(scripts(), seed);
    let system = stage.open(&Moments::calm()).await;
    let id = begin(&system, task(&stage, any_topology(&mut random))).await;
    let (mut accepted, mut killed) = (Vec::new(), 0);
    for number in 0..12 {
        pass(random.u64(0..120)).await;
        match random.u8(..4) {
            0 => {
                let wanted = any_topology(&mut random);
                if let Ok(Some(seq)) = system.set_topology(id, wanted).await {
                    accepted.push(seq);
                }
            }
            1 | 2 => {
                let to = random
                    .bool()
                    .then(|| (*random.choice(AGENTS).expect("one")).into());
                let said = system
                    .say(id, &format!("a person says {number} @c"), to)
                    .await;
                accepted.extend(said.ok());
            }
            _ => {
                let below = random
                    .choice(["topology", "room", "runs", "agents"])
                    .expect("one");
                killed += usize::from(system.root().kill_at(&format!("tasks/{id}/{below}")).await);
            }
        }
    }
    let ended = settle(&system, id, Duration::from_secs(600)).await;
    assert!(ended.is_some(), "seed {seed} does not end");
    let journal = causes::journal(&stage, id).await;
    let record = Record::new(&journal, &*stage.store).await;
    let asked = requests.all();
    let asked: Vec<_> = asked.iter().collect();
    every_answer_was_to_the_right_request(&record, &asked);
    all_is_there_once(&journal, &accepted, seed);
    the_mail_is_what_was_routed(&record, &system.mail(id).await.expect("mail"), seed);
    system.shutdown().await;
    let is_change =
        |event: &&actors::model::Event| matches!(event.body, EventBody::TopologyChanged { .. });
    (journal.iter().filter(is_change).count(), killed)
}

/// What was accepted is in the journal, and nothing was said twice.
fn all_is_there_once(journal: &[actors::model::Event], accepted: &[u64], seed: u64) {
    let mut said = BTreeSet::new();
    for event in journal {
        if let EventBody::TaskMessage {
            from: Sender::Human,
            content,
            ..
        } = &event.body
        {
            assert!(said.insert(content), "seed {seed}: twice {content}");
        }
    }
    for seq in accepted {
        let event = journal.iter().find(|event| event.id == *seq);
        let is_it = event.is_some_and(|event| {
            matches!(
                event.body,
                EventBody::TaskMessage { .. } | EventBody::TopologyChanged { .. }
            )
        });
        assert!(is_it, "seed {seed}: {seq} is lost");
    }
}

/// The mailboxes hold what the runs were shown, and the counts say how much that is.
fn the_mail_is_what_was_routed(record: &Record<'_>, mail: &Mail, seed: u64) {
    let mut received = 0;
    for name in AGENTS.map(actors::model::AgentName::from) {
        let of_others = |event: &&actors::model::Event| match &event.body {
            EventBody::TaskMessage { from, .. } => *from != Sender::Agent(name.clone()),
            _ => false,
        };
        let visible: Vec<_> = record
            .visible(&name)
            .filter(of_others)
            .map(|event| event.id)
            .collect();
        let mailbox = mail.mailbox(&name).expect("a mailbox");
        let inbox: Vec<_> = mailbox.inbox.iter().map(|letter| letter.id).collect();
        assert_eq!(inbox, visible, "seed {seed}: {name}");
        assert_eq!(mailbox.counts.received, visible.len() as u64);
        assert_eq!(mailbox.counts.sent, mailbox.outbox.len() as u64);
        received += visible.len();
    }
    let readers: usize = mail.history().map(|letter| letter.readers.len()).sum();
    assert_eq!(readers, received, "seed {seed}");
    let is_message =
        |event: &&actors::model::Event| matches!(event.body, EventBody::TaskMessage { .. });
    let said = record.events.iter().filter(is_message).count();
    assert_eq!(mail.exchanged(), said as u64);
}

#[test]
fn each_reader_is_shown_what_the_pure_function_says() {
    expect_panics();
    let seeds = std::env::var("TOPOLOGY_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(25);
    let (mut changes, mut kills) = (0, 0);
    for seed in 0..seeds {
        let (changed, killed) = virtual_time(play(seed));
        (changes, kills) = (changes + changed, kills + killed);
    }
    assert!(
        changes > 20 && kills > 20,
        "{changes} changes, {kills} kills"
    );
}
