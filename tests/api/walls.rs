//! The walls between projects: every route there is, asked with keys that must not see what it is about.

use actors::registry::access::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use super::described::{Description, Operation};
use super::{Answer, Door, plain};

/// Routes that anybody may ask.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

async fn ask(door: &Door, operation: &Operation, path: &str, key: &str) -> Answer {
    let described = Description::read();
    let mut request = door.request(operation.method.clone(), path, key);
    let schema = &operation.described["requestBody"]["content"]["application/json"]["schema"];
    if !schema.is_null() {
        // Something that is valid as far as its types go.
        request = request.json(&described.value(schema, &mut |n| n - 1));
    }
    Answer::of(request.send().await).await
}

fn with(path: &str, value: &str) -> String {
    let mut path = path.to_owned();
    while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
        path.replace_range(open..=close, value);
    }
    path
}

#[tokio::test]
async fn no_route_is_open_without_a_key_or_with_an_executors() {
    let door = Door::open().await;
    let executor = door.project("ours", &[Scope::ExecutorsConnect]).await;
    for operation in Description::read().operations() {
        if OPEN.contains(&operation.path.as_str()) {
            continue;
        }
        let path = with(&operation.path, "x");
        let told = format!("{} {path}", operation.method);
        assert_eq!(
            ask(&door, &operation, &path, "ik_no").await.status,
            401,
            "{told}"
        );
        if !operation.path.ends_with("/connect") {
            assert_eq!(
                ask(&door, &operation, &path, &executor).await.status,
                403,
                "{told}"
            );
        }
    }
    door.close().await;
}

/// Everything of a project that has an id.
async fn things_of(door: &Door, key: &str) -> Vec<String> {
    let post = async |path: &str, body: Value| {
        Answer::of(
            door.request(Method::POST, path, key)
                .json(&body)
                .send()
                .await,
        )
        .await
    };
    let task = json!({ "description": "a secret plan", "root_agent": "stuck", "name": "secret" });
    let task = post("/v1/tasks", task).await;
    let made = post("/v1/keys", json!({ "label": "secret" })).await;
    let id = |answer: &Answer, field: &str| answer.body[field].as_str().expect("an id").to_owned();
    vec![id(&task, "id"), id(&task, "root_run"), id(&made, "id")]
}

#[tokio::test]
async fn what_is_of_one_project_is_not_there_for_a_key_of_another_by_any_route() {
    let door = Door::open().await;
    let ours = door.project("ours", &[Scope::Admin]).await;
    let theirs = door.project("theirs", &[Scope::Admin]).await;
    let things = things_of(&door, &ours).await;
    for operation in Description::read().operations() {
        let told = format!("{} {}", operation.method, operation.path);
        if !operation.path.contains('{') {
            let answer = ask(&door, &operation, &operation.path, &theirs).await;
            let text = answer.body.to_string();
            assert!(
                !text.contains("secret") || text.contains("ik_"),
                "{told}: {text}"
            );
            let named = things.iter().find(|thing| text.contains(thing.as_str()));
            assert!(named.is_none(), "{told}: {text}");
            continue;
        }
        for thing in &things {
            let (prefix, _) = thing.split_once('_').expect("a prefix");
            let never = format!("{prefix}_00000000000070008000000000000000");
            let theirs_told = ask(&door, &operation, &with(&operation.path, thing), &theirs).await;
            let never_told = ask(&door, &operation, &with(&operation.path, &never), &theirs).await;
            assert_eq!(theirs_told.told(), never_told.told(), "{told} {thing}");
            assert!(
                theirs_told.status.is_client_error(),
                "{told}: {}",
                plain(&theirs_told.told())
            );
        }
    }
    // And it is all still there for those whose it is.
    let task = door.request(Method::GET, &format!("/v1/tasks/{}", things[0]), &ours);
    let task = Answer::of(task.send().await).await;
    assert_eq!(task.body["status"], "running", "{}", task.told());
    door.close().await;
}
