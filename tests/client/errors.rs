//! What can be wrong, in words.

use actors::model::TaskId;
use axum::Router;
use axum::http::StatusCode;
use impresario::client::{Client, NewTask, Options, TaskFilter};

use super::client;
use crate::api::{Door, plain};

/// A server of this test, and where it is.
pub(crate) async fn served(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    #[expect(clippy::disallowed_methods, reason = "a server of this test")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn told(url: &str) -> String {
    let mut options = Options::default();
    options.retries = 1;
    let client = Client::with(url, "ik_1", options).expect("a client");
    let error = client.tasks(&TaskFilter::default()).await.unwrap_err();
    error.to_string().replace(url, "URL")
}

#[tokio::test]
async fn who_is_no_node_is_told_from_one_that_is_away() {
    type Said = (StatusCode, [(&'static str, &'static str); 1], &'static str);
    let html = [("content-type", "text/html")];
    let pages: [Said; 5] = [
        (StatusCode::OK, html, "<h1>It works!</h1>"),
        (
            StatusCode::OK,
            [("content-type", "application/json")],
            r#"{"data": 7}"#,
        ),
        (StatusCode::NOT_FOUND, html, "<h1>404</h1>"),
        (
            StatusCode::MOVED_PERMANENTLY,
            [("location", "https://elsewhere/")],
            "",
        ),
        (StatusCode::BAD_GATEWAY, html, "<h1>502</h1>"),
    ];
    let mut all = Vec::new();
    for page in pages {
        let url = served(Router::new().fallback(move || async move { page })).await;
        all.push(told(&url).await);
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    all.push(told(&nobody).await);
    insta::assert_snapshot!(all.join("\n"), @"
    what answers at URL is not an impresario node, or one of another version: its answer cannot be read: expected value at line 1 column 1
    what answers at URL is not an impresario node, or one of another version: its answer cannot be read: invalid type: integer `7`, expected a sequence at line 1 column 10
    what answers at URL is not an impresario node, or one of another version: it answers 404 Not Found
    what answers at URL is not an impresario node, or one of another version: it redirects to https://elsewhere/: give that address
    the node at URL cannot be reached: what stands before it answers 502 Bad Gateway
    the node at URL cannot be reached: Connection refused (os error 111)
    ");
}

#[tokio::test]
async fn a_node_says_what_is_wrong() {
    let door = Door::open().await;
    let client = client(&door);
    let never: TaskId = "task_00000000000070008000000000000000".parse().unwrap();
    let stranger = Client::new(&door.url, "ik_unknown").unwrap();
    let all = [
        client
            .create_task(&NewTask::new("x").agent("nobody"))
            .await
            .unwrap_err(),
        client
            .create_task(&NewTask::new("").team("pair").agent("lead"))
            .await
            .unwrap_err(),
        client.task(never).await.unwrap_err(),
        client.events(never).next().await.unwrap_err(),
        client.create_project("default", "").await.unwrap_err(),
        stranger.tasks(&TaskFilter::default()).await.unwrap_err(),
    ];
    let all = all.map(|error| error.to_string());
    insta::assert_snapshot!(plain(&all.join("\n")), @"
    unknown agent `nobody`; known agents: `lead`, `slow`, `stuck` (/root_agent)
    give a team or a root_agent, not both (/team)
    there is no task `task_ID`
    there is no task `task_ID`
    there is a project `default` already
    send a key of this node: `Authorization: Bearer ik_…`; it may be unknown, revoked or expired
    ");
    door.close().await;
}
