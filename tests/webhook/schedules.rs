//! Tasks at a time and again and again, in virtual time; and their routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::registry::access::Scope;
use actors::registry::schedules::{Brief, CatchUp, NewSchedule, Outcome, Overlap, Schedule, When};
use actors::store::Memory;
use arc_swap::ArcSwap;
use impresario::schedule;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;
use supervision::SupervisorHandle;

use super::crashes::Fails;
use super::{Bed, child};
use crate::api::{Answer, Door, plain};

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn firing(bed: &Bed) -> SupervisorHandle {
    let config = Arc::new(ArcSwap::from_pointee(bed.config.clone()));
    child(schedule::start(&bed.system, &bed.registry, &config)).await
}

fn hourly(name: &str, agent: &str) -> NewSchedule {
    NewSchedule {
        project: "ours".to_owned(),
        name: name.to_owned(),
        when: When::Every(3_600_000),
        task: Brief {
            name: Some(name.to_owned()),
            description: "work".to_owned(),
            team: None,
            root_agent: Some(agent.to_owned()),
            available_agents: Vec::new(),
            priority: 0,
        },
        catch_up: CatchUp::One,
        overlap: Overlap::Skip,
    }
}

/// How many tasks of each name there are.
async fn begun(bed: &Bed, name: &str) -> usize {
    let tasks = bed.system.tasks(false).await.unwrap();
    tasks.iter().filter(|task| task.name == name).count()
}

async fn now(bed: &Bed, schedule: &Schedule) -> Schedule {
    let found = bed.registry.versioned_schedule(&schedule.id).await.unwrap();
    found.unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_task_for_each_due_time_and_one_for_those_that_were_missed() {
    let bed = Bed::open().await;
    let one = hourly("one", "lead");
    let none = NewSchedule {
        catch_up: CatchUp::None,
        ..hourly("none", "lead")
    };
    let once = NewSchedule {
        when: When::At(actors::model::Timestamp(bed.registry.now().0 + 60_000)),
        ..hourly("once", "lead")
    };
    bed.registry.create_schedule(one).await.unwrap();
    let none = bed.registry.create_schedule(none).await.unwrap();
    bed.registry.create_schedule(once).await.unwrap();
    let count = async || {
        let (one, none) = (begun(&bed, "one").await, begun(&bed, "none").await);
        (one, none, begun(&bed, "once").await)
    };
    let first = firing(&bed).await;
    tokio::time::sleep(HOUR * 3 + HOUR / 2).await;
    assert_eq!(count().await, (3, 3, 1));
    first.stop().await;
    tokio::time::sleep(HOUR * 5).await;
    let second = firing(&bed).await;
    tokio::time::sleep(HOUR / 4).await;
    assert_eq!(count().await, (4, 3, 1));
    let missed = now(&bed, &none).await.last.unwrap().outcome;
    assert_eq!(missed, Outcome::Missed);
    tokio::time::sleep(HOUR).await;
    assert_eq!(count().await, (5, 4, 1));
    second.stop().await;
    bed.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_not_ended_keeps_the_next_from_being_begun_unless_it_may() {
    let bed = Bed::open().await;
    let minutes = When::Every(600_000);
    let skip = NewSchedule {
        when: minutes.clone(),
        ..hourly("skip", "waiter")
    };
    let allow = NewSchedule {
        when: minutes,
        overlap: Overlap::Allow,
        ..hourly("allow", "waiter")
    };
    let unknown = hourly("unknown", "nobody");
    let skip = bed.registry.create_schedule(skip).await.unwrap();
    bed.registry.create_schedule(allow).await.unwrap();
    let unknown = bed.registry.create_schedule(unknown).await.unwrap();
    let firing = firing(&bed).await;
    tokio::time::sleep(HOUR * 7 / 12).await;
    assert_eq!(
        (begun(&bed, "skip").await, begun(&bed, "allow").await),
        (1, 3)
    );
    assert_eq!(
        now(&bed, &skip).await.last.unwrap().outcome,
        Outcome::Overlapped
    );
    tokio::time::sleep(HOUR).await;
    let Outcome::Failed { error } = now(&bed, &unknown).await.last.unwrap().outcome else {
        panic!("it was begun");
    };
    assert_snapshot!(error, @"unknown agent `nobody`; known agents: `broken`, `lead`, `waiter`");
    firing.stop().await;
    bed.close().await;
}

/// A task is begun, and the write that says so fails, before or after it is done: there is one task for each due time.
#[tokio::test(start_paused = true)]
async fn a_crash_between_beginning_and_recording_begins_nothing_twice() {
    for is_done in [false, true] {
        let inner = Arc::new(Memory::default());
        let left = AtomicUsize::new(usize::MAX);
        let fails = Arc::new(Fails {
            inner: inner.clone(),
            left,
            is_done,
        });
        let bed = Bed::over(inner, fails.clone()).await;
        bed.registry
            .create_schedule(hourly("one", "lead"))
            .await
            .unwrap();
        let firing = firing(&bed).await;
        fails.left.store(2, Ordering::SeqCst);
        tokio::time::sleep(HOUR * 4 + HOUR / 2).await;
        assert_eq!(fails.left.load(Ordering::SeqCst), 0, "it failed");
        assert_eq!(begun(&bed, "one").await, 4);
        firing.stop().await;
        bed.close().await;
    }
}

#[tokio::test]
async fn schedules_from_outside() {
    let door = Door::open().await;
    let ours = door.project("ours", &[Scope::Admin]).await;
    let theirs = door.project("theirs", &[Scope::Admin]).await;
    let ask = async |method: Method, key: &str, path: &str, body: serde_json::Value| {
        let mut request = door.request(method, path, key);
        if !body.is_null() {
            request = request.json(&body);
        }
        Answer::of(request.send().await).await
    };
    let told = |answer: &Answer| plain(&answer.told());
    let task = json!({ "description": "report", "root_agent": "lead" });
    let new = json!({ "name": "weekly", "cron": "30 9 * * mon", "task": task });
    let made = ask(Method::POST, &ours, "/v1/schedules", new.clone()).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_snapshot!("schedule_made", told(&made).replace(&id, "sched_ID"));
    let mut refused = Vec::new();
    for wrong in [
        json!({ "name": "x", "task": task }),
        json!({ "name": "x", "cron": "* * * *", "task": task }),
        json!({ "name": "x", "every": "often", "task": task }),
        json!({ "name": "x", "every": "1ms", "task": task }),
        json!({ "name": "x", "at": "2001-01-01T00:00:00Z", "task": task }),
        json!({ "name": "x y", "every": "1h", "task": task }),
        json!({ "name": "x", "every": "1h", "task": { "description": "d", "root_agent": "nobody" } }),
        json!({ "name": "x", "every": "1h", "task": { "description": "d", "team": "nobody" } }),
        json!({ "name": "x", "every": "1h", "at": "2001-01-01T00:00:00Z", "task": task }),
    ] {
        let answer = ask(Method::POST, &ours, "/v1/schedules", wrong).await;
        refused.push(format!(
            "{} {} {}",
            answer.status, answer.body["errors"][0]["pointer"], answer.body["detail"]
        ));
    }
    assert_snapshot!("schedules_refused", refused.join("\n"));
    let path = format!("/v1/schedules/{id}");
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(
            ask(method, &theirs, &path, serde_json::Value::Null)
                .await
                .status,
            404
        );
    }
    let listed = ask(Method::GET, &ours, "/v1/schedules", serde_json::Value::Null).await;
    assert_eq!(listed.body["data"][0], made.body);
    let gone = ask(Method::DELETE, &ours, &path, serde_json::Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        ask(Method::GET, &ours, &path, serde_json::Value::Null)
            .await
            .status,
        404
    );
    door.close().await;
}
