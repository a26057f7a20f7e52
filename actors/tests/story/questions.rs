//! What a person is asked, and what becomes of the answer.

use std::time::Duration;

use actors::model::{Attention, InDoubtPolicy, TaskDefinition, TaskId, TaskStatus};
use actors::system::{Settled, SystemError};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Play;

/// A payment of which nobody hears.
fn unheard(what: &str) -> Value {
    json!({ "tool": "pay_once", "args": { "what": what, "then": "unknown" } })
}

fn asking(definition: &mut TaskDefinition) {
    let agents = definition.agents.values_mut();
    agents.for_each(|agent| agent.in_doubt = InDoubtPolicy::Ask);
}

fn ask(agent: &str) -> Value {
    json!({ "tool": "create_run", "args": { "agent": agent, "input": format!("be {agent}"), "mode": "background" } })
}

/// Two members whose payments are both in doubt.
async fn two_ask() -> (Play, TaskId) {
    let scripts = json!({
        "lead": [ { "say": "Go.", "calls": [ask("a"), ask("b")] }, { "say": "I wait." }, { "say": "both are done" } ],
        "a": [ { "say": "Rent.", "calls": [unheard("rent")] }, { "say": "a: {{last}}" } ],
        "b": [ { "say": "Tax.", "calls": [unheard("tax")] }, { "say": "b: {{last}}" } ]
    });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead", "a", "b"], asking).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    (play, task)
}

/// The question that is open now, and the run that asked it.
async fn question(play: &Play, task: TaskId) -> String {
    let waiting = tokio::time::timeout(Duration::from_secs(600), play.system.wait(task));
    match waiting.await.expect("somebody asks") {
        Ok(Settled::NeedsAttention(Attention::InDoubt { run, question })) => {
            let names = super::teller::names(&play.stage.journal(task).await);
            format!("{}: {question}", names[&run])
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_two_questions_gets_its_own_answer() {
    let (play, task) = two_ask().await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        let question = question(&play, task).await;
        let answer = format!("somebody looked for {}", &question[..1]);
        assert_eq!(play.system.answer(task, &answer).await, Ok(true));
        asked.push(question);
    }
    assert!(asked[0] != asked[1], "{asked:?}");
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    let after = told
        .lines()
        .skip_while(|line| !line.contains("tool_call_in_doubt"));
    assert_snapshot!(after.collect::<Vec<_>>().join("\n"));
}

/// Answers whatever is asked, at once, until the task has ended.
async fn answer_all(play: &Play, task: TaskId) {
    loop {
        let settled = tokio::time::timeout(Duration::from_secs(600), play.system.wait(task));
        match settled.await.expect("no question is lost") {
            Ok(Settled::NeedsAttention(_)) => {
                let _ = play.system.answer(task, "it was paid").await;
            }
            Ok(Settled::Completed(_)) => return,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_while_an_answer_is_on_its_way_is_not_lost() {
    for seed in 0..60 {
        let later =
            json!({ "tool": "pay_once", "args": { "what": "tax", "then": "unknown", "ms": seed } });
        let scripts = json!({
            "lead": [ { "say": "Go.", "calls": [ask("a"), ask("b")] }, { "say": "I wait." }, { "say": "both are done" } ],
            "a": [ { "say": "Rent.", "calls": [unheard("rent")] }, { "say": "a: {{last}}" } ],
            "b": [ { "say": "Tax.", "calls": [later] }, { "say": "b: {{last}}" } ]
        });
        let set = Play::set("20ms", scripts, &[]);
        let play = Play::on(set, |stage| {
            stage.manners.slow(seed, Duration::from_millis(40));
        })
        .await;
        let task = play.begin(&["lead", "a", "b"], asking).await;
        answer_all(&play, task).await;
        play.system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_calls_of_one_turn_are_asked_about_one_by_one() {
    let scripts = json!({ "lead": [
        { "say": "Both.", "calls": [unheard("rent"), unheard("tax")] },
        { "say": "{{result.0}} and {{result.1}}" }
    ] });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead"], asking).await;
    for answer in ["rent was paid", "tax was not"] {
        play.until(task, TaskStatus::NeedsAttention).await;
        assert_eq!(play.system.answer(task, answer).await, Ok(true));
    }
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_open_over_the_end_of_the_node_and_answered_at_once() {
    let (mut play, task) = two_ask().await;
    let before = question(&play, task).await;
    play.system.shutdown().await;
    play.restart(|_| {}).await;
    assert_eq!(question(&play, task).await, before);
    // Nothing of the task's tree need be up yet.
    assert_eq!(play.system.answer(task, "it was paid").await, Ok(true));
    assert_ne!(question(&play, task).await, before);
    assert_eq!(play.system.answer(task, "it was paid").await, Ok(true));
    play.until(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_once_however_the_run_crashes_over_it() {
    for pause in [0, 1, 5, 30] {
        let (play, task) = two_ask().await;
        let first = question(&play, task).await;
        let run = play.run(task, &first[..1]).await;
        let path = format!("tasks/{task}/runs/{run}");
        let killing = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                play.system.root().kill_at(&path).await;
            }
        };
        let (answered, ()) = tokio::join!(play.system.answer(task, "it was paid"), killing);
        assert_eq!(answered, Ok(true), "{pause}");
        assert_ne!(question(&play, task).await, first, "{pause}");
        assert_eq!(play.system.answer(task, "it was paid").await, Ok(true));
        let told = play.told_to_the_end(task, TaskStatus::Completed).await;
        let answers = told.lines().filter(|line| line.contains(": answered"));
        assert_eq!(answers.count(), 2, "{told}");
        play.system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_when_nothing_waits_is_not_taken() {
    let scripts = json!({ "lead": [
        { "say": "Time.", "call": "pay_once", "args": { "what": "time", "ms": 1000 } },
        { "say": "done" }
    ] });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead"], asking).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(play.system.answer(task, "yes").await, Ok(false));
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    assert!(!told.contains("yes"), "{told}");
    let late = play.system.answer(task, "yes").await;
    assert_eq!(late, Err(SystemError::Over(task)));
    assert_eq!(
        play.system.cancel(task, "x").await,
        Err(SystemError::Over(task))
    );
    play.system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn when_those_who_asked_are_cancelled_nobody_is_needed() {
    let (play, task) = two_ask().await;
    for name in ["a", "b"] {
        let row = play.system.task(task).await.expect("a task");
        assert_eq!(row.status, TaskStatus::NeedsAttention, "{name} still asks");
        let run = play.run(task, name).await;
        assert_eq!(play.system.cancel_run(task, run, "leave it").await, Ok(()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let row = play.system.task(task).await.expect("a task");
    assert_eq!(row.status, TaskStatus::Running);
    let told = play.told_to_the_end(task, TaskStatus::Completed).await;
    play.system.shutdown().await;
    let after = told
        .lines()
        .skip_while(|line| !line.contains("run_cancelled"));
    assert_snapshot!(after.collect::<Vec<_>>().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_crashes_again_and_again_is_left_alone_until_a_person_releases_it() {
    let scripts = json!({ "lead": [
        { "say": "Rent.", "call": "pay_pure", "args": { "what": "rent", "then": "panic" } }, { "say": "done" }
    ] });
    let play = Play::new(scripts, &[]).await;
    let task = play.begin(&["lead"], |_| {}).await;
    play.until(task, TaskStatus::NeedsAttention).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(play.system.answer(task, "look again").await, Ok(true));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(play.system.cancel(task, "it is hopeless").await, Ok(()));
    let told = play.told_to_the_end(task, TaskStatus::Cancelled).await;
    play.system.shutdown().await;
    assert_snapshot!(told);
}
