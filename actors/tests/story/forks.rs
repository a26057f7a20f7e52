//! A run whose past is gone on with in another task.

use actors::model::{EventBody, TaskId, TaskStatus};
use actors::system::SystemError;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Play;

/// A lead that pays twice and has somebody look in between.
fn scripts() -> Value {
    let pay = |what: &str| json!({ "say": what, "call": "pay_ledgered", "args": { "what": what, "ms": 50 } });
    json!({
        "lead": [
            pay("rent"),
            { "say": "Look.", "call": "create_run", "args": { "agent": "a", "input": "look at it" } },
            pay("power"),
            { "say": "Done: {{last}}" },
            { "say": "Also: {{last}}" }
        ],
        "a": [ { "say": "I looked." } ]
    })
}

async fn played() -> (Play, TaskId, actors::model::RunId) {
    let play = Play::new(scripts(), &[]).await;
    let task = play.begin(&["lead", "a"], |_| {}).await;
    play.until(task, TaskStatus::Completed).await;
    let lead = play.run(task, "lead").await;
    (play, task, lead)
}

#[tokio::test(start_paused = true)]
async fn a_fork_at_any_event_ends_and_does_nothing_of_its_past_again() {
    let (play, task, lead) = played().await;
    let journal = play.stage.journal(task).await;
    let mut forked = 0;
    for event in &journal {
        let before = play.stage.outside.all_payments().len();
        // What was paid by then, as far as its result was known.
        let known = journal.iter().filter(|it| {
            it.id <= event.id && matches!(&it.body, EventBody::ToolCallCompleted { content, .. } if format!("{content:?}").contains("paid"))
        });
        let known = known.count();
        let begun = journal.iter().filter(|it| {
            it.id <= event.id && matches!(&it.body, EventBody::ModelCallCompleted { calls, .. } if calls.iter().any(|call| call.name == "pay_ledgered"))
        });
        let begun = begun.count();
        let fork = match play.system.fork(task, lead, event.id, None).await {
            Ok(fork) => fork,
            Err(SystemError::Fork(why)) => {
                let is_begun = !why.contains("had not begun");
                assert!(
                    !is_begun || why.contains("nothing is left to do"),
                    "{}: {why}",
                    event.id
                );
                continue;
            }
            Err(error) => panic!("{}: {error}", event.id),
        };
        forked += 1;
        play.until(fork, TaskStatus::Completed).await;
        let paid = play.stage.outside.all_payments().len() - before;
        assert_eq!(
            paid,
            2 - begun,
            "at event {}: {known} of {begun} had a result\n{}",
            event.id,
            play.told(fork).await
        );
    }
    assert!(forked > 10, "{forked}");
    assert_eq!(
        play.stage.journal(task).await,
        journal,
        "the first is as it was"
    );
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_fork_is_asked_what_the_first_was_asked() {
    let (play, task, lead) = played().await;
    let first: Vec<_> = play
        .requests
        .all()
        .into_iter()
        .filter(|it| it.agent == "lead")
        .collect();
    let journal = play.stage.journal(task).await;
    let answered = journal.iter().filter(|event| {
        event.run_id == Some(lead) && matches!(event.body, EventBody::ToolCallCompleted { .. })
    });
    for (n, event) in (1..).zip(answered) {
        let before = play.requests.count();
        let fork = play
            .system
            .fork(task, lead, event.id, None)
            .await
            .expect("a fork");
        play.until(fork, TaskStatus::Completed).await;
        let asked = &play.requests.all()[before];
        assert_eq!(
            asked.messages, first[n].messages,
            "after event {}",
            event.id
        );
    }
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_goes_on_in_a_fork_with_something_new() {
    let (play, task, lead) = played().await;
    let last = play.stage.journal(task).await.len() as u64;
    let nothing = play.system.fork(task, lead, last, None).await;
    assert!(matches!(nothing, Err(SystemError::Fork(_))), "{nothing:?}");
    let late = play.system.fork(task, lead, last + 1, None).await;
    assert!(matches!(late, Err(SystemError::Fork(_))), "{late:?}");
    let fork = play
        .system
        .fork(task, lead, last, Some("and the water?"))
        .await;
    let fork = fork.expect("a fork");
    let told = play.told_to_the_end(fork, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_fork_outlives_its_node_like_any_other_task() {
    let (mut play, task, lead) = played().await;
    let fork = play.system.fork(task, lead, 8, None).await.expect("a fork");
    play.system.shutdown().await;
    play.restart(|_| {}).await;
    play.until(fork, TaskStatus::Completed).await;
    play.system.shutdown().await;
}
