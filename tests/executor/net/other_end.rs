//! The executor's end of the wire, with a node of which the test is every word.

use std::time::Duration;

use actors::model::executor::{CallErrorCode, CallOutcome, FromExecutor, ToExecutor};
use futures_util::{SinkExt, StreamExt};
use impresario::executor::{ConnectError, ConnectOptions, Executor, Line, News};
use impresario::link::SUBPROTOCOL;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::sync::CancellationToken;

use super::super::stage::{PATIENCE, Stage, call, error, eventually, id, run};
use super::cut::options;

/// Where the executor connects to.
struct Door(TcpListener);

/// The node's end of one connection.
struct Wire(WebSocketStream<TcpStream>);

impl Door {
    async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn options(&self) -> ConnectOptions {
        let mut options = options(&format!("http://{}", self.0.local_addr().unwrap()));
        options.pace.ping_every = Duration::from_millis(100);
        options.pace.dead_after = Duration::from_secs(5);
        options
    }

    /// The next connection, which speaks this.
    async fn answer(&self, protocol: Option<&'static str>) -> Wire {
        let accepted = tokio::time::timeout(PATIENCE, self.0.accept());
        let (stream, _) = accepted.await.expect("it connects").unwrap();
        #[expect(
            clippy::result_large_err,
            reason = "the error is tungstenite's, and never made here"
        )]
        let answer = |_: &Request, mut response: Response| {
            let headers = response.headers_mut();
            protocol.map(|it| headers.insert(SEC_WEBSOCKET_PROTOCOL, it.parse().unwrap()));
            Ok(response)
        };
        Wire(accept_hdr_async(stream, answer).await.unwrap())
    }

    /// The next connection, and its hello.
    async fn greeted(&self) -> Wire {
        let mut wire = self.answer(Some(SUBPROTOCOL)).await;
        let hello = wire.next().await;
        assert!(matches!(hello, FromExecutor::Hello { .. }), "{hello:?}");
        wire
    }
}

impl Wire {
    async fn send(&mut self, frame: &ToExecutor) {
        let text = serde_json::to_string(frame).unwrap();
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        let message = tokio::time::timeout(PATIENCE, self.0.next());
        message.await.expect("in time").expect("a message").unwrap()
    }

    async fn next(&mut self) -> FromExecutor {
        loop {
            if let Message::Text(text) = self.message().await {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn result(&mut self, name: &str) -> CallOutcome {
        loop {
            if let FromExecutor::Result { call_id, outcome } = self.next().await
                && call_id == id(name)
            {
                return outcome;
            }
        }
    }

    /// Waits until the executor has left.
    async fn left(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// How the executor ends it.
    async fn ended(&mut self) -> String {
        loop {
            if let Message::Close(Some(frame)) = self.message().await {
                return format!("{} {}", u16::from(frame.code), frame.reason);
            }
        }
    }
}

/// An executor at work while the test is its node. What it tells people comes through the channel.
async fn working<T>(
    executor: &Executor,
    options: ConnectOptions,
    node: impl AsyncFnOnce(mpsc::UnboundedReceiver<News>) -> T,
) -> (Result<(), ConnectError>, T) {
    let stop = CancellationToken::new();
    let (tells, news) = mpsc::unbounded_channel();
    let tell = move |news| drop(tells.send(news));
    let working = executor.connect(options, stop.clone(), tell);
    let test = async {
        let done = node(news).await;
        stop.cancel();
        done
    };
    tokio::join!(working, test)
}

fn wait_for(file: &str) -> Value {
    json!({"command": format!("echo {file} >> count; while [ ! -e {file} ]; do sleep 0.01; done")})
}

#[test]
fn a_refusal_is_not_repeated_where_it_is_not_true_any_more() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.limits.calls = 1;
    let executor = Executor::open(options).unwrap();
    let line = |capacity| {
        let (to, inbound) = mpsc::channel(8);
        let (outbound, from) = mpsc::channel(capacity);
        (Line { inbound, outbound }, to, from)
    };
    run(async {
        let (lines, plugged) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let node = async {
            // There is room for one frame, and nobody takes the second one: every answer waits.
            let (first, to, mut from) = line(1);
            lines.send(first).await.unwrap();
            let busy = call("a", 1, "shell", wait_for("go"));
            to.send(busy).await.unwrap();
            let hello = from.recv().await;
            assert!(matches!(hello, Some(FromExecutor::Hello { .. })));
            eventually("it runs", || stage.read("count") == "go\n").await;
            let refused = call("b", 1, "shell", wait_for("go"));
            to.send(refused.clone()).await.unwrap();
            eventually("it is refused", || to.capacity() == 8).await;
            let (second, to, mut heard) = line(8);
            lines.send(second).await.unwrap();
            let hello = heard.recv().await;
            assert!(matches!(hello, Some(FromExecutor::Hello { .. })));
            drop(from);
            stage.write("go", "");
            let result = async |heard: &mut mpsc::Receiver<FromExecutor>| loop {
                if let Some(FromExecutor::Result { call_id, outcome }) = heard.recv().await {
                    return (call_id, outcome);
                }
            };
            let done = CallOutcome::Ok("exit code 0\n[no output]\n".into());
            assert_eq!(result(&mut heard).await, (id("a"), done.clone()));
            to.send(refused).await.unwrap();
            assert_eq!(result(&mut heard).await, (id("b"), done));
            stop.cancel();
        };
        let (served, ()) = tokio::join!(executor.serve_lines(plugged, stop.clone()), node);
        served.unwrap();
    });
    assert_eq!(stage.read("count"), "go\ngo\n");
}

#[test]
fn results_are_said_on_every_connection_until_they_are_acknowledged() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        let door = Door::open().await;
        let node = async |_| {
            let mut wire = door.greeted().await;
            let args = json!({"path": "a", "content": "b"});
            wire.send(&call("a", 1, "write_file", args)).await;
            let outcome = wire.result("a").await;
            drop(wire);
            let mut wire = door.greeted().await;
            assert_eq!(wire.result("a").await, outcome);
            drop(wire);
            let mut wire = door.greeted().await;
            assert_eq!(wire.result("a").await, outcome);
            wire.send(&ToExecutor::Ack { call_id: id("a") }).await;
            eventually("it is forgotten", || executor.unacknowledged().is_empty()).await;
        };
        let (worked, ()) = working(&executor, door.options(), node).await;
        worked.unwrap();
    });
}

/// A node that reads nothing: the command is not held up, what nobody took is passed over with a note, and the result comes.
#[test]
fn output_that_nobody_takes_is_passed_over_and_the_result_is_not() {
    let stage = Stage::new();
    let mut options = stage.options();
    options.limits.tools.shell.live_bytes = 1 << 30;
    let executor = Executor::open(options).unwrap();
    run(async {
        let door = Door::open().await;
        let node = async |_| {
            let mut wire = door.greeted().await;
            let command = "yes 0123456789abcdef | head -c 40000000; touch done";
            wire.send(&call("a", 1, "shell", json!({"command": command})))
                .await;
            eventually("the command ends though nobody reads", || {
                stage.root().join("done").exists()
            })
            .await;
            let mut shown = String::new();
            let outcome = loop {
                match wire.next().await {
                    FromExecutor::Output { chunk, .. } => shown += &chunk,
                    FromExecutor::Result { outcome, .. } => break outcome,
                    _ => {}
                }
            };
            assert!(matches!(outcome, CallOutcome::Ok(_)), "{outcome:?}");
            assert!(shown.contains(" bytes passed over]"));
            assert!(shown.len() < 20_000_000, "{} bytes", shown.len());
        };
        let (worked, ()) = working(&executor, door.options(), node).await;
        worked.unwrap();
    });
}

#[test]
fn a_node_that_does_not_keep_to_the_protocol_is_left_and_tried_again() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        let door = Door::open().await;
        let mut options = door.options();
        options.frame_bytes = 3000;
        let node = async |mut news: mpsc::UnboundedReceiver<News>| {
            let mut told = String::new();
            for mistake in [
                Message::text("{}"),
                Message::text(r#"{"type": "sing"}"#),
                Message::binary(vec![0]),
                Message::text("x".repeat(5000)),
            ] {
                let mut wire = door.greeted().await;
                let _ = wire.0.send(mistake).await;
                told += &format!("{}\n", wire.ended().await);
            }
            // Another one, which goes away and comes back.
            let mut wire = door.greeted().await;
            let frame = CloseFrame {
                code: 1001.into(),
                reason: "the node is stopping".into(),
            };
            wire.0.send(Message::Close(Some(frame))).await.unwrap();
            door.greeted().await;
            while let Ok(news) = news.try_recv() {
                if let News::Lost { why, .. } = news {
                    told += &format!("{why}\n");
                }
            }
            told
        };
        let (worked, told) = working(&executor, options, node).await;
        worked.unwrap();
        insta::assert_snapshot!(told, @r"
        1008 a frame is not of this protocol: missing field `type` at line 1 column 2
        1008 a frame is not of this protocol: unknown variant `sing`, expected one of `call`, `cancel`, `ack` at line 1 column 15
        1003 a binary frame: frames are JSON texts
        1009 a frame of 5000 bytes; 3000 at most
        the node does not keep to the protocol: a frame is not of this protocol: missing field `type` at line 1 column 2 (1008)
        the node does not keep to the protocol: a frame is not of this protocol: unknown variant `sing`, expected one of `call`, `cancel`, `ack` at line 1 column 15 (1008)
        the node does not keep to the protocol: a binary frame: frames are JSON texts (1003)
        the node does not keep to the protocol: a frame of 5000 bytes; 3000 at most (1009)
        the node is stopping (1001)
        ");
    });
}

#[test]
fn a_node_that_is_frozen_is_noticed() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        let door = Door::open().await;
        let mut options = door.options();
        options.pace.dead_after = Duration::from_millis(300);
        let node = async |mut news: mpsc::UnboundedReceiver<News>| {
            let frozen = door.greeted().await;
            let next = door.greeted().await;
            assert_eq!(news.recv().await, Some(News::Connected));
            let Some(News::Lost { why, .. }) = news.recv().await else {
                panic!("it is not lost");
            };
            assert_eq!(why, "no sign of life from the node for 300ms");
            drop((frozen, next));
        };
        working(&executor, options, node).await.0.unwrap();
    });
}

#[test]
fn what_trying_again_does_not_mend_ends_it() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        let door = Door::open().await;
        let mut told = String::new();
        let unversioned = async |_| door.answer(None).await.left().await;
        let (worked, ()) = working(&executor, door.options(), unversioned).await;
        told += &format!("{}\n", worked.expect_err("it ends"));
        for code in [4401_u16, 4403, 4409, 4426] {
            let node = async |_| {
                let mut wire = door.greeted().await;
                let frame = CloseFrame {
                    code: code.into(),
                    reason: "the reason".into(),
                };
                wire.0.send(Message::Close(Some(frame))).await.unwrap();
                wire.left().await;
            };
            let (worked, ()) = working(&executor, door.options(), node).await;
            told += &format!("{}\n", worked.expect_err("it ends"));
        }
        insta::assert_snapshot!(told, @r"
        the node is of another version: it does not know impresario.executor.v1; use the same version of impresario on both sides
        the node refuses: the reason (4401); ask for a key of the project with `impresario key create`
        the node refuses: the reason (4403); ask for a key of the project with `impresario key create`
        another process has connected as this executor, with a copy of its state folder: give each of them a folder of its own
        the node is of another version: the reason (4426); use the same version of impresario on both sides
        ");
    });
}

#[test]
fn it_says_goodbye_when_it_is_stopped() {
    let stage = Stage::new();
    let executor = stage.open();
    run(async {
        let door = Door::open().await;
        let stop = CancellationToken::new();
        let working = executor.connect(door.options(), stop.clone(), |_| {});
        let node = async {
            let mut wire = door.greeted().await;
            wire.send(&call("a", 1, "shell", wait_for("never"))).await;
            eventually("it runs", || stage.read("count") == "never\n").await;
            stop.cancel();
            let told = error(wire.result("a").await);
            assert_eq!(told.code, CallErrorCode::Interrupted);
            assert_eq!(wire.ended().await, "1001 the executor is stopping");
        };
        let (worked, ()) = tokio::join!(working, node);
        worked.unwrap();
    });
}
