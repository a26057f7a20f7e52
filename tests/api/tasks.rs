//! Tasks, their runs and their events.

use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Answer, Door, streamed};

#[tokio::test]
async fn a_task_from_its_creation_to_its_end() {
    let door = Door::open().await;
    let body = json!({ "description": "count the chairs", "root_agent": "lead" });
    let request = door
        .request(Method::POST, "/v1/tasks", &door.key)
        .json(&body);
    let made = Answer::of(request.header("Prefer", "wait=20").send().await).await;
    assert_eq!(made.status, StatusCode::OK);
    assert_eq!(made.headers["preference-applied"], "wait=20");
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(made.headers["location"], format!("/v1/tasks/{id}"));
    assert_snapshot!("created", made.told());
    assert_snapshot!("listed", door.get("/v1/tasks").await.told());
    let runs = door.get(&format!("/v1/tasks/{id}/runs")).await;
    assert_snapshot!("runs", runs.told());
    let run = runs.body["data"][0]["id"].as_str().unwrap();
    assert_snapshot!("run", door.get(&format!("/v1/runs/{run}")).await.told());
    let said = door.get(&format!("/v1/runs/{run}/messages")).await;
    assert_snapshot!("run_messages", said.told());
    let room = door.get(&format!("/v1/tasks/{id}/messages")).await;
    assert_snapshot!("task_messages", room.told());
    door.close().await;
}

#[tokio::test]
async fn events_are_streamed_to_the_end_and_again_from_any_of_them() {
    let door = Door::open().await;
    let body = json!({ "description": "two parts", "team": "pair" });
    let made = door.post("/v1/tasks", body).await;
    let path = format!(
        "/v1/tasks/{}/events?private=true",
        made.body["id"].as_str().unwrap()
    );
    let response = door
        .request(Method::GET, &path, &door.key)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let all = streamed(response).await;
    let numbers: Vec<_> = all.iter().map(|(id, ..)| id.unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(all.last().unwrap().1, "task_completed");
    for last in 0..all.len() {
        let request = door.request(Method::GET, &path, &door.key);
        let request = request.header("Last-Event-ID", last.to_string());
        assert_eq!(streamed(request.send().await.unwrap()).await, all[last..]);
    }
    let request = door.request(Method::GET, &path, &door.key);
    let request = request.header("Last-Event-ID", all.len().to_string());
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    door.close().await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_makes_nothing_again() {
    let door = Door::open().await;
    let send = async |body: serde_json::Value| {
        let request = door
            .request(Method::POST, "/v1/tasks", &door.key)
            .json(&body);
        Answer::of(request.header("Idempotency-Key", "\"once\"").send().await).await
    };
    let body = json!({ "description": "once", "root_agent": "stuck" });
    let first = send(body.clone()).await;
    let again = send(body).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.headers["location"], first.headers["location"]);
    let other = send(json!({ "description": "twice", "root_agent": "stuck" })).await;
    assert_snapshot!(other.told());
    let listed = door.get("/v1/tasks").await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    door.close().await;
}

#[tokio::test]
async fn a_run_is_forked_and_goes_on_with_something_else() {
    let door = Door::open().await;
    let task = door.task("lead", "count the chairs").await;
    door.settled(&task).await;
    let shown = door.get(&format!("/v1/tasks/{task}")).await;
    let (run, last) = (
        shown.body["root_run"].as_str().unwrap(),
        &shown.body["last_event"],
    );
    let path = format!("/v1/runs/{run}/fork");
    let nothing = door.post(&path, json!({ "at": last })).await;
    assert_snapshot!("fork_of_nothing", nothing.told());
    let fork = door
        .post(&path, json!({ "at": last, "prompt": "and the tables" }))
        .await;
    assert_eq!(fork.status, StatusCode::CREATED);
    let id = fork.body["id"].as_str().unwrap();
    assert_ne!(id, task);
    door.settled(id).await;
    assert_snapshot!("fork", door.get(&format!("/v1/tasks/{id}")).await.told());
    assert_eq!(
        door.get(&format!("/v1/tasks/{task}")).await.body,
        shown.body
    );
    door.close().await;
}
