//! Streams of events, with those who read them slowly, stop reading, or are many.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use impresario::http::Limits;
use reqwest::{Method, Response};
use serde_json::json;

use super::{Answer, Door, TEAM, streamed};

/// How many follow one task at once.
const READERS: usize = 1_000;

async fn open(door: &Door, task: &str) -> Response {
    let path = format!("/v1/tasks/{task}/events");
    let request = door.request(Method::GET, &path, &door.key);
    let response = request.timeout(Duration::from_secs(60)).send().await;
    response.expect("a stream")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_get_the_same_while_it_happens() {
    let door = Door::open().await;
    let task = door.task("stuck", "be watched").await;
    let readers = join_all((0..READERS).map(|_| open(&door, &task))).await;
    let room = format!("/v1/tasks/{task}/messages");
    for word in 0..20 {
        let said = door
            .post(&room, json!({ "content": word.to_string() }))
            .await;
        assert_eq!(said.status, 201);
    }
    let cancelled = door
        .post(&format!("/v1/tasks/{task}/cancel"), json!({}))
        .await;
    assert_eq!(cancelled.status, 200, "{:?}", cancelled.body);
    let mut streams = join_all(readers.into_iter().map(streamed)).await;
    let first = streams.pop().expect("a stream");
    assert_eq!(first.last().expect("an event").1, "task_cancelled");
    assert_eq!(
        first
            .iter()
            .filter(|(_, kind, _)| kind == "task_message")
            .count(),
        20
    );
    assert!(streams.iter().all(|stream| *stream == first));
    door.close().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_holds_nobody_up() {
    let door = Door::open().await;
    let task = door.task("stuck", "be ignored").await;
    let idle = open(&door, &task).await;
    let (room, long) = (format!("/v1/tasks/{task}/messages"), "x".repeat(60_000));
    for _ in 0..100 {
        let said = door.post(&room, json!({ "content": long })).await;
        assert_eq!(said.status, 201);
    }
    door.post(&format!("/v1/tasks/{task}/cancel"), json!({}))
        .await;
    // It gets everything when it comes to it.
    let all = streamed(idle).await;
    assert_eq!(
        all.iter()
            .filter(|(_, kind, _)| kind == "task_message")
            .count(),
        100
    );
    door.close().await;
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_is_alive_and_ends_with_its_key() {
    let limits = Limits {
        heartbeat: Duration::from_millis(50),
        ..Limits::default()
    };
    let door = Door::open_with(TEAM, limits).await;
    let task = door.task("stuck", "be silent").await;
    let made = door.post("/v1/keys", json!({})).await;
    let secret = made.body["secret"].as_str().expect("a key");
    let path = format!("/v1/tasks/{task}/events");
    let response = door
        .request(Method::GET, &path, secret)
        .send()
        .await
        .expect("a stream");
    let mut chunks = response.bytes_stream();
    let mut beats = 0;
    while beats < 3 {
        let chunk = chunks.next().await.expect("more").expect("well");
        beats += usize::from(chunk.starts_with(b":"));
    }
    let path = format!("/v1/keys/{}", made.body["id"].as_str().expect("an id"));
    let revoked = door.request(Method::DELETE, &path, &door.key).send().await;
    assert_eq!(Answer::of(revoked).await.status, 200);
    while chunks.next().await.is_some() {}
    door.close().await;
}

#[tokio::test]
async fn pieces_of_replies_come_live_to_those_who_want_them() {
    let door = Door::open().await;
    let task = door.task("stuck", "begin").await;
    let path = format!("/v1/tasks/{task}/events?deltas=true");
    let mut chunks = {
        let request = door.request(Method::GET, &path, &door.key);
        request.send().await.expect("a stream").bytes_stream()
    };
    chunks.next().await.expect("it begins").expect("well");
    door.api.system.bus().publish(actors::feed::Live::Delta {
        task: task.parse().expect("an id"),
        run: "run_00000000000070008000000000000000"
            .parse()
            .expect("an id"),
        agent: "stuck".into(),
        text: "nev".into(),
    });
    let mut heard = String::new();
    while !heard.contains("delta") {
        let chunk = chunks.next().await.expect("more").expect("well");
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    let delta = heard
        .split("\n\n")
        .find(|block| block.contains("delta"))
        .expect("it is there");
    assert!(!delta.contains("id:"), "it has no number: {delta}");
    assert!(delta.contains("\"text\":\"nev\""), "{delta}");
    door.close().await;
}
