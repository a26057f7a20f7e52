//! Receivers that fail in every way, over real sockets.

use std::time::Duration;

use actors::registry::webhooks::plan::RetryTimes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use impresario::webhook::{Carrier, Letter, Options, Post};
use insta::assert_snapshot;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What came: the path, the head and the body.
pub(super) type Came = (String, String, String);

/// Answers by the path that it is asked for; gives what came.
pub(super) async fn receiver() -> (String, mpsc::UnboundedReceiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, came) = mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "a server of this test")]
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move { answer(socket, tell).await });
        }
    });
    (url, came)
}

async fn answer(mut socket: TcpStream, tell: mpsc::UnboundedSender<Came>) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        socket.read_buf(&mut bytes).await.ok().filter(|n| *n > 0)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = header(head, "content-length")?.parse::<usize>().ok()?;
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let path = head.split(' ').nth(1)?.to_owned();
    let _ = tell.send((path.clone(), head, body));
    let status = match path.as_str() {
        "/taken" => "204 No Content",
        "/broken" => "500 Internal Server Error",
        "/gone" => "410 Gone",
        "/elsewhere" => "307 Temporary Redirect\r\nlocation: /taken",
        "/cut" => return None,
        "/half" => {
            socket.write_all(b"HTTP/1.1 200").await.ok()?;
            return None;
        }
        "/noise" => {
            socket.write_all(b"hello\r\n\r\n").await.ok()?;
            return None;
        }
        _ => {
            // Silence, until the other side has enough.
            socket.read_buf(&mut bytes).await.ok()?;
            return None;
        }
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    socket.write_all(answer.as_bytes()).await.ok()
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// The signature as the receiver computes it, with an implementation that is not the sender's.
pub(super) fn expected(secret: &str, head: &str, body: &str) -> String {
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (
        header(head, "webhook-id").unwrap(),
        header(head, "webhook-timestamp").unwrap(),
    );
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

pub(super) fn quick() -> Options {
    let waits = vec![Duration::ZERO, Duration::from_millis(10)];
    Options {
        timeout: Duration::from_millis(300),
        private_targets: true,
        times: RetryTimes(waits),
        ..Options::default()
    }
}

#[tokio::test]
async fn what_each_of_them_comes_to() {
    let (url, _came) = receiver().await;
    let post = Post::new(Duration::from_millis(300), true);
    let mut told = String::new();
    let paths = [
        "taken",
        "broken",
        "gone",
        "elsewhere",
        "cut",
        "half",
        "noise",
        "silent",
    ];
    for path in paths {
        let outcome = post.carry(letter(format!("{url}/{path}"))).await;
        told += &format!("{path}: {outcome:?}\n");
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = post.carry(letter(format!("http://{closed}/"))).await;
    told += &format!("nobody there: {outcome:?}\n");
    assert_snapshot!("outcomes", told);
}

/// A name that leads home is found out when it is looked up, whatever the address says.
#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused() {
    let (url, mut came) = receiver().await;
    let post = Post::new(Duration::from_secs(5), false);
    let port = url.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let outcome = post
            .carry(letter(format!("http://{host}:{port}/taken")))
            .await;
        assert!(!outcome.is_success(), "{host}: {outcome:?}");
    }
    assert!(came.try_recv().is_err());
}

fn letter(url: String) -> Letter {
    Letter {
        url,
        id: "msg_1".to_owned(),
        seconds: 1,
        signature: None,
        body: "{}".to_owned(),
    }
}
