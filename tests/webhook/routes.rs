//! Webhooks from outside: made, sent to, looked at, removed.

use actors::registry::access::Scope;
use impresario::webhook::Webhooks;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use super::child;
use super::receivers::{expected, header, quick, receiver};
use crate::api::{Answer, Door, plain};

fn told(answer: &Answer) -> String {
    let mask = regex::Regex::new(
        r"msg_[0-9a-f]{32}|whsec_[A-Za-z0-9+/=]+|127.0.0.1:\d+|\b\d+ms|took_ms.: \d+",
    );
    let text = answer.told();
    mask.unwrap().replace_all(&plain(&text), "…").into_owned()
}

#[tokio::test]
async fn a_webhook_from_its_creation_to_its_end() {
    let door = Door::open().await;
    let (url, mut came) = receiver().await;
    let hooks = Webhooks::new(door.api.registry.clone(), [3; 32], quick());
    door.api.webhooks.set(hooks.clone()).unwrap();
    let sending = child(hooks.deliverer(&door.api.system)).await;
    let ours = door.project("ours", &[Scope::Admin]).await;
    let theirs = door.project("theirs", &[Scope::Admin]).await;
    let ask = async |method: Method, key: &str, path: &str, body: Value| {
        let mut request = door.request(method, path, key);
        if !body.is_null() {
            request = request.json(&body);
        }
        Answer::of(request.send().await).await
    };
    let new = json!({ "url": format!("{url}/taken"), "events": ["task_completed"] });
    let made = ask(Method::POST, &ours, "/v1/webhooks", new).await;
    assert_snapshot!("made", told(&made));
    let (id, secret) = (
        made.body["id"].as_str().unwrap(),
        made.body["secret"].as_str().unwrap(),
    );
    let broken = json!({ "url": format!("{url}/broken"), "events": ["task_completed"] });
    let broken = ask(Method::POST, &ours, "/v1/webhooks", broken).await;
    let task = json!({ "description": "ours", "root_agent": "lead" });
    ask(Method::POST, &theirs, "/v1/tasks", task.clone()).await;
    ask(Method::POST, &ours, "/v1/tasks", task).await;
    for _ in 0..3 {
        let (path, head, body) = came.recv().await.unwrap();
        if path == "/taken" {
            assert_eq!(
                header(&head, "webhook-signature").unwrap(),
                expected(secret, &head, &body)
            );
            assert!(body.contains("\"project\":\"ours\""), "{body}");
            assert!(body.len() < 20_000);
        }
    }
    let path = format!("/v1/webhooks/{id}/deliveries");
    let settled = async |path: &str, state: &str| loop {
        let shown = ask(Method::GET, &ours, path, Value::Null).await;
        if shown.body["data"][0]["state"] == state {
            return shown;
        }
        tokio::task::yield_now().await;
    };
    let delivered = settled(&path, "delivered").await;
    assert_snapshot!("delivered", told(&delivered));
    let of_broken = format!(
        "/v1/webhooks/{}/deliveries",
        broken.body["id"].as_str().unwrap()
    );
    assert_snapshot!("parked", told(&settled(&of_broken, "parked").await));
    let msg = delivered.body["data"][0]["id"].as_str().unwrap();
    let again = ask(
        Method::POST,
        &ours,
        &format!("{path}/{msg}/redeliver"),
        Value::Null,
    )
    .await;
    assert_eq!(again.status, 202);
    let (_, head, _) = came.recv().await.unwrap();
    assert_eq!(header(&head, "webhook-id"), Some(msg));
    for (method, path) in [
        (Method::GET, format!("/v1/webhooks/{id}")),
        (Method::GET, path.clone()),
        (Method::POST, format!("{path}/{msg}/redeliver")),
        (Method::DELETE, format!("/v1/webhooks/{id}")),
    ] {
        assert_eq!(
            ask(method, &theirs, &path, Value::Null).await.status,
            404,
            "{path}"
        );
    }
    let gone = ask(
        Method::DELETE,
        &ours,
        &format!("/v1/webhooks/{id}"),
        Value::Null,
    )
    .await;
    assert_eq!(gone.status, 204);
    assert_snapshot!(
        "left",
        told(&ask(Method::GET, &ours, "/v1/webhooks", Value::Null).await)
    );
    sending.stop().await;
    door.close().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_sent_nothing_more() {
    let door = Door::open().await;
    let (url, mut came) = receiver().await;
    let hooks = Webhooks::new(door.api.registry.clone(), [3; 32], quick());
    door.api.webhooks.set(hooks.clone()).unwrap();
    let sending = child(hooks.deliverer(&door.api.system)).await;
    let new = json!({ "url": format!("{url}/gone"), "events": ["task_completed"] });
    let made = door.post("/v1/webhooks", new).await;
    let path = format!("/v1/webhooks/{}", made.body["id"].as_str().unwrap());
    door.task("lead", "one").await;
    came.recv().await.unwrap();
    let disabled = loop {
        let shown = door.get(&path).await;
        if !shown.body["disabled_at"].is_null() {
            break shown;
        }
        tokio::task::yield_now().await;
    };
    assert_snapshot!("disabled", told(&disabled));
    let task = door.task("lead", "two").await;
    door.settled(&task).await;
    let all = door.get(&format!("{path}/deliveries")).await;
    assert_eq!(all.body["data"].as_array().unwrap().len(), 1);
    sending.stop().await;
    door.close().await;
}

#[tokio::test]
async fn what_can_not_be_a_webhook_is_refused() {
    let door = Door::open().await;
    let new = json!({ "url": "https://example.com/" });
    let mut refused = vec![door.post("/v1/webhooks", new.clone()).await.told()];
    let options = impresario::webhook::Options::default();
    let hooks = Webhooks::new(door.api.registry.clone(), [3; 32], options);
    door.api.webhooks.set(hooks).unwrap();
    for wrong in [
        json!({ "url": "http://169.254.169.254/" }),
        json!({ "url": "nowhere" }),
        json!({ "url": "https://example.com/", "events": ["task_complete"] }),
        json!({ "url": "https://example.com/", "project": "nobody" }),
    ] {
        refused.push(door.post("/v1/webhooks", wrong).await.told());
    }
    let reader = door.project("ours", &[Scope::TasksRead]).await;
    let request = door
        .request(Method::POST, "/v1/webhooks", &reader)
        .json(&new);
    refused.push(Answer::of(request.send().await).await.told());
    assert_snapshot!("refused", refused.join("\n\n"));
    door.close().await;
}
