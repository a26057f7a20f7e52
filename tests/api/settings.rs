//! What can be set while the node runs, and the tree it can be struck in.

use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Door};

async fn patch(door: &Door, body: &str, seen: Option<&str>) -> Answer {
    let request = door.request(Method::PATCH, "/v1/config", &door.key);
    let request = request
        .header("Content-Type", "application/merge-patch+json")
        .body(body.to_owned());
    let request = match seen {
        Some(tag) => request.header("If-Match", tag),
        None => request,
    };
    Answer::of(request.send().await).await
}

#[tokio::test]
async fn settings_are_in_force_at_once_and_wrong_ones_change_nothing() {
    let door = Door::open().await;
    let first = door.get("/v1/config").await;
    assert_snapshot!("config", first.told());
    let tag = first.headers["etag"].to_str().unwrap();
    let changed = patch(&door, r#"{"max_concurrent_workers": 9}"#, Some(tag)).await;
    assert_snapshot!("config_changed", changed.told());
    let pools = door.api.system.pools().look().pools;
    let size = |name: &str| pools.iter().find(|pool| pool.name == name).unwrap().size;
    assert_eq!((size("workers"), size("claude_code")), (9, 2));
    let mut said = String::new();
    for (body, seen) in [
        (r#"{"enabled": false}"#, Some(tag)),
        (r#"{"max_concurrent_workers": 0}"#, None),
        (r#"{"max_concurrent_cc": -1}"#, None),
        (r#"{"pools": {"workers": 100001}}"#, None),
        (
            r#"{"pools": {"workers": 1}, "max_concurrent_workers": 2}"#,
            None,
        ),
        (r#"{"pools": {"nobodys": 1}}"#, None),
        (r#"{"workers": 1}"#, None),
        (r#"{"auto_recover": "yes"}"#, None),
        (r#"{"enabled": }"#, None),
    ] {
        let answer = patch(&door, body, seen).await;
        let problem = &answer.body;
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or("-");
        said += &format!("{} {pointer} {}\n", answer.status, problem["detail"]);
    }
    assert_snapshot!("config_refused", said);
    assert_eq!(door.get("/v1/config").await.body, changed.body);
    let old = door.get("/api/orchestrator/config").await;
    assert_eq!(old.headers["etag"], changed.headers["etag"]);
    let back = patch(&door, r#"{"pools": {"workers": null}}"#, Some("*")).await;
    assert_eq!(back.body, first.body);
    door.close().await;
}

#[tokio::test]
async fn a_node_that_is_not_enabled_takes_no_new_tasks_and_goes_on_with_those_it_has() {
    let door = Door::open().await;
    let running = door.task("stuck", "for ever").await;
    patch(&door, r#"{"enabled": false}"#, None).await;
    let body = json!({ "description": "one more", "root_agent": "lead" });
    assert_snapshot!(
        "disabled",
        door.post("/v1/tasks", body.clone()).await.told()
    );
    let running = door.get(&format!("/v1/tasks/{running}")).await;
    assert_eq!(running.body["status"], "running");
    patch(&door, r#"{"enabled": null}"#, None).await;
    let made = door.post("/v1/tasks", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    door.settled(made.body["id"].as_str().unwrap()).await;
    door.close().await;
}

#[tokio::test]
async fn a_project_s_key_neither_sees_nor_changes_the_node() {
    let door = Door::open().await;
    let key = door
        .project("one", &[actors::registry::access::Scope::Admin])
        .await;
    let kill = json!({ "path": "system/journal" });
    for request in [
        door.request(Method::GET, "/v1/config", &key),
        door.request(Method::PATCH, "/v1/config", &key)
            .json(&json!({})),
        door.request(Method::GET, "/v1/supervision", &key),
        door.request(Method::POST, "/v1/supervision/kill", &key)
            .json(&kill),
    ] {
        assert_eq!(
            request.send().await.unwrap().status(),
            StatusCode::FORBIDDEN
        );
    }
    door.close().await;
}

/// The child at a path of a tree.
pub(crate) fn child<'t>(tree: &'t Value, path: &str) -> Option<&'t Value> {
    if tree["path"] == path {
        return Some(tree);
    }
    let below = tree["trees"].as_array().or(tree["children"].as_array());
    below?.iter().find_map(|tree| child(tree, path))
}

#[tokio::test]
async fn what_is_killed_is_started_again_and_its_task_goes_on() {
    let door = Door::open().await;
    let task = door.task("stuck", "for ever").await;
    let room = format!("system/tasks/{task}/room");
    let tree = door.get("/v1/supervision").await;
    assert_eq!(child(&tree.body, &room).unwrap()["incarnation"], 1);
    let agent = format!("system/tasks/{task}/agents/stuck");
    let agent = child(&tree.body, &agent).unwrap();
    assert_eq!(
        (&agent["state"], &agent["kind"]),
        (&json!("running"), &json!("worker"))
    );
    let kill = async |path: &str| {
        let killed = door.post("/v1/supervision/kill", json!({ "path": path }));
        killed.await
    };
    assert_eq!(kill(&room).await.status, StatusCode::ACCEPTED);
    let mut life = json!(1);
    while life != 2 {
        let tree = door.get("/v1/supervision").await;
        life = child(&tree.body, &room).map_or(Value::Null, |room| room["incarnation"].clone());
    }
    let mut said = String::new();
    for path in ["system/nothing", "system", "nowhere/at/all", "", "system//"] {
        let answer = kill(path).await;
        said += &format!("{} {}\n", answer.status, answer.body["detail"]);
    }
    assert_snapshot!("nobody_to_kill", said);
    let cancelled = door
        .post(&format!("/v1/tasks/{task}/cancel"), json!({}))
        .await;
    assert_eq!(
        cancelled.body["status"], "cancelled",
        "{:?}",
        cancelled.body
    );
    door.close().await;
}

#[tokio::test]
async fn agents_and_teams_are_those_of_the_file() {
    let door = Door::open().await;
    let names = async |path: &str| {
        let answer = door.get(path).await;
        let data = answer.body["data"].as_array().unwrap().clone();
        let names: Vec<_> = data
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect();
        (names, answer.body["next_cursor"].clone())
    };
    let (all, next) = names("/v1/agents").await;
    assert_eq!(
        (all, next),
        (
            vec!["lead".into(), "slow".into(), "stuck".into()],
            Value::Null
        )
    );
    let (some, next) = names("/v1/agents?limit=2").await;
    assert_eq!((some.len(), next), (2, json!("slow")));
    assert_eq!(names("/v1/agents?limit=2&cursor=slow").await.0, ["stuck"]);
    assert_eq!(names("/v1/teams").await.0, ["pair"]);
    assert_snapshot!("agent", door.get("/v1/agents/slow").await.told());
    assert_eq!(
        door.get("/v1/agents/nobody").await.status,
        StatusCode::NOT_FOUND
    );
    door.close().await;
}
