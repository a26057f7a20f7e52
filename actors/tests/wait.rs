//! Waiting for a task, and feeds that end with it.

use std::time::Duration;

use actors::feed::FeedItem;
use actors::model::{AgentSpec, Attention, InDoubtPolicy, Seq, TaskDefinition, TaskId};
use actors::provider::scripted::ScriptedSettings;
use actors::system::{Settled, System, SystemError};
use actors::testing::sim::{Accident, Moments, Stage};
use serde_json::{Value, json};

fn stage(entries: Value) -> Stage {
    let scripts: ScriptedSettings =
        serde_json::from_value(json!({ "latency": "20ms", "scripts": { "lead": entries } }))
            .expect("scripts");
    Stage::new(scripts, 3)
}

fn task(tools: &[&str]) -> TaskDefinition {
    let lead = AgentSpec::new("stage")
        .tools(tools.iter().copied())
        .in_doubt(InDoubtPolicy::Ask);
    TaskDefinition::new("waited for", "pay").agent("lead", lead)
}

async fn settled(entries: Value) -> Settled {
    let system = stage(entries).open(&Moments::calm()).await;
    let task = system.create_task(task(&[])).await.expect("a task");
    let settled = system.wait(task).await.expect("its end");
    assert_eq!(system.wait(task).await, Ok(settled.clone()), "and again");
    system.shutdown().await;
    settled
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_with_its_whole_text() {
    let long = "ä".repeat(40_000);
    assert_eq!(
        settled(json!([{ "say": long }])).await,
        Settled::Completed(long)
    );
    let Settled::Failed(why) = settled(json!([{ "fail": "bad_request" }])).await else {
        panic!("it fails");
    };
    assert!(why.contains("script"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_not_waited_for() {
    let system = stage(json!([{ "say": "x" }])).open(&Moments::calm()).await;
    let task = system.create_task(task(&[])).await.expect("a task");
    let waiting = tokio::join!(system.wait(task), system.cancel(task, "enough"));
    assert_eq!(
        waiting,
        (Ok(Settled::Cancelled("enough".to_owned())), Ok(()))
    );
    let unknown = TaskId(uuid::Uuid::nil());
    assert_eq!(
        system.wait(unknown).await,
        Err(SystemError::NoSuchTask(unknown))
    );
    let nobody = TaskDefinition::new("nobody's", "x");
    let refused = system.create_task(nobody).await.expect_err("nobody");
    assert_eq!(
        refused.to_string(),
        "the task cannot be started: it has no agent"
    );
    system.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_system_that_has_ended() {
    for kill in [true, false] {
        let scripts = json!({ "latency": "100s", "scripts": { "lead": [{ "say": "x" }] } });
        let slow = Stage::new(serde_json::from_value(scripts).expect("scripts"), 3);
        let system = slow.open(&Moments::calm()).await;
        let task = system.create_task(task(&[])).await.expect("a task");
        let end = async {
            match kill {
                true => system.root().kill().await,
                false => system.shutdown().await,
            }
        };
        let (waited, exit) = tokio::join!(system.wait(task), end);
        assert_eq!(waited, Err(SystemError::Down(exit)));
    }
}

/// Two payments, each cut off; every question there is, answered one after the other.
async fn questions(accidents: [u64; 2]) -> Vec<String> {
    let pay = |what: &str| json!({ "call": "pay_once", "args": { "what": what } });
    let stage = stage(json!([pay("rent"), pay("tax"), { "say": "paid" }]));
    let moments = Moments::with(accidents.map(|moment| (moment, Accident::Crash)));
    let system = stage.open(&moments).await;
    let id = system.create_task(task(&["pay_once"])).await;
    let mut asked = Vec::new();
    while let Ok(id) = id {
        let settled = within(&system, id).await;
        assert_eq!(within(&system, id).await, settled, "and again");
        let Settled::NeedsAttention(Attention::InDoubt { question, .. }) = settled else {
            assert_eq!(settled, Settled::Completed("paid".to_owned()));
            break;
        };
        asked.push(question);
        assert_eq!(system.answer(id, "it was paid").await, Ok(true));
    }
    system.shutdown().await;
    asked
}

#[tokio::test(start_paused = true)]
async fn an_open_question_is_told_and_not_an_answered_one() {
    let mut twice = 0;
    for first in 10..18 {
        for second in first + 1..first + 20 {
            let asked = questions([first, second]).await;
            let steps: Vec<_> = asked.iter().map(|it| it.contains("step 0.0")).collect();
            assert!(steps.is_sorted_by(|a, b| a >= b), "{asked:?}");
            twice += u32::from(steps == [true, false]);
        }
    }
    assert!(twice > 0, "no two accidents hit both payments");
}

async fn within(system: &System, task: TaskId) -> Settled {
    let waiting = tokio::time::timeout(Duration::from_secs(600), system.wait(task));
    waiting.await.expect("in time").expect("it can be read")
}

#[tokio::test(start_paused = true)]
async fn a_feed_ends_with_its_task_wherever_it_began() {
    let system = stage(json!([{ "say": "x" }])).open(&Moments::calm()).await;
    let task = system.create_task(task(&[])).await.expect("a task");
    let live = events(&system, task, 0).await;
    assert!(live.len() > 4);
    let head = *live.last().expect("an event");
    for after in 0..=head + 1 {
        let later: Vec<_> = live.iter().copied().filter(|seq| *seq > after).collect();
        assert_eq!(events(&system, task, after).await, later, "after {after}");
    }
    system.shutdown().await;
}

async fn events(system: &System, task: TaskId, after: Seq) -> Vec<Seq> {
    let mut feed = system.watch(task, after).until_end();
    let mut seen = Vec::new();
    let read = async {
        while let Some(item) = feed.next().await.expect("it can be read") {
            if let FeedItem::Event(event) = item {
                seen.push(event.id);
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(600), read).await;
    ended.expect("the feed ends");
    seen
}
