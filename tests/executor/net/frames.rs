//! What a node says to those who do not keep to the protocol.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use impresario::http::link::Revoked;
use impresario::link::{PATH, SUBPROTOCOL};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::super::stage::{PATIENCE, eventually, run};
use super::node::{House, KEY, Node};

/// An executor of which there is nothing but its end of the wire.
struct Wire(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Wire {
    async fn offering(house: &House, protocol: Option<&str>) -> Self {
        let url = format!("ws://{}{PATH}", house.address());
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, format!("Bearer {KEY}").parse().unwrap());
        let protocol = protocol.map(|protocol| protocol.parse().unwrap());
        protocol.map(|protocol| headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol));
        Self(connect_async(request).await.unwrap().0)
    }

    async fn to(house: &House) -> Self {
        Self::offering(house, Some(SUBPROTOCOL)).await
    }

    async fn say(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn tell(&mut self, frame: &Value) {
        self.say(Message::text(frame.to_string())).await;
    }

    async fn greet(&mut self, node: &Node, ledger: &str) {
        self.tell(&hello(ledger)).await;
        let is_it = |name: &Option<String>| name.as_deref() == Some(ledger);
        eventually("it is listed", || {
            node.connected().iter().any(|it| is_it(&it.ledger))
        })
        .await;
    }

    /// How the node ends it.
    async fn ended(&mut self) -> String {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return format!("{} {}", u16::from(frame.code), frame.reason);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => return format!("{other:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("in time")
    }
}

fn hello(ledger: &str) -> Value {
    json!({
        "type": "hello", "protocol": 1, "name": "raw", "tools": [], "root": "/", "session": "s", "ledger": ledger
    })
}

fn house() -> House {
    let mut house = House::new([]).impatient();
    house.options.frame_bytes = 2000;
    house
}

#[test]
fn versions_that_do_not_fit() {
    run(async {
        let house = house();
        let node = house.node().await;
        let mut said = Vec::new();
        said.push(Wire::offering(&house, None).await.ended().await);
        let mut later = Wire::to(&house).await;
        later
            .tell(&json!({"type": "hello", "protocol": 2, "capabilities": {}}))
            .await;
        said.push(later.ended().await);
        assert_eq!(node.connected(), []);
        insta::assert_snapshot!(said.join("\n"), @r"
        4426 this node speaks impresario.executor.v1, which the executor did not offer
        4426 the executor speaks protocol 2, this node 1: impresario.executor.v1 is needed
        ");
    });
}

/// One executor for each mistake, with and without a hello before it.
#[test]
fn frames_that_are_none() {
    let mistakes = || {
        [
            Message::text("{\"type\": "),
            Message::text("[]"),
            Message::text(""),
            Message::text(json!({"type": "dance", "call_id": "a"}).to_string()),
            Message::text(json!({"type": "result", "call_id": "a"}).to_string()),
            Message::text("[".repeat(1500)),
            Message::binary(vec![1, 2, 3]),
            Message::text(hello("again").to_string()),
            Message::text(format!("\"{}\"", "x".repeat(3000))),
            not_utf8(),
        ]
    };
    run(async {
        let house = house();
        let node = house.node().await;
        let mut said = String::new();
        for (n, mistake) in mistakes().into_iter().enumerate() {
            let mut wire = Wire::to(&house).await;
            wire.greet(&node, &format!("ledger {n}")).await;
            wire.say(mistake).await;
            said += &format!("{}\n", wire.ended().await);
            node.has_executors(0).await;
        }
        said += "and as a first frame:\n";
        for mistake in mistakes() {
            let mut wire = Wire::to(&house).await;
            if mistake != Message::text(hello("again").to_string()) {
                wire.say(mistake).await;
                said += &format!("{}\n", wire.ended().await);
            }
        }
        insta::assert_snapshot!(said, @r"
        1008 a frame is not of this protocol: EOF while parsing a value at line 1 column 9
        1008 a frame is not of this protocol: missing field `type` at line 1 column 2
        1008 a frame is not of this protocol: EOF while parsing a value at line 1 column 0
        1008 a frame is not of this protocol: unknown variant `dance`, expected one of `hello`, `started`, `output`, `result` at line…
        1008 a frame is not of this protocol: no variant of enum CallOutcome found in flattened data
        1008 a frame is not of this protocol: invalid type: sequence, expected variant identifier at line 1 column 1
        1003 a binary frame: frames are JSON texts
        1008 hello was said already
        1009 a frame of 3002 bytes; 2000 at most
        1007 a text that is not UTF-8
        and as a first frame:
        1008 a frame is not of this protocol: EOF while parsing a value at line 1 column 9
        1008 a frame is not of this protocol: invalid length 0, expected an object with a `type` at line 1 column 2
        1008 a frame is not of this protocol: EOF while parsing a value at line 1 column 0
        1008 the first frame must be hello
        1008 the first frame must be hello
        1008 a frame is not of this protocol: invalid type: sequence, expected a string at line 1 column 1
        1003 the first frame is binary: frames are JSON texts
        1009 a frame of 3002 bytes; 2000 at most
        1007 a text that is not UTF-8
        ");
    });
}

fn not_utf8() -> Message {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        mask: Some([0; 4]),
        ..FrameHeader::default()
    };
    Message::Frame(Frame::from_payload(header, vec![0xff, 0xfe].into()))
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    run(async {
        let house = house();
        let node = house.node().await;
        let mut mute = Wire::to(&house).await;
        assert_eq!(mute.ended().await, "1008 no hello within 300ms");
        // Said hello, and answers no ping: nobody reads there.
        let mut deaf = Wire::to(&house).await;
        deaf.greet(&node, "deaf").await;
        node.has_executors(0).await;
        // Who answers pings stays for as long as it likes.
        let mut well = Wire::to(&house).await;
        well.greet(&node, "well").await;
        let reading = tokio::time::timeout(Duration::from_millis(1200), well.0.next());
        assert!(
            matches!(reading.await, Ok(Some(Ok(Message::Ping(_))))),
            "it is asked whether it is there"
        );
        let listening = async { while let Some(Ok(_)) = well.0.next().await {} };
        let long = tokio::time::timeout(Duration::from_millis(1200), listening);
        assert!(long.await.is_err(), "it was ended");
        assert_eq!(node.connected().len(), 1);
    });
}

#[test]
fn a_newer_connection_of_the_same_ledger_takes_over() {
    run(async {
        let house = house();
        let node = house.node().await;
        let mut older = Wire::to(&house).await;
        older.greet(&node, "one").await;
        let mut other = Wire::to(&house).await;
        other.greet(&node, "two").await;
        let mut newer = Wire::to(&house).await;
        newer.tell(&hello("one")).await;
        assert_eq!(
            older.ended().await,
            "4409 a newer connection of the same executor has taken the place of this one"
        );
        let ledgers: Vec<_> = node.connected().into_iter().map(|it| it.ledger).collect();
        assert_eq!(ledgers, [Some("two".to_owned()), Some("one".to_owned())]);
    });
}

#[test]
fn a_key_that_is_revoked_and_a_node_that_stops() {
    run(async {
        let house = house();
        let mut said = Vec::new();
        for revoked in [Some(Revoked::Key), Some(Revoked::Project), None] {
            let node = house.node().await;
            let mut wire = Wire::to(&house).await;
            wire.greet(&node, "one").await;
            match revoked {
                Some(_) => drop(node.revoke.send(revoked)),
                None => node.stop.cancel(),
            }
            said.push(wire.ended().await);
            node.shut_down().await;
        }
        insta::assert_snapshot!(said.join("\n"), @r"
        4401 the executor's key was revoked
        4403 the executor's key is not for this project any more
        1001 the node is stopping
        ");
    });
}

/// Anything at all: the node is there afterwards, and so are its other executors.
#[test]
fn noise_harms_nobody_else() {
    run(async {
        let house = house();
        let node = house.node().await;
        let mut quiet = Wire::to(&house).await;
        quiet.greet(&node, "quiet").await;
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..200 {
            let mut wire = Wire::to(&house).await;
            if random.bool() {
                wire.tell(&hello("loud")).await;
            }
            let frame = noise(&mut random);
            let _ = wire.0.send(frame.clone()).await;
            if random.bool() {
                let _ = wire.0.close(None).await;
            }
            drop(wire);
            assert!(quiet.0.send(Message::Ping(Vec::new().into())).await.is_ok());
            assert!(!node.connected().is_empty(), "round {round}: {frame:?}");
        }
        node.has_executors(1).await;
        assert_eq!(node.connected()[0].ledger.as_deref(), Some("quiet"));
    });
}

fn noise(random: &mut fastrand::Rng) -> Message {
    let words = [
        "{", "}", "[", "\"", ":", ",", "type", "hello", "result", "started", "output", "call_id",
        "ok", "error", "null", "1e999", "-0", "\\u0000", "\\ud800", "protocol", "ledger",
    ];
    let text: String = (0..random.usize(0..60))
        .map(|_| words[random.usize(0..words.len())])
        .collect();
    match random.u8(0..4) {
        0 => Message::binary(text.into_bytes()),
        1 => Message::Text(Utf8Bytes::from(text)),
        2 => Message::text(format!(
            "{{\"type\": \"result\", \"call_id\": {text:?}, \"ok\": {text:?}}}"
        )),
        _ => not_utf8(),
    }
}
