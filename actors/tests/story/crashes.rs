//! Something crashes at a bad moment.

use std::time::Duration;

use actors::model::{EventBody, TaskDefinition, TaskStatus, TeamSpec};
use serde_json::{Value, json};

use super::Play;

fn delegating() -> Value {
    let ask =
        |agent: &str| json!({ "tool": "create_run", "args": { "agent": agent, "input": "x" } });
    json!({
        "lead": [ { "say": "Go.", "calls": [ask("a"), ask("b")] }, { "say": "both are done" } ],
        "a": [ { "say": "a is done" } ],
        "b": [ { "say": "b is done" } ]
    })
}

/// A play whose appends take a while, so that there is time between any two steps.
async fn slowly(seed: u64, scripts: Value) -> Play {
    let (stage, requests) = Play::set("20ms", scripts, &[]);
    stage.manners.slow(seed, Duration::from_millis(4));
    Play::on((stage, requests), |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn a_room_that_crashes_while_it_is_asked_delegates_once() {
    for n in 0..20_u64 {
        let play = slowly(n, delegating()).await;
        let task = play.begin(&["lead", "a", "b"], |_| {}).await;
        tokio::time::sleep(Duration::from_micros(18_000 + 1_200 * n)).await;
        let path = format!("tasks/{task}/room");
        assert!(play.system.root().kill_at(&path).await, "{n}");
        let told = play.told_to_the_end(task, TaskStatus::Completed).await;
        let queued = told.lines().filter(|line| line.contains("run_queued"));
        assert_eq!(queued.count(), 3, "{n}:\n{told}");
        play.system.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_cancelled_whatever_of_it_is_coming_back() {
    for below in ["room", "runs", "agents", "topology", ""] {
        for n in 0..6_u64 {
            let play = slowly(n, delegating()).await;
            let task = play.begin(&["lead", "a", "b"], |_| {}).await;
            tokio::time::sleep(Duration::from_millis(15 + 6 * n)).await;
            let path = format!("tasks/{task}/{below}");
            let path = path.trim_end_matches('/');
            let kill = async {
                tokio::time::sleep(Duration::from_micros(600 * n)).await;
                play.system.root().kill_at(path).await;
            };
            let (cancelled, ()) = tokio::join!(play.system.cancel(task, "enough"), kill);
            assert_eq!(cancelled, Ok(()), "{below} {n}");
            let asked = play.requests.count();
            let told = play.told_to_the_end(task, TaskStatus::Cancelled).await;
            assert_eq!(play.requests.count(), asked, "{below} {n}:\n{told}");
            assert_eq!(play.requests.under_way(), 0, "{below} {n}");
            play.system.shutdown().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_team_that_gives_up_says_so_though_the_chronicle_crashes() {
    for n in 0..40_u64 {
        let scripts = json!({ "lead": [ { "say": "done" } ] });
        let (stage, requests) = Play::set("20ms", scripts, &[("lead", 0, 2)]);
        stage.manners.slow(n, Duration::from_millis(60));
        let play = Play::on((stage, requests), |_| {}).await;
        let change = |definition: &mut TaskDefinition| {
            definition.team = Some(TeamSpec {
                lead: "lead".into(),
                max_restarts: 1,
                ..TeamSpec::default()
            });
        };
        let task = play.begin(&["lead"], change).await;
        // It panicked once; the next time is too often, and what is written before that takes its time.
        play.until_event(task, |event| {
            matches!(event.body, EventBody::SupervisorRestart { .. })
        })
        .await;
        tokio::time::sleep(Duration::from_micros(8_000 + 400 * n)).await;
        play.system.root().kill_at("services/chronicle").await;
        play.until(task, TaskStatus::NeedsAttention).await;
        let gave_up =
            |event: &actors::model::Event| matches!(event.body, EventBody::SupervisorGaveUp { .. });
        play.until_event(task, gave_up).await;
        assert_eq!(play.system.answer(task, "go on").await, Ok(true));
        play.until(task, TaskStatus::Completed).await;
        play.system.shutdown().await;
    }
}
