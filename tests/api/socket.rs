//! The WebSocket for people and programs.

use futures_util::{SinkExt, StreamExt};
use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Door, plain, streamed};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(door: &Door, key: &str) -> Result<Socket, String> {
    let url = format!("{}/v1/ws", door.url.replace("http://", "ws://"));
    let mut request = url.into_client_request().expect("a request");
    let key = format!("Bearer {key}").parse().expect("a header");
    request.headers_mut().insert("Authorization", key);
    let connected = connect_async(request).await;
    connected
        .map(|(socket, _)| socket)
        .map_err(|error| error.to_string())
}

async fn say(socket: &mut Socket, words: Value) {
    let sent = socket.send(Message::Text(words.to_string().into())).await;
    sent.expect("it is taken");
}

/// The next frame that is text.
async fn hear(socket: &mut Socket) -> Value {
    loop {
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), socket.next());
        match next
            .await
            .expect("in time")
            .expect("a frame")
            .expect("well")
        {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn closed(mut socket: Socket) -> String {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => {
                return format!("{} {}", u16::from(frame.code), frame.reason);
            }
            Some(Ok(_)) => {}
            other => return format!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn it_gives_the_same_events_as_the_stream_and_takes_words() {
    let door = Door::open().await;
    let task = door.task("lead", "speak").await;
    door.settled(&task).await;
    let path = format!("/v1/tasks/{task}/events");
    let stream = door.request(reqwest::Method::GET, &path, &door.key);
    let stream = streamed(stream.send().await.expect("a stream")).await;
    let mut socket = connect(&door, &door.key).await.expect("a socket");
    say(&mut socket, json!({ "subscribe": task, "id": 1 })).await;
    let subscribed = hear(&mut socket).await;
    assert_eq!(
        (&subscribed["type"], &subscribed["id"]),
        (&json!("subscribed"), &json!(1))
    );
    for (_, _, data) in stream {
        let event: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(hear(&mut socket).await, event);
    }
    assert_eq!(
        hear(&mut socket).await,
        json!({ "type": "ended", "task_id": task })
    );
    let live = door.task("stuck", "wait").await;
    say(
        &mut socket,
        json!({ "send": { "task_id": live, "content": "hello" } }),
    )
    .await;
    assert_eq!(hear(&mut socket).await["type"], "sent");
    door.close().await;
    assert_eq!(closed(socket).await, "1001 the node is stopping");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_the_socket_stays() {
    let door = Door::open().await;
    let mine = door
        .project("mine", &[actors::registry::access::Scope::TasksRead])
        .await;
    let task = door.task("stuck", "of the default project").await;
    let mut socket = connect(&door, &mine).await.expect("a socket");
    let mut told = String::new();
    for words in [
        json!({ "subscribe": task, "id": "a" }),
        json!({ "subscribe": task, "unsubscribe": task }),
        json!({ "send": { "task_id": task, "content": "hello" }, "id": 2 }),
        json!({ "sing": true }),
        json!([]),
    ] {
        say(&mut socket, words).await;
        told.push_str(&plain(&format!("{}\n", hear(&mut socket).await)));
    }
    assert_snapshot!(told);
    socket
        .send(Message::Binary(vec![1, 2].into()))
        .await
        .expect("sent");
    assert_eq!(closed(socket).await, "1003 send JSON as text");
    assert!(connect(&door, "ik_nonsense").await.is_err());
    door.close().await;
}
