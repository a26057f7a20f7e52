//! Executors at the node's own door.

use std::time::Duration;

use actors::registry::access::Scope;
use impresario::http::Limits;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Answer, Door, TEAM};
use crate::support::program::{Program, impresario};

fn connect(door: &Door, key: &str, folder: &tempfile::TempDir) -> Program {
    let root = folder.path().join("root");
    std::fs::create_dir_all(&root).unwrap();
    let mut command = impresario();
    command
        .args(["connect", "--name", "laptop", "--url", &door.url, "--root"])
        .arg(root)
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .env("IMPRESARIO_EXECUTOR_KEY", key);
    Program::start(&mut command)
}

async fn connected(door: &Door, key: &str) -> Vec<Value> {
    let request = door.request(Method::GET, "/v1/executors", key);
    let answer = Answer::of(request.send().await).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer.body["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_belongs_to_the_project_of_its_key_for_as_long_as_that_is_good() {
    let limits = Limits {
        heartbeat: Duration::from_millis(50),
        ..Limits::default()
    };
    let door = Door::open_with(TEAM, limits).await;
    let one = door.project("one", &[Scope::TasksRead]).await;
    let other = door.project("other", &[Scope::TasksRead]).await;
    let key = door.project("one", &[Scope::ExecutorsConnect]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut program = connect(&door, &key, &folder);
    let waited = tokio::task::spawn_blocking(move || {
        program.wait_for("connected");
        program
    });
    let program = waited.await.unwrap();
    let mut seen = connected(&door, &one).await;
    while seen.is_empty() {
        seen = connected(&door, &one).await;
    }
    assert_eq!(
        (&seen[0]["name"], &seen[0]["project"]),
        (&"laptop".into(), &"one".into())
    );
    assert_eq!(connected(&door, &door.key).await.len(), 1);
    assert_eq!(connected(&door, &other).await, Vec::<Value>::new());
    let strangers = door.request(Method::GET, "/v1/executors?project=one", &other);
    assert_eq!(
        strangers.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    for (path, key) in [("/v1/executors/connect", &one), ("/v1/executors", &key)] {
        let refused = door.request(Method::GET, path, key).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
    }
    let id = format!("key_{}", &key[3..35]);
    let revoke = door.request(Method::DELETE, &format!("/v1/keys/{id}"), &door.key);
    assert_eq!(revoke.send().await.unwrap().status(), StatusCode::OK);
    let ended = tokio::task::spawn_blocking(move || program.end());
    let ended = ended.await.unwrap();
    assert_eq!(ended.code(), Some(3), "{}", ended.stderr);
    assert_eq!(connected(&door, &one).await, Vec::<Value>::new());
    door.close().await;
}
