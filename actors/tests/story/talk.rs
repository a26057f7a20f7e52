//! Who sees what in the room.

use actors::model::{ChatMessage, TaskDefinition, TaskId, TaskStatus, TeamSpec, Topology};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{Play, teller};

fn scripts() -> Value {
    let says = |what: &str| {
        json!([
            { "say": "I say it.", "call": "post_message", "args": { "content": what } },
            { "say": "And I wait a little.", "call": "pay_once", "args": { "what": "time", "ms": 500 } },
            { "say": "done" }
        ])
    };
    let ask = |agent: &str| {
        json!({ "tool": "create_run",
        "args": { "agent": agent, "input": format!("be {agent}"), "mode": "background" } })
    };
    json!({
        "lead": [
            { "say": "Go.", "calls": [ask("a"), ask("b"),
                { "tool": "post_message", "args": { "content": "the lead is here" } },
                { "tool": "post_message", "args": { "content": "a secret for a", "to": "a" } } ] },
            { "say": "I look.", "call": "pay_once", "args": { "what": "a look", "ms": 300 } },
            { "say": "all seen" }
        ],
        "a": says("a has found something"),
        "b": says("b has found nothing")
    })
}

/// What each agent had been shown of the room when it was asked last.
async fn seen(topology: Topology) -> String {
    let play = Play::new(scripts(), &[]).await;
    let task = play
        .begin(&["lead", "a", "b"], |definition: &mut TaskDefinition| {
            definition.team = Some(TeamSpec {
                lead: "lead".into(),
                members: vec!["a".into(), "b".into()],
                topology,
                ..TeamSpec::default()
            });
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let said = play.system.say(task, "a person looks in", None).await;
    assert!(said.is_ok(), "{said:?}");
    play.until(task, TaskStatus::Completed).await;
    let text = shown(&play, task).await;
    play.system.shutdown().await;
    text
}

async fn shown(play: &Play, task: TaskId) -> String {
    let names = teller::names(&play.stage.journal(task).await);
    let mut last = std::collections::BTreeMap::new();
    for request in play.requests.all() {
        last.insert(request.run, request);
    }
    let mut text = String::new();
    for (run, request) in last {
        text.push_str(&format!("{} is shown\n", names[&run]));
        for message in &request.messages {
            let ChatMessage::User { text: said } = message else {
                continue;
            };
            let said = said.lines().filter(|line| line.starts_with('['));
            let said = said.map(|line| teller::named(line, task, &names));
            said.for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text
}

#[tokio::test(start_paused = true)]
async fn in_a_broadcast_everybody_sees_everything_but_what_is_for_one() {
    assert_snapshot!(seen(Topology::Broadcast).await);
}

#[tokio::test(start_paused = true)]
async fn in_a_hierarchy_members_see_their_lead_and_people() {
    assert_snapshot!(seen(Topology::Hierarchical).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_when_a_task_has_ended_is_refused() {
    let play = Play::new(json!({ "lead": [ { "say": "done" } ] }), &[]).await;
    let task = play.begin(&["lead"], |_| {}).await;
    play.until(task, TaskStatus::Completed).await;
    let refused = play.system.say(task, "too late", None).await;
    let refused = refused.expect_err("it has ended").to_string();
    assert_snapshot!(refused.replace(&task.to_string(), "task"), @"task has ended");
    let is_said = play.told(task).await.contains("too late");
    assert!(!is_said);
    play.system.shutdown().await;
}
