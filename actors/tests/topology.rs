//! Who hears whom, changed while a team runs, and what each agent was sent.

mod faults;
mod many;
mod property;

use std::sync::Arc;
use std::time::Duration;

use actors::model::{
    AgentName, ChatMessage, EventBody, TaskDefinition, TaskId, TaskStatus, TeamSpec, Topology,
};
use actors::provider::scripted::Scripted;
use actors::system::{System, SystemError};
use actors::testing::recorder::Requests;
use actors::testing::sim::{Moments, Stage, settle};
use actors::topology::{Company, Said};
use insta::assert_snapshot;
use serde_json::{Value, json};

const AGENTS: [&str; 4] = ["lead", "a", "b", "c"];

/// A stage, and what is asked on it.
fn stage(scripts: Value, seed: u64) -> (Stage, Requests) {
    let settings = json!({ "latency": "10ms", "scripts": scripts });
    let settings = serde_json::from_value(settings).expect("scripts");
    let requests = Requests::default();
    let provider = requests.before(Arc::new(Scripted::new(&settings).expect("scripts")));
    (Stage::with_provider(provider, seed), requests)
}

fn task(stage: &Stage, topology: Topology) -> TaskDefinition {
    let mut task = stage.task(&AGENTS);
    task.team = Some(TeamSpec {
        lead: "lead".into(),
        members: AGENTS[1..].iter().map(|name| (*name).into()).collect(),
        topology,
        ..TeamSpec::default()
    });
    task
}

async fn begin(system: &System, definition: TaskDefinition) -> TaskId {
    system.create_task(definition).await.expect("created")
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The lead sets all of them to work for a while, then everybody looks once more.
fn scripts() -> Value {
    let ask = |agent: &str| json!({ "tool": "create_run", "args": { "agent": agent, "input": format!("be {agent}"), "mode": "background" } });
    let wait = |ms: u64| json!({ "tool": "pay_once", "args": { "what": "time", "ms": ms } });
    let works = |says: &str| {
        json!([
            { "say": "", "calls": [wait(300)] },
            { "say": "", "calls": [{ "tool": "post_message", "args": { "content": format!("{says} 1") } }, wait(400)] },
            { "say": "", "calls": [{ "tool": "post_message", "args": { "content": format!("{says} 2") } }, wait(600)] },
            { "say": "done" }
        ])
    };
    json!({
        "lead": [ { "say": "", "calls": [ask("a"), ask("b"), ask("c"), wait(1200)] }, { "say": "all done" } ],
        "a": works("a says"),
        "b": works("b says"),
        "c": works("c says")
    })
}

/// The lines of the room that each agent was shown last.
fn shown(requests: &Requests) -> String {
    let mut last = std::collections::BTreeMap::new();
    for request in requests.all() {
        last.insert(request.agent.clone(), request);
    }
    let mut text = String::new();
    for (agent, request) in last {
        text.push_str(&format!("{agent}\n"));
        for message in &request.messages {
            let ChatMessage::User { text: said } = message else {
                continue;
            };
            let room = said
                .lines()
                .filter(|line| line.contains(", in the room] ") && line.contains("says"));
            room.for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_a_change_is_seen_by_the_rules_that_held_then() {
    let (stage, requests) = stage(scripts(), 1);
    let system = stage.open(&Moments::calm()).await;
    let task = begin(&system, task(&stage, Topology::Broadcast)).await;
    pass(600).await;
    let since = system.set_topology(task, Topology::Hierarchical).await;
    assert!(matches!(since, Ok(Some(_))), "{since:?}");
    assert_eq!(
        system.set_topology(task, Topology::Hierarchical).await,
        Ok(None)
    );
    assert_eq!(system.topology(task).await, Ok(Topology::Hierarchical));
    // Whoever is started again knows it from the journal.
    let path = format!("tasks/{task}/topology");
    assert!(system.root().kill_at(&path).await);
    let again = system.set_topology(task, Topology::Hierarchical).await;
    assert_eq!(again, Ok(None));
    let ended = settle(&system, task, Duration::from_secs(60)).await;
    assert_eq!(ended, Some(TaskStatus::Completed));
    assert_snapshot!(shown(&requests));
    let over = system.set_topology(task, Topology::Chain).await;
    assert_eq!(over, Err(SystemError::Over(task)));
    system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_s_own_topology_is_pinned_by_name() {
    let last =
        |company: &Company, reader: &AgentName, _: Said<'_>| company.members.last() == Some(reader);
    let (mut stage, requests) = stage(scripts(), 1);
    let custom = || Topology::Custom("the last hears all".to_owned());
    let system = stage.open(&Moments::calm()).await;
    let refused = system
        .create_task(task(&stage, custom()))
        .await
        .expect_err("not there");
    assert_eq!(
        refused.to_string(),
        "the task cannot be started: topology `the last hears all` is not registered with the system; none is"
    );
    let broadcast = begin(&system, task(&stage, Topology::Broadcast)).await;
    let refused = system
        .set_topology(broadcast, custom())
        .await
        .expect_err("not there");
    assert_eq!(
        refused.to_string(),
        "the topology cannot be changed: topology `the last hears all` is not registered with the system; none is"
    );
    system.cancel(broadcast, "enough").await.expect("cancelled");
    system.shutdown().await;

    stage.seed += 1;
    let with = stage
        .open_with(&Moments::calm(), |deps| {
            *deps = deps.clone().topology("the last hears all", last)
        })
        .await;
    let task = begin(&with, task(&stage, custom())).await;
    pass(500).await;
    with.shutdown().await;

    // A node that does not have it says so, and does not guess.
    stage.seed += 1;
    let without = stage.open(&Moments::calm()).await;
    let stands = settle(&without, task, Duration::from_secs(60)).await;
    assert_eq!(stands, Some(TaskStatus::NeedsAttention));
    let journal = stage.journal(task).await;
    let asked = journal.iter().rev().find_map(|event| match &event.body {
        EventBody::TaskNeedsAttention { attention } => Some(format!("{attention:?}")),
        _ => None,
    });
    let asked = asked.expect("it says why");
    assert!(asked.contains("is not registered"), "{asked}");
    without.shutdown().await;

    stage.seed += 1;
    let with = stage
        .open_with(&Moments::calm(), |deps| {
            *deps = deps.clone().topology("the last hears all", last)
        })
        .await;
    with.answer(task, "it is back").await.expect("answered");
    let ended = settle(&with, task, Duration::from_secs(60)).await;
    assert_eq!(ended, Some(TaskStatus::Completed));
    assert_snapshot!(shown(&requests));
    with.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn inbox_outbox_and_counts_of_each_agent() {
    let (stage, _) = stage(scripts(), 1);
    let system = stage.open(&Moments::calm()).await;
    let task = begin(&system, task(&stage, Topology::Chain)).await;
    pass(100).await;
    system
        .say(task, "for b alone", Some("b".into()))
        .await
        .expect("said");
    let ended = settle(&system, task, Duration::from_secs(60)).await;
    assert_eq!(ended, Some(TaskStatus::Completed));
    let mail = system.mail(task).await.expect("mail");
    let mut text = format!("{} exchanged\n", mail.exchanged());
    for name in AGENTS {
        let mailbox = system.mailbox(task, &name.into()).await.expect("a mailbox");
        text.push_str(&format!("{name} {:?}\n", mailbox.counts));
        let boxes = [("in ", &mailbox.inbox), ("out", &mailbox.outbox)];
        for (place, letters) in boxes {
            let letters = letters
                .iter()
                .map(|letter| format!("  {place} {:?}\n", letter.content));
            letters.for_each(|line| text.push_str(&line));
        }
        assert_eq!(
            mailbox.history().len(),
            mailbox.inbox.len() + mailbox.outbox.len()
        );
    }
    assert_snapshot!(text);
    let nobody = system
        .mailbox(task, &"eve".into())
        .await
        .expect_err("nobody");
    assert_eq!(nobody.to_string(), "there is no agent `eve` in this task");
    system.shutdown().await;
}
