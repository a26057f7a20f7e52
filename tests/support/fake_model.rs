//! A model server over raw TCP that does what it is told, byte by byte: it streams slowly, falls silent, cuts and resets.
//!
//! It knows HTTP/1.1 and no dialect; [`super::chat_wire`] writes its lines. It lives in a thread with a runtime of its own,
//! so that blocking programs can be tested against it too.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::testing::conformance::provider::Gate;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// One thing the server does with a connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Writes a head; the body comes in chunks.
    Head(u16, Vec<(&'static str, String)>),
    /// Writes one chunk of the body.
    Chunk(Vec<u8>),
    /// Ends the body.
    End,
    /// Writes these bytes as they are.
    Raw(Vec<u8>),
    /// Waits for the gate.
    Until(Gate),
    /// Waits until the caller is gone.
    Hold,
    /// Writes this chunk again and again until the caller is gone.
    Repeat(Vec<u8>),
    /// Resets the connection.
    Reset,
}

/// A request the server has seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Method, path and version.
    pub(crate) line: String,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Value,
}

impl Seen {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct State {
    answers: VecDeque<Vec<Step>>,
    answers_given: usize,
    seen: Vec<Seen>,
    gone: BTreeSet<usize>,
}

type Shared = Arc<watch::Sender<State>>;

/// The server; it is gone when this is dropped.
pub(crate) struct FakeModel {
    address: SocketAddr,
    shared: Shared,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeModel {
    /// A server on a free port of the loopback interface.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("an address");
        let shared = Shared::default();
        let stop = CancellationToken::new();
        let work = serve(listener, shared.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(work);
        });
        Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        }
    }

    /// Its address, above `/chat/completions` and the like.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it does with the next request that has no answer yet.
    pub(crate) fn answer(&self, steps: Vec<Step>) {
        self.shared.send_modify(|state| {
            state.answers.push_back(steps);
            state.answers_given += 1;
        });
    }

    /// What it was asked last.
    pub(crate) fn last_seen(&self) -> Seen {
        self.shared
            .borrow()
            .seen
            .last()
            .cloned()
            .expect("a request")
    }

    /// Waits for the request that the newest answer is for.
    pub(crate) async fn called(&self) {
        self.wait_for(|state| state.seen.len() >= state.answers_given)
            .await;
    }

    /// Waits until the caller has left before the newest answer was over.
    pub(crate) async fn caller_gone(&self) {
        self.wait_for(|state| state.gone.contains(&state.answers_given))
            .await;
    }

    async fn wait_for(&self, condition: impl FnMut(&State) -> bool) {
        let mut watched = self.shared.subscribe();
        let _ = watched
            .wait_for(condition)
            .await
            .expect("the server is there");
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(
            ended.is_none_or(|end| end.is_ok()) || std::thread::panicking(),
            "the fake model has failed"
        );
    }
}

async fn serve(listener: std::net::TcpListener, shared: Shared, stop: CancellationToken) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("a connection");
                connections.spawn(converse(stream, shared.clone()));
            }
        }
    }
}

/// One request and its answer. An error of the socket means that the caller has left.
async fn converse(mut stream: TcpStream, shared: Shared) {
    stream.set_nodelay(true).expect("a socket option");
    let Some(seen) = request(&mut stream).await else {
        return;
    };
    let mut answer = None;
    shared.send_modify(|state| {
        state.seen.push(seen);
        answer = state.answers.pop_front();
    });
    let number = shared.borrow().seen.len();
    for step in answer.unwrap_or_else(nothing_to_say) {
        if act(&mut stream, step).await.is_err() {
            shared.send_modify(|state| state.gone.extend([number]));
            return;
        }
    }
}

fn nothing_to_say() -> Vec<Step> {
    let body = "no answer is left for this request";
    vec![
        Step::Head(500, Vec::new()),
        Step::Chunk(body.into()),
        Step::End,
    ]
}

async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let mut held = Vec::new();
    let head = loop {
        if let Some(end) = held.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        (stream.read_buf(&mut held).await.ok()? > 0).then_some(())?;
    };
    let text = String::from_utf8_lossy(&held[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next()?.to_owned();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = pairs
        .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(key, _)| key == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a number"));
    while held.len() < head + 4 + length {
        (stream.read_buf(&mut held).await.ok()? > 0).then_some(())?;
    }
    let body = serde_json::from_slice(&held[head + 4..]).unwrap_or_default();
    Some(Seen {
        line,
        headers,
        body,
    })
}

async fn act(stream: &mut TcpStream, step: Step) -> std::io::Result<()> {
    match step {
        Step::Head(status, headers) => stream.write_all(head(status, &headers).as_bytes()).await,
        Step::Chunk(bytes) => stream.write_all(&chunk(&bytes)).await,
        Step::End => stream.write_all(b"0\r\n\r\n").await,
        Step::Raw(bytes) => stream.write_all(&bytes).await,
        Step::Until(gate) => {
            tokio::select! {
                () = gate.opened() => Ok(()),
                error = gone(stream) => Err(error),
            }
        }
        Step::Hold => Err(gone(stream).await),
        Step::Repeat(bytes) => Err(repeat(stream, &chunk(&bytes)).await),
        Step::Reset => stream.set_zero_linger(),
    }
}

fn head(status: u16, headers: &[(&'static str, String)]) -> String {
    let headers = headers
        .iter()
        .map(|(key, value)| format!("{key}: {value}\r\n"));
    let headers: String = headers.collect();
    format!(
        "HTTP/1.1 {status} Status\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
    )
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

async fn repeat(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Error {
    loop {
        if let Err(error) = stream.write_all(bytes).await {
            return error;
        }
        if let Ok(error) = timeout(Duration::from_millis(5), gone(stream)).await {
            return error;
        }
    }
}

/// Waits until the caller closes or resets the connection.
async fn gone(stream: &mut TcpStream) -> std::io::Error {
    let mut byte = [0];
    loop {
        match stream.read(&mut byte).await {
            Ok(0) => return std::io::ErrorKind::ConnectionReset.into(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
