//! Requests that are sent again, over the death of the node that took them.

use actors::registry::requests::Begun;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Door};

/// As the interface tells requests apart.
fn fingerprint(path: &str, body: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes()).update(&[0]);
    hasher.update(body.to_string().as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// Takes a request as a node does that dies before it answers.
async fn taken_by_another_life(door: &Door, path: &str, body: &Value) -> Uuid {
    let key = door
        .api
        .registry
        .authenticate(&door.key)
        .await
        .expect("a good key");
    let (print, life) = (fingerprint(path, body), Uuid::from_u128(1));
    let begun = door
        .api
        .registry
        .begin_request(&key.id, "k", &print, life)
        .await;
    match begun.expect("it can be written") {
        Begun::New(ticket) => ticket.id,
        other => panic!("{other:?}"),
    }
}

async fn send(door: &Door, path: &str, body: &Value) -> Answer {
    let request = door
        .request(Method::POST, path, &door.key)
        .header("Idempotency-Key", "k");
    let request = request
        .header("Content-Type", "application/json")
        .body(body.to_string());
    Answer::of(request.send().await).await
}

#[tokio::test]
async fn a_task_that_a_dead_node_was_asked_for_is_made_once() {
    let door = Door::open().await;
    let body = json!({ "description": "once", "root_agent": "stuck" });
    let id = taken_by_another_life(&door, "/v1/tasks", &body).await;
    let made = send(&door, "/v1/tasks", &body).await;
    assert_eq!(made.body["id"], format!("task_{}", id.simple()));
    let again = send(&door, "/v1/tasks", &body).await;
    assert_eq!((again.status, again.body), (made.status, made.body));
    assert_eq!(
        door.get("/v1/tasks").await.body["data"]
            .as_array()
            .expect("tasks")
            .len(),
        1
    );
    door.close().await;
}

#[tokio::test]
async fn words_that_a_dead_node_may_have_taken_are_not_said_again() {
    let door = Door::open().await;
    let task = door.task("stuck", "listen").await;
    let (path, body) = (
        format!("/v1/tasks/{task}/messages"),
        json!({ "content": "hello" }),
    );
    taken_by_another_life(&door, &path, &body).await;
    assert_snapshot!(send(&door, &path, &body).await.told());
    assert_eq!(door.get(&path).await.body["data"], json!([]));
    door.close().await;
}

#[tokio::test]
async fn a_key_is_shown_once_however_often_it_is_asked_for() {
    let door = Door::open().await;
    let body = json!({ "label": "mine" });
    let made = send(&door, "/v1/keys", &body).await;
    assert!(made.body["secret"].is_string());
    assert_snapshot!(send(&door, "/v1/keys", &body).await.told());
    let keys = door.get("/v1/keys").await;
    let mine = keys.body["data"]
        .as_array()
        .expect("keys")
        .iter()
        .filter(|key| key["label"] == "mine");
    assert_eq!(mine.count(), 1);
    door.close().await;
}

#[tokio::test]
async fn the_same_request_twice_at_once_is_carried_out_once() {
    let door = Door::open().await;
    let body = json!({ "description": "once", "root_agent": "stuck" });
    let sent = (0..12).map(|_| send(&door, "/v1/tasks", &body));
    let answers = futures_util::future::join_all(sent).await;
    let running =
        |answer: &&Answer| answer.body["type"] == "urn:impresario:problem:request-running";
    let made: std::collections::BTreeSet<_> = answers
        .iter()
        .filter(|answer| !running(answer))
        .map(|answer| answer.body["id"].to_string())
        .collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    assert_eq!(
        door.get("/v1/tasks").await.body["data"]
            .as_array()
            .expect("tasks")
            .len(),
        1
    );
    door.close().await;
}
