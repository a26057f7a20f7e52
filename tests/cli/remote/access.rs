//! `key` and `project`.

use super::{told, word};
use crate::api::{Answer, Door};
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn projects_and_keys() {
    let door = Door::open().await;
    let mut all = told(
        &door,
        &["project", "create", "shop", "--description", "all about it"],
    );
    all += &told(&door, &["project", "create", "shop"]);
    all += &told(
        &door,
        &[
            "key",
            "create",
            "--project",
            "shop",
            "--label",
            "the build",
            "--scope",
            "tasks:read,admin",
        ],
    );
    all += &told(
        &door,
        &[
            "key",
            "create",
            "--executor",
            "--project",
            "shop",
            "--expires-at",
            "2099-01-01T00:00:00Z",
        ],
    );
    all += &told(&door, &["key", "create", "--expires-at", "soon"]);
    all += &told(&door, &["key", "list"]);
    all += &told(&door, &["project", "list"]);
    all += &told(&door, &["project", "remove", "shop"]);
    all += &told(&door, &["project", "remove", "shop"]);
    insta::assert_snapshot!(all);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_the_key() {
    let door = Door::open().await;
    let key = word(&door, &["key", "create"]);
    let ask = async || Answer::of(door.request(Method::GET, "/v1/tasks", &key).send().await).await;
    assert_eq!(ask().await.status, 200);
    let keys = door.get("/v1/keys").await.body;
    let ids = keys["data"].as_array().expect("a list");
    let newest = ids
        .iter()
        .find(|key| key["label"] == "")
        .expect("it is listed");
    let id = newest["id"].as_str().expect("an id");
    insta::assert_snapshot!(told(&door, &["key", "revoke", id]));
    assert_eq!(ask().await.status, 401);
    door.close().await;
}
