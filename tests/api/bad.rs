//! Everything that can be wrong with a request, and what is said of it.

use std::fmt::Write;

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answer, Door, plain};

#[tokio::test]
async fn bad_bodies() {
    let door = Door::open().await;
    let deep = format!(
        "{{\"description\": {}{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let large = format!("{{\"description\": \"{}\"}}", "x".repeat(2 * 1024 * 1024));
    let bodies: [(&str, &[u8]); 12] = [
        ("nothing", b""),
        ("no JSON", b"hello"),
        ("cut off", b"{\"description\": \"x"),
        ("bad UTF-8", b"{\"description\": \"\xff\"}"),
        ("a list", b"[1, 2]"),
        ("something after it", b"{\"description\": \"x\"} {}"),
        ("a wrong type", b"{\"description\": 7}"),
        (
            "a field that there is not",
            b"{\"description\": \"x\", \"priorty\": 1}",
        ),
        ("a field missing", b"{\"root_agent\": \"lead\"}"),
        (
            "a wrong type deep inside",
            b"{\"description\": \"x\", \"available_agents\": [\"a\", 1]}",
        ),
        ("too deep", deep.as_bytes()),
        ("too large", large.as_bytes()),
    ];
    let mut told = String::new();
    for (what, body) in bodies {
        let request = door.request(Method::POST, "/v1/tasks", &door.key);
        let request = request
            .header("Content-Type", "application/json")
            .body(body.to_vec());
        let answer = Answer::of(request.send().await).await;
        write!(told, "## {what}\n{}\n\n", answer.told()).expect("a text");
    }
    assert_snapshot!(told);
    door.close().await;
}

#[tokio::test]
async fn what_does_not_fit() {
    let door = Door::open().await;
    let bodies = [
        json!({ "description": "  " }),
        json!({ "description": "x" }),
        json!({ "description": "x", "team": "pear" }),
        json!({ "description": "x", "root_agent": "laed" }),
        json!({ "description": "x", "root_agent": "lead", "team": "pair" }),
        json!({ "description": "x", "team": "pair", "available_agents": ["lead"] }),
        json!({ "description": "x", "root_agent": "lead", "available_agents": ["nobody"] }),
        json!({ "description": "x", "root_agent": "lead", "priority": 11 }),
        json!({ "description": "x", "root_agent": "lead", "project": "atlantis" }),
    ];
    let mut told = String::new();
    for body in bodies {
        let answer = door.post("/v1/tasks", body.clone()).await;
        write!(told, "## {body}\n{}\n\n", answer.told()).expect("a text");
    }
    for path in [
        "/v1/tasks?limit=0",
        "/v1/tasks?limit=many",
        "/v1/tasks?cursor=x",
        "/v1/tasks?status=lost",
        "/v1/tasks?colour=red",
        "/v1/tasks/nonsense",
        "/v1/runs/run_00000000000070008000000000000000",
        "/v1/nothing",
    ] {
        let answer = door.get(path).await;
        write!(told, "## {path}\n{}\n\n", answer.told()).expect("a text");
    }
    assert_snapshot!(told);
    door.close().await;
}

#[tokio::test]
async fn what_cannot_be_done_in_this_state() {
    let door = Door::open().await;
    let task = door.task("lead", "be done").await;
    door.settled(&task).await;
    let run = door.get(&format!("/v1/tasks/{task}/runs")).await.body["data"][0]["id"].clone();
    let run = run.as_str().expect("an id");
    let live = door.task("stuck", "wait").await;
    let busy = door.get(&format!("/v1/tasks/{live}/runs")).await.body["data"][0]["id"].clone();
    let busy = busy.as_str().expect("an id");
    let mut told = String::new();
    for (what, path, body) in [
        (
            "cancel what has ended",
            format!("/v1/tasks/{task}/cancel"),
            json!({}),
        ),
        (
            "pause what has ended",
            format!("/v1/tasks/{task}/pause"),
            json!({}),
        ),
        (
            "speak to what has ended",
            format!("/v1/tasks/{task}/messages"),
            json!({ "content": "x" }),
        ),
        (
            "answer what does not ask",
            format!("/v1/tasks/{live}/answer"),
            json!({ "answer": "yes" }),
        ),
        (
            "speak to nobody",
            format!("/v1/tasks/{live}/messages"),
            json!({ "content": "x", "to": "nobody" }),
        ),
        (
            "follow up a run at work",
            format!("/v1/runs/{busy}/messages"),
            json!({ "content": "x" }),
        ),
        (
            "pause an agent that is not there",
            format!("/v1/tasks/{live}/pause"),
            json!({ "agent": "nobody" }),
        ),
        (
            "cancel a run that has ended",
            format!("/v1/runs/{run}/cancel"),
            json!({}),
        ),
    ] {
        let answer = door.post(&path, body).await;
        write!(told, "## {what}\n{}\n\n", answer.told()).expect("a text");
    }
    assert_snapshot!(told);
    door.close().await;
}

/// Sends bytes as they are; what comes back, up to the end of the connection.
async fn raw(door: &Door, bytes: &[u8]) -> String {
    let address = door.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.expect("an end");
    plain(&String::from_utf8_lossy(&back))
}

#[tokio::test]
async fn a_connection_that_ends_in_a_body_does_nothing() {
    let door = Door::open().await;
    let body = "{\"description\": \"half of it\", \"root_agent\": \"lead\"}";
    let head = format!(
        "POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        door.key,
        body.len()
    );
    for length in 0..body.len() {
        raw(&door, format!("{head}{}", &body[..length]).as_bytes()).await;
    }
    let listed = door.get("/v1/tasks").await;
    assert_eq!(listed.body["data"], json!([]));
    door.close().await;
}

#[tokio::test]
async fn a_page_of_another_site_is_refused() {
    let door = Door::open().await;
    let ask = async |headers: &str| {
        let head = format!(
            "POST /v1/tasks HTTP/1.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n{headers}\r\n{{}}",
            door.key
        );
        let answer = raw(&door, head.as_bytes()).await;
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_snapshot!(ask("Host: evil.example\r\n").await, @"HTTP/1.1 421 Misdirected Request");
    assert_snapshot!(ask("Host: localhost\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n").await, @"HTTP/1.1 403 Forbidden");
    assert_snapshot!(ask("Host: localhost\r\n").await, @"HTTP/1.1 422 Unprocessable Entity");
    door.close().await;
}
