//! `tree`, against a server that has one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::{get, post};
use axum::{Json, Router};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::block_in_place;

use super::{ran, shown};
use crate::support::program::{Program, impresario};

async fn served() -> String {
    let asked = Arc::new(AtomicU64::new(0));
    let tree = move || {
        let restarts = asked.fetch_add(1, Ordering::SeqCst);
        async move {
            Json(
                json!({ "path": "impresario", "name": "impresario", "state": "running", "children": [
                { "path": "impresario/journal", "name": "journal", "state": "idle", "restarts": 0, "inbox": 0 },
                { "path": "impresario/tasks", "name": "tasks", "state": "running", "restarts": restarts, "inbox": 4, "children": [
                    { "path": "impresario/tasks/t", "name": "t", "state": "processing" } ] } ] }),
            )
        }
    };
    let kill = async |Json(body): Json<Value>| Json(json!({ "killed": body["path"] }));
    let app = Router::new()
        .route("/v1/supervision", get(tree))
        .route("/v1/supervision/kill", post(kill));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    #[expect(clippy::disallowed_methods, reason = "a server of this test")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn program(url: &str, args: &[&str]) -> std::process::Command {
    let mut command = impresario();
    command.args(args).env("IMPRESARIO_URL", url);
    command.env("IMPRESARIO_KEY", "ik_1");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_once_and_a_part_of_it_killed() {
    let url = served().await;
    let asked: [&[&str]; 3] = [
        &["tree"],
        &["tree", "--kill", "impresario/tasks/t"],
        &["tree", "--json"],
    ];
    let told = asked.map(|args| shown(args, &ran(&mut program(&url, args))));
    insta::assert_snapshot!(told.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_again_and_again_until_somebody_stops() {
    let url = served().await;
    let args = ["tree", "--watch"];
    let ended = block_in_place(|| {
        let mut watching = Program::start(&mut program(&url, &args));
        watching.wait_for("1 restart");
        watching.wait_for("processing");
        let pid = Pid::from_raw(watching.id().cast_signed()).expect("a process");
        kill_process(pid, Signal::INT).expect("it is there");
        watching.end()
    });
    insta::assert_snapshot!(shown(&args, &ended));
}
