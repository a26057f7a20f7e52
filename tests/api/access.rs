//! Who may do what.

use actors::registry::access::Scope;
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use super::{Answer, Door};

#[tokio::test]
async fn without_a_good_key_there_is_nothing() {
    let door = Door::open().await;
    let made = door.post("/v1/keys", json!({ "label": "mine" })).await;
    assert_snapshot!("made", made.told());
    let (id, secret) = (&made.body["id"], made.body["secret"].as_str().unwrap());
    let ask = async |key: &str| {
        Answer::of(door.request(Method::GET, "/v1/tasks", key).send().await).await
    };
    assert_eq!(ask(secret).await.status, 200);
    let revoke = door.request(
        Method::DELETE,
        &format!("/v1/keys/{}", id.as_str().unwrap()),
        &door.key,
    );
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    let revoked = ask(secret).await;
    assert_snapshot!("revoked", revoked.told());
    let mut wrong = door.key.clone();
    let last = if wrong.ends_with('0') { '1' } else { '0' };
    wrong.pop();
    wrong.push(last);
    for key in ["", "ik_", "nonsense", wrong.as_str(), &"ik_é".repeat(33)] {
        assert_eq!(ask(key).await.told(), revoked.told(), "{key}");
    }
    door.close().await;
}

#[tokio::test]
async fn what_belongs_to_one_project_is_not_there_for_another() {
    let door = Door::open().await;
    let ours = door.project("ours", &[Scope::Admin]).await;
    let theirs = door.project("theirs", &[Scope::Admin]).await;
    let body = json!({ "description": "ours alone", "root_agent": "stuck" });
    let request = door.request(Method::POST, "/v1/tasks", &ours).json(&body);
    let made = Answer::of(request.send().await).await;
    assert_eq!(made.body["project"], "ours");
    let id = made.body["id"].as_str().unwrap();
    let show = async |key: &str, id: &str| {
        Answer::of(
            door.request(Method::GET, &format!("/v1/tasks/{id}"), key)
                .send()
                .await,
        )
        .await
    };
    assert_eq!(show(&ours, id).await.status, 200);
    let hidden = show(&theirs, id).await.told();
    let never = show(&theirs, "task_00000000000070008000000000000000")
        .await
        .told();
    assert_eq!(hidden, never);
    door.close().await;
}
